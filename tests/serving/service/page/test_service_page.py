"""The pages of the service name its routes, metrics, rungs and switches."""

import re
from pathlib import Path
from typing import get_args

from serving.service.__main__ import parser
from serving.service.ranking.fallback_chain import Level
from tests.serving.service.conftest import Started

DOCS = Path(__file__).resolve().parents[4] / "docs"
API, METRICS = ((DOCS / "reference" / name).read_text() for name in ("service-api.md", "metrics.md"))
SERVE = (DOCS / "how-to" / "serve.md").read_text()


def test_the_page_has_each_route(started: Started) -> None:
    paths = started().get("/openapi.json").json["paths"]
    there = {f"{method.upper()} {path}" for path, methods in paths.items() for method in methods}
    assert set(re.findall(r"^\| `((?:GET|POST|DELETE) \S+)`", API, re.MULTILINE)) == there


def test_the_page_has_each_metric_and_rung(started: Started) -> None:
    named = {f"{name.group()}" for name in re.finditer(r"shelfrank_\w+", METRICS.partition("### Service\n")[2].partition("\n### ")[0])}
    page = started(shadow="previous").get("/metrics").body.decode()
    kept = {name for name in re.findall(r"^# TYPE (\w+)", page, re.MULTILINE) if not name.endswith("_created")}
    assert named == kept
    assert all(f"| `{rung}` |" in SERVE for rung in get_args(Level))


def test_the_pages_command_and_switches_are_those_of_the_service() -> None:
    commands = re.findall(r"^    python -m serving\.service (\S.+)", API + SERVE, re.MULTILINE)
    assert {parser().parse_args(command.split()).label for command in commands} == {"stable"}
    assert {name for name in re.findall(r"`(--[\w-]+)", API + SERVE) if name not in ("--help", "--open", "--versions")} <= {
        option for action in parser()._actions for option in action.option_strings
    }
