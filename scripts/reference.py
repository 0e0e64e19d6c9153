"""Write the generated parts of docs/reference/ from the code: `python scripts/reference.py`.

A page marks each part by two comments, `<!-- generated: KIND ARGUMENT -->` and `<!-- end -->`; `KINDS` has the function of each kind.
"""

import contextlib
import functools
import inspect
import io
import json
import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import MISSING, fields
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from prometheus_client import CollectorRegistry
from pydantic import BaseModel

from components.contract.base_model import BOUNDARY_SCHEMA, DURATION_SCHEMA, START_SCHEMA
from components.contract.json_schema import finished, json_schema
from components.contract.sources import Files, TimeNotation
from components.evaluation.display_names import metric_caption, metric_meaning
from components.evaluation.gates.metric_names import HIGHER_IS_BETTER
from components.evaluation.metrics.metric_accumulator import AMOUNT_METRICS, ESTIMATED
from components.experiment.roi.price_file import PriceFile
from components.rehearsal.report import Rehearsal
from components.release.manifest import Manifest
from components.release.run_outcome import RunOutcome
from pipeline.cli.main import parser as shelfrank
from pipeline.kubeflow.compile.cluster import Cluster
from pipeline.retrain.ledger import History
from pipeline.retrain.metrics import RetrainCollector
from serving.client.model import Counts
from serving.experiments.file import Experiments
from serving.exposure.__main__ import main as exposure
from serving.exposure.log import LogSettings
from serving.guard.prometheus_metrics import GuardMetrics
from serving.guard.sequential_test import Limits
from serving.mirror.__main__ import main as mirror
from serving.model_server.flags import parse as model_server
from serving.model_server.metrics import Metrics as ModelServerMetrics
from serving.rules.file import Rules
from serving.service.__main__ import main as service
from serving.service.http.app import service_app
from serving.service.metrics.metrics import Metrics
from serving.service.metrics.model_metrics import ModelMetrics
from serving.service.ranking.shadow import Shadow
from serving.service.settings import Settings
from serving.sources.file import Sources
from serving.stream.figures.breakdown import Dimension
from serving.stream.figures.live_figures import FigureMetrics, Figures
from serving.stream.figures.open_requests import JoinCounts
from serving.stream.figures.prometheus import FiguresCollector
from serving.stream.metrics import StreamMetrics
from trainer.config import RankerConfig

ROOT = Path(__file__).resolve().parents[1]
PAGES = ROOT / "docs" / "reference"
_PART = re.compile(r"(<!-- generated: (\w+)(?: (\S+))? -->\n).*?(<!-- end -->\n)", re.DOTALL)
_FILES: dict[str, type[BaseModel]] = {
    "cluster": Cluster,
    "experiments": Experiments,
    "model": RankerConfig,
    "prices": PriceFile,
    "rules": Rules,
    "sources": Sources,
}
_PROGRAMS: dict[str, Callable[[], object]] = {
    "serving.service": service,
    "serving.model_server": model_server,
    "serving.mirror": mirror,
    "serving.exposure": exposure,
}
_RECORDS = {record.__name__: record for record in (RunOutcome, LogSettings, Manifest, Rehearsal)}
_VALUE = "text or true or false or whole number or number"
_UNIONS = {"text or whole number or number": "id", f"{_VALUE} or list of {_VALUE} or null or null": "value"}
_OF_FILES = (*Files.model_fields, *TimeNotation.model_fields)
_OF_FEATURES = ("name", "side", "column", "source")


