"""A small shop in text files, as good as can be: what a test spoils, and the report that ingestion then gives."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl

from components.ingest.report import ingest_report
from components.ingest.sources.files import layout
from tests.components.ingest.generators.random_shops import Ingested, ingested, parsed

Rows = list[dict[str, Any]]

SHOP = """\
name: shop
events:
  path: events.csv
  columns: {time: at, user: user, item: item, action: action, request: request}
items: {path: items.csv, id: id}
users: {path: users.csv, id: id}
actions: {show: {}, click: {label: 1}}
candidates: {from: impressions, action: show}
features:
  - {name: page, kind: category, side: context}
  - {name: age, kind: number, side: user}
  - {name: title, kind: text, side: item}
  - {name: price, kind: number, side: item, minimum: 0}
  - {name: shown_price, kind: number, side: item, source: events, minimum: 0}
"""
ITEMS: Rows = [{"id": "a", "title": "blue mug", "price": "5"}, {"id": "b", "title": "red mug", "price": "6"}]
USERS: Rows = [{"id": f"u{n}", "age": str(20 + n)} for n in range(3)]
NAMES = ["at", "user", "action", "request", "page", "shown_price", "item"]  # of the events' columns


def requests(number: int = 20) -> Rows:
    """Requests an hour apart, each with the items a and b; a is clicked a minute later. Row 3 * n is the first of request n."""
    rows: Rows = []
    for n in range(number):
        at = datetime(2026, 2, 1, tzinfo=UTC) + timedelta(hours=n)
        row = {"at": at.isoformat(), "user": f"u{n % 3}", "action": "show", "request": f"r{n}", "page": "home", "shown_price": "5"}
        rows += [row | {"item": "a"}, row | {"item": "b"}]
        rows.append(row | {"item": "a", "action": "click", "at": (at + timedelta(minutes=1)).isoformat()})
    return rows


def as_csv(rows: Rows) -> str:
    return pl.DataFrame(rows).write_csv()


def as_json_lines(rows: Rows) -> str:
    return "".join(f"{json.dumps(row)}\n" for row in rows)


def write(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def shop(folder: Path, *, events: Rows | str | None = None, items: Rows = ITEMS, users: Rows = USERS) -> None:
    """Write the shop; events as rows, or as the text of their CSV file."""
    rows = requests() if events is None else events
    write(folder, "events.csv", rows if isinstance(rows, str) else as_csv(rows))
    write(folder, "items.csv", as_csv(items))
    write(folder, "users.csv", as_csv(users))


class IngestRun(NamedTuple):
    """What ingestion made and what its report says: numbers by name, samples of rows by reason."""

    made: Ingested
    report: dict[str, Any]
    counts: dict[str, int]
    samples: dict[str, list[dict[str, str]]]


def run_ingest(folder: Path, text: str = SHOP) -> IngestRun:
    """Ingest the shop."""
    made = ingested(text, folder, folder / "out")
    report = json.loads(ingest_report(made.index, made.counts, layout(parsed(text), str(folder)), text))
    return IngestRun(made, report, report["counts"], report["samples"])
