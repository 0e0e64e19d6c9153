"""Grafana's dashboards out of their short YAML: `python scripts/dashboards.py` writes kubernetes/monitoring/dashboards/*.json anew.

The YAML has of each panel what a person decides: title, description, kind, unit, queries with their legends, thresholds. What Grafana wants
besides, and where each panel stands, is put in here. A panel is 12 of 24 columns wide unless `width` says otherwise.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

FOLDER = Path(__file__).resolve().parents[1] / "kubernetes" / "monitoring" / "dashboards"
SOURCE = {"type": "prometheus", "uid": "${datasource}"}
ROW_HEIGHT, COLUMNS, HALF = 8, 24, 12
GREEN, ORANGE, RED = "green", "orange", "red"


def dashboard(told: Mapping[str, Any]) -> dict[str, Any]:
    """A dashboard as Grafana imports it."""
    return {
        "uid": told["uid"],
        "title": told["title"],
        "description": told["description"],
        "tags": ["shelfrank"],
        "schemaVersion": 39,
        "version": 1,
        "editable": True,
        "graphTooltip": 1,  # one cross for all panels
        "refresh": "30s",
        "time": {"from": f"now-{told.get('shows', '6h')}", "to": "now"},
        "timezone": "browser",
        "links": [{"type": "dashboards", "title": "ShelfRank", "tags": ["shelfrank"], "asDropdown": True, "keepTime": True}],
        "annotations": {"list": [_annotation(each) for each in told.get("annotations", ())]},
        "templating": {"list": [_sources(), *(_variable(each) for each in told["variables"])]},
        "panels": list(_panels(told["rows"])),
    }


def _sources() -> dict[str, Any]:
    return {"name": "datasource", "label": "Prometheus", "type": "datasource", "query": "prometheus", "current": {}}


def _variable(told: Mapping[str, Any]) -> dict[str, Any]:
    name, label, about = told["name"], told["label"], told["description"]
    if "choices" in told:
        options = [{"text": each, "value": each, "selected": each == told["choices"][0]} for each in told["choices"]]
        query, current = ",".join(told["choices"]), options[0]
        return {
            "name": name,
            "label": label,
            "description": about,
            "type": "custom",
            "query": query,
            "options": options,
            "current": current,
        }
    return {
        "name": name,
        "label": label,
        "description": about,
        "type": "query",
        "datasource": SOURCE,
        "definition": told["values"],
        "query": {"query": told["values"], "refId": name},
        "refresh": 2,  # with the time that is shown
        "sort": 1,
        **(
            {"multi": True, "includeAll": True, "allValue": ".*", "current": {"text": ["All"], "value": ["$__all"]}}
            if told.get("many", True)
            else {"multi": False, "includeAll": False, "current": {}}
        ),
    }


def _annotation(told: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "name": told["title"],
        "datasource": SOURCE,
        "enable": True,
        "expr": told["query"],
        "titleFormat": told["legend"],
        "iconColor": ORANGE,
    }


def _panels(rows: Sequence[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    number = top = 0
    for row in rows:
        number += 1
        yield {"id": number, "type": "row", "title": row["title"], "collapsed": False, "panels": [], "gridPos": _place(0, top, COLUMNS, 1)}
        top += 1
        left = tallest = 0
        for told in row["panels"]:
            width, height = told.get("width", HALF), told.get("height", ROW_HEIGHT)
            if left + width > COLUMNS:
                left, top, tallest = 0, top + tallest, 0
            number += 1
            yield _panel(told, number) | {"gridPos": _place(left, top, width, height)}
            left, tallest = left + width, max(tallest, height)
        top += tallest


def _place(left: int, top: int, width: int, height: int) -> dict[str, int]:
    return {"x": left, "y": top, "w": width, "h": height}


def _panel(told: Mapping[str, Any], number: int) -> dict[str, Any]:
    kind = told.get("kind", "timeseries")
    instant = kind in ("stat", "bargauge", "table")
    defaults: dict[str, Any] = {
        "unit": told["unit"],
        "thresholds": _thresholds(told),
        "color": {"mode": "thresholds" if instant else "palette-classic"},
    }
    defaults |= {key: told[key] for key in ("min", "max", "decimals") if key in told}
    if kind == "timeseries":
        shown = {"mode": "dashed"} if "thresholds" in told else {"mode": "off"}
        defaults["custom"] = {"lineWidth": 1, "fillOpacity": 8, "showPoints": "never", "spanNulls": False, "thresholdsStyle": shown}
    return {
        "id": number,
        "type": kind,
        "title": told["title"],
        "description": told["description"],
        "datasource": SOURCE,
        "fieldConfig": {"defaults": defaults, "overrides": [_bound(each["legend"]) for each in told["queries"] if each.get("bound")]},
        "options": _OPTIONS[kind],
        "transformations": [{"id": "joinByField", "options": {"byField": told["by"]}}] if kind == "table" else [],
        "targets": [_target(each, "ABCDEFGH"[at], kind=kind, instant=instant) for at, each in enumerate(told["queries"])],
    }


def _target(told: Mapping[str, Any], ref: str, *, kind: str, instant: bool) -> dict[str, Any]:
    return {
        "refId": ref,
        "datasource": SOURCE,
        "editorMode": "code",
        "expr": told["expr"].strip(),
        "legendFormat": told["legend"],
        "instant": instant,
        "range": not instant,
        "format": "table" if kind == "table" else "time_series",
    }


def _thresholds(told: Mapping[str, Any]) -> dict[str, Any]:
    """Green below the first, then orange, then red; a single one is red. `falling` turns them round: what is too small is red."""
    limits = told.get("thresholds", [])
    colours = ([ORANGE, RED] if len(limits) == 2 else [RED]) if limits else []
    first = GREEN
    if told.get("falling"):
        first, colours = RED, [ORANGE, GREEN] if len(limits) == 2 else [GREEN]
    return {
        "mode": "absolute",
        "steps": [{"color": first, "value": None}] + [{"color": c, "value": v} for c, v in zip(colours, limits, strict=True)],
    }


def _bound(legend: str) -> dict[str, Any]:
    """Confidence bounds: thin dashed lines, named by what follows the series' labels in the legend."""
    ending = legend.rpartition("}}")[2].strip()
    properties = [
        {"id": "custom.lineStyle", "value": {"fill": "dash", "dash": [4, 6]}},
        {"id": "custom.fillOpacity", "value": 0},
    ]
    return {"matcher": {"id": "byRegexp", "options": f".* {ending}$"}, "properties": properties}