def written(page: str) -> str:
    """A page with its generated parts made anew."""
    return _PART.sub(lambda part: f"{part[1]}\n{KINDS[part[2]](*filter(None, [part[3]])).strip()}\n\n{part[4]}", page)


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table; a bar within a cell is escaped."""
    cells = ([" ".join(cell.split()).replace("|", "\\|") for cell in row] for row in rows)
    return "\n".join(f"| {' | '.join(row)} |" for row in (heads, ["---"] * len(heads), *cells))


def commands() -> str:
    """Every command of `shelfrank` with its help."""
    helps = {parser.prog: parser.format_help() for parser in _parsers(shelfrank())}
    exits = helps["shelfrank"].rpartition("\n\n")[2]  # at the end of nearly all of them: said once
    return "\n\n".join(
        f"## `{name}`\n\n{_fenced(text if name == 'shelfrank' else text.removesuffix(exits))}" for name, text in helps.items()
    )


def programs() -> str:
    """Every program of `serving` with its help."""
    return "\n\n".join(f"## `python -m {name}`\n\n{_fenced(_help(name, main))}" for name, main in _PROGRAMS.items())


def keys(model: str) -> str:
    """The keys of one mapping of the dataset file, without those that all files ("Files") or all features ("Feature") share."""
    schema = _dataset()
    parts = {"Dataset": schema, "Files": schema["$defs"]["Table"], "Feature": schema["$defs"]["Id"], **schema["$defs"]}
    properties = parts[model]["properties"]
    if model in ("Files", "Feature"):
        chosen = set(_OF_FILES if model == "Files" else _OF_FEATURES)
    else:
        shared = _OF_FILES if "path" in properties else ("kind", *_OF_FEATURES) if "kind" in properties else ()
        chosen = {*properties} - {*shared}
    return f'<a id="{model.lower()}"></a>\n\n{_keys(parts[model], chosen)}'


def file(name: str) -> str:
    """The keys of a whole file, a section for each of its mappings."""
    schema = finished(_FILES[name].model_json_schema(), title=name)
    parts = [schema, *schema.get("$defs", {}).values()]
    heads = ["" if part is schema else f"### {part['title']}\n\n{_sentence(part)}\n\n" for part in parts]
    return "\n\n".join(f"{head}{_keys(part, part['properties'])}" for head, part in zip(heads, parts, strict=True))


def record(name: str) -> str:
    """The keys of a JSON record, from the docstring of its dataclass."""
    text = inspect.getdoc(_RECORDS[name]) or ""
    meanings = dict(re.findall(r"^    (\w+): (.*?)(?=\n    \w+: |\Z)", text.partition("Attributes:\n")[2], re.MULTILINE | re.DOTALL))
    defaults = {field.name: "required" if field.default is MISSING else f"`{field.default!r}`" for field in fields(_RECORDS[name])}
    rows = ([f"`{key}`", default, f"{meanings[key][0].upper()}{meanings[key][1:]}".rstrip(".")] for key, default in defaults.items())
    return table(("key", "default", "meaning"), rows)


def routes() -> str:
    """The routes of the ranking service."""
    rows = []
    for path, methods in _openapi()["paths"].items():
        for method, route in methods.items():
            answers = route["responses"]
            good = next(f"{status} {_body(answer)}" for status, answer in answers.items() if status < "300")
            failed = ", ".join(status for status in answers if status >= "400")
            rows.append([f"`{method.upper()} {path}`", route["description"], _body(route.get("requestBody")), good, failed])
    return table(("route", "meaning", "body", "answer", "errors"), rows)


def statuses() -> str:
    """The statuses of errors."""
    found = {
        status: answer["description"]
        for methods in _openapi()["paths"].values()
        for route in methods.values()
        for status, answer in route["responses"].items()
        if status >= "400"
    }
    return table(("status", "meaning"), sorted(found.items()))


def bodies() -> str:
    """The bodies of requests and answers."""
    schemas = _openapi()["components"]["schemas"]
    return "\n\n".join(f"### {name}\n\n{_sentence(part)}\n\n{_keys(part, part['properties'])}" for name, part in schemas.items())


def proto() -> str:
    """The gRPC service's definition."""
    return f"```proto\n{(ROOT / 'serving' / 'service' / 'shelfrank.proto').read_text(encoding='utf-8').strip()}\n```"


def prometheus(program: str) -> str:
    """The metrics that a program exports."""
    if program == "model_server":
        found = vars(ModelServerMetrics()).values()
        return table(("name", "type", "labels"), sorted([f"`{each.name}`", each.kind, _coded(each.labels)] for each in found))
    if program == "guard":
        registry = GuardMetrics(Limits()).registry
    elif program == "retrain":
        registry = CollectorRegistry()
        registry.register(RetrainCollector(History))
    elif program == "stream":
        registry = CollectorRegistry()
        StreamMetrics(registry)
        registry.register(FiguresCollector(_any_figures()))
    else:
        registry = Metrics(deadline_s=0.1).registry
        client: Any = SimpleNamespace(counts=lambda: Counts(0, 0, 0, 0, 0))
        registry.register(ModelMetrics(client))
        Shadow(client, label="", share=0.0, registry=registry)
    return table(("name", "type", "labels", "meaning"), sorted(_families(registry)))


def _any_figures() -> Any:
    """Figures of one request, which show the labels."""
    figures = {Dimension("all"): Figures(1, {"click": 1}, {"revenue": 1})}
    return SimpleNamespace(metrics=lambda: FigureMetrics(figures, figures, 1.0, JoinCounts()))


def metrics() -> str:
    """The metrics of an evaluation that have an interval."""
    return table(
        ("name", "shown as", "meaning", "gates"),
        (
            [f"`{name}`", metric_caption(name), metric_meaning(name), "yes" if name in HIGHER_IS_BETTER else ""]
            for name in ESTIMATED
            if name not in AMOUNT_METRICS or name.startswith("revenue")
        ),
    )


KINDS: dict[str, Callable[..., str]] = {
    each.__name__: each for each in (bodies, commands, file, keys, metrics, programs, prometheus, proto, record, routes, statuses)
}


def _parsers(parser: Any) -> Iterator[Any]:
    yield parser
    for action in parser._actions:
        if isinstance(action.choices, dict):
            for each in action.choices.values():
                yield from _parsers(each)


def _help(name: str, main: Callable[[], object]) -> str:
    out, argv = io.StringIO(), sys.argv
    sys.argv = [name, "--help"]
    try:
        with contextlib.redirect_stdout(out), contextlib.suppress(SystemExit):
            main()
    finally:
        sys.argv = argv
    return out.getvalue()


def _fenced(text: str) -> str:
    return f"```text\n{text.strip()}\n```"


@functools.cache
def _dataset() -> dict[str, Any]:
    return json_schema()


@functools.cache
def _openapi() -> dict[str, Any]:
    return service_app(Settings(), contextlib.nullcontext).openapi()  # type: ignore[arg-type]  # the parts are made at the start only


def _body(part: object) -> str:
    return ", ".join(map(_linked, re.findall(r"schemas/(\w+)", json.dumps(part))))


def _linked(part: str) -> str:
    return f"[{part}](#{part.lower()})"


def _families(registry: CollectorRegistry) -> Iterator[list[str]]:
    for collector in registry._collector_to_names:
        families: Iterable[Any] = [collector] if hasattr(collector, "_labelnames") else collector.collect()
        for family in families:
            mark = "_" if family is collector else ""  # of attributes: a metric keeps to itself what a collected family shows
            name, kind, about = (getattr(family, f"{mark}{attribute}") for attribute in ("name", "type", "documentation"))
            yield [f"`{name}_total`" if kind == "counter" else f"`{name}`", kind, _coded(family._labelnames), about]


def _coded(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _sentence(part: dict[str, Any]) -> str:
    return " ".join(part.get("description", "").split())


def _keys(part: dict[str, Any], chosen: Iterable[str]) -> str:
    required, wanted = part.get("required", ()), set(chosen)
    rows = []
    for key, value in part["properties"].items():
        default = value.get("default")
        nested = (
            default is None or isinstance(default, dict) or (isinstance(default, list) and any(isinstance(each, dict) for each in default))
        )
        shown = "required" if key in required else "" if nested else f"`{json.dumps(default)}`"
        if key in wanted:
            rows.append([f"`{key}`", _type(value), shown, value.get("description", "")])
    return table(("key", "type", "default", "meaning"), rows)


def _type(schema: dict[str, Any]) -> str:
    if "$ref" in schema:
        return _linked(schema["$ref"].rpartition("/")[2])
    if "enum" in schema or "const" in schema:
        return _coded(schema.get("enum", [schema.get("const")]))
    if either := schema.get("anyOf", schema.get("oneOf")):
        names = " or ".join(dict.fromkeys(_type(each) for each in either if each.get("type") != "null" or "default" not in schema))
        return _UNIONS.get(names, names)
    if schema.get("pattern") == DURATION_SCHEMA["pattern"]:
        return "duration"
    if schema.get("examples") == START_SCHEMA["examples"]:
        return "date or duration"
    kind = schema.get("type")
    if isinstance(kind, list):  # written as text or as a number
        return "share or date" if schema.get("examples") == BOUNDARY_SCHEMA["examples"] else "share"
    if kind == "array":
        return f"list of {_type(schema['items'])}" if schema.get("items") else "list"
    if kind == "object":
        values = schema.get("additionalProperties") or next(iter(schema.get("patternProperties", {}).values()), None)
        return f"mapping to {_type(values)}" if isinstance(values, dict) else "mapping"
    bounds = ((">", "exclusiveMinimum"), ("≥", "minimum"), ("<", "exclusiveMaximum"), ("≤", "maximum"))
    limits = [f"{sign} {_whole(schema[bound]):,}" for sign, bound in bounds if bound in schema]
    word = {"integer": "whole number", "number": "number", "boolean": "true or false", "string": "text", "null": "null"}.get(
        kind or "", "any"
    )
    return " ".join([word, ", ".join(limits)]).strip()


def _whole(number: float) -> float:
    return int(number) if number == int(number) else number


def main() -> None:
    """Rewrite the pages."""
    for page in sorted(PAGES.glob("*.md")):
        page.write_text(written(page.read_text(encoding="utf-8")), encoding="utf-8")


os.environ["COLUMNS"] = "84"  # argparse wraps its help by it
os.environ.pop("KF_PIPELINES_ENDPOINT", None)  # would make --host optional

if __name__ == "__main__":
    main()