_CALCULATED = {"calcs": ["lastNotNull"], "fields": "", "values": False}
_OPTIONS: dict[str, dict[str, Any]] = {
    "timeseries": {
        "legend": {"displayMode": "table", "placement": "bottom", "calcs": ["mean", "max", "lastNotNull"]},
        "tooltip": {"mode": "multi", "sort": "desc"},
    },
    "stat": {"reduceOptions": _CALCULATED, "colorMode": "value", "graphMode": "area", "textMode": "auto"},
    "bargauge": {"reduceOptions": _CALCULATED, "orientation": "horizontal", "displayMode": "basic", "showUnfilled": True},
    "table": {"showHeader": True, "cellHeight": "sm"},
    "heatmap": {
        "calculate": False,
        "color": {"mode": "scheme", "scheme": "Blues", "steps": 32},
        "yAxis": {"unit": "none"},
        "legend": {"show": True},
    },
    "state-timeline": {"mergeValues": True, "showValue": "auto", "legend": {"displayMode": "list", "placement": "bottom"}},
}


def written(told: Mapping[str, Any]) -> str:
    """The text of the JSON file."""
    return json.dumps(dashboard(told), indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    for file in sorted(FOLDER.glob("*.yaml")):
        file.with_suffix(".json").write_text(written(yaml.safe_load(file.read_text(encoding="utf-8"))), encoding="utf-8")
