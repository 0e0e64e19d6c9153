"""Random logs of which every value is known: events, a catalogue and shoppers, and the same as plain Parquet."""

import random
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import yaml

Row = dict[str, Any]
START = datetime(2026, 2, 2, 2, 40, tzinfo=UTC)
ACTIONS = ("impression", "click", "purchase")
IDS = ("user", "item", "request")
NAMES = (*IDS, "action", "session", "device")  # columns of text
ROLES = (*IDS, "action", "session", "position", "revenue")
# What rows of each action have no value for.
UNUSED = {
    "impression": {"revenue"},
    "click": {"position", "device", "shown_price", "revenue"},
    "purchase": {"position", "device", "shown_price"},
}
PROPERTIES = ("brand", "title", "price")
ODD = [
    '5" lamp',
    "a,b",
    "semi;colon",
    "tab\there",
    "back\\slash",
    "two\nlines",
    "crlf\r\nend",
    "it's",
    "|pipe|",
    "::",
    "ümläut",
    "価格",
    "表示ソ",  # in Shift-JIS each ends in the byte of a backslash
    "#1",
    '"quoted"',
]
LATIN = [word for word in ODD if word.isascii() or word == "ümläut"]
PLAIN = ["red lamp", "blue cup", "oak table", "wool rug"]


@dataclass(frozen=True)
class Log:
    """A log whose every value is known.

    Attributes:
        events: rows with time (datetime), user, item, action, request, session, position, revenue, device, shown_price; None where missing.
        items: rows with id, brand, title, price, and since (datetime), from which they hold.
        users: rows with id, segment.
        resolution: "s", "ms" or "us": the finest unit that the times need.
        numeric: whether all ids are whole numbers.
        versions: whether an item has several rows, each from a time on.
        ties: whether several actions of a request may have one time, so that their order is that of the rows.
        sampled: whether candidates are sampled, else they are what was shown.
        zone: of the shop's hour.
    """

    events: list[Row]
    items: list[Row]
    users: list[Row]
    resolution: str
    numeric: bool
    versions: bool
    ties: bool
    sampled: bool
    zone: str


def random_log(seed: int) -> Log:
    """A log of some requests with lists, clicks and purchases."""
    draw = random.Random(seed)
    numeric, versions, ties = draw.random() < 0.5, draw.random() < 0.3, draw.random() < 0.2
    resolution = draw.choice(["s", "ms", "us"])
    words = draw.choice([PLAIN, LATIN, ODD])

    top = draw.choice([2**53, 2**60])

    def ids(kind: str, count: int) -> list[str]:
        if numeric:
            return [str(draw.choice([draw.randrange(1, 2000), draw.randrange(top // 2, top)])) for _ in range(count)]
        return [f"{draw.choice([kind, '00', 'é', '0x1f-'])}{number}" for number in range(1, count + 1)]

    users, items, requests = list(dict.fromkeys(ids("u", 4))), list(dict.fromkeys(ids("i", 6))), list(dict.fromkeys(ids("r", 30)))
    events: list[Row] = []
    moment = START
    for request in requests[: draw.randrange(6, 14)]:
        moment += timedelta(seconds=draw.randrange(30, 40_000)) + _fine(draw, resolution)
        user = draw.choice([*users, None])
        context = {"user": user, "request": request, "session": f"s{request}", "device": draw.choice(["phone", "desk", None])}
        shown = draw.sample(items, draw.randrange(1, min(5, len(items)) + 1))
        for position, item in enumerate(shown):
            price = draw.choice([None, 1.5, 20.25, 3.0])
            one = {"time": moment, **context, "item": item, "action": "impression", "position": position, "revenue": None}
            events.append(one | {"shown_price": price})
        for second, item in zip(draw.sample(range(15), 15), draw.sample(shown, draw.randrange(0, len(shown) + 1)), strict=False):
            later = moment + timedelta(seconds=second // 7) if ties else moment + timedelta(seconds=second) + _fine(draw, resolution)
            action = draw.choice(ACTIONS[1:])
            revenue = draw.choice([None, 2.5, 40.0]) if action == "purchase" else None
            done = {"time": later, **context, "item": item, "action": action, "revenue": revenue}
            events.append(done | {"position": None, "shown_price": None})
    table = []
    for item in items:
        for version in range(draw.randrange(1, 4) if versions else 1):
            values = {"brand": draw.choice(["acme", "bolt & co", None]), "title": draw.choice([*words, None])}
            since = START + timedelta(days=2 * version - 1, seconds=draw.randrange(100_000))
            table.append({"id": item, **values, "price": draw.choice([None, 4.5, 12.0]), "since": since})
    people = [{"id": user, "segment": draw.choice(["new", "loyal", None])} for user in users if draw.random() < 0.8]
    sampled, zone = draw.random() < 0.2, draw.choice(["UTC", "Europe/Berlin", "Asia/Kolkata"])
    return Log(events, table, people or [{"id": users[0], "segment": "new"}], resolution, numeric, versions, ties, sampled, zone)


def _fine(draw: random.Random, resolution: str) -> timedelta:
    return timedelta(microseconds={"s": 0, "ms": draw.randrange(1000) * 1000, "us": draw.randrange(1_000_000)}[resolution])


def dataset_text(log: Log, sources: dict[str, Any], columns: dict[str, str]) -> str:
    """The dataset file: `sources` says how the rows are written, `columns` where features of the events stand; the rest goes by the log."""
    shown_price = {"name": "shown_price", "kind": "number", "side": "item", "source": "events", "column": columns["shown_price"]}
    return yaml.dump(
        {
            "name": "layouts",
            "timezone": log.zone,
            **sources,
            "actions": {"impression": {}, "click": {"label": 1}, "purchase": {"label": 3, "amount": "revenue"}},
            "candidates": {"from": "sampling", "group": "request"} if log.sampled else {"from": "impressions"},
            **({} if log.sampled else {"attribution": "60s"}),
            "windows": {"eval": "20%", "test": "20%"},
            "half_lives": ["1h"],
            "features": [
                {"name": "device", "kind": "category", "side": "context", "column": columns["device"]},
                {"name": "hour", "kind": "category", "side": "context", "column": "time.hour"},
                {
                    "name": "history",
                    "kind": "history",
                    "side": "user",
                    "actions": ["click", "purchase"],
                    "fields": ["item", "brand"],
                    "length": 4,
                },
                {"name": "clicks", "kind": "state", "side": "user", "measure": "total", "action": "click"},
                {"name": "segment", "kind": "category", "side": "user"},
                {"name": "item", "kind": "id", "side": "item"},
                {"name": "brand", "kind": "category", "side": "item"},
                {"name": "title", "kind": "text", "side": "item"},
                {"name": "price", "kind": "number", "side": "item"},
                *([] if log.sampled else [shown_price]),
                {"name": "ctr", "kind": "state", "side": "item", "measure": "rate", "action": "click", "per": "impression"},
            ],
        },
        Dumper=yaml.CSafeDumper,
        sort_keys=False,
        allow_unicode=True,
    )


def write_canonical(log: Log, folder: Path) -> str:
    """The log as three plain Parquet files; returns the dataset file."""
    folder.mkdir(parents=True, exist_ok=True)
    kinds = dict.fromkeys(NAMES, pa.string()) | {"position": pa.int32(), "time": pa.timestamp("us", "UTC")}
    kinds |= {"revenue": pa.float64(), "shown_price": pa.float64()}
    _parquet(log.events, kinds, folder / "events.parquet")
    catalogue = {"id": pa.string(), "brand": pa.string(), "title": pa.string(), "price": pa.float64(), "since": pa.timestamp("us", "UTC")}
    _parquet(log.items, catalogue, folder / "items.parquet")
    _parquet(log.users, {"id": pa.string(), "segment": pa.string()}, folder / "users.parquet")
    events = {"path": "events.parquet", "columns": {"time": "time", **{role: role for role in ROLES}}, "missing_user": "guest"}
    items = {"path": "items.parquet", "id": "id"} | ({"valid_from": "since"} if log.versions else {})
    sources = {"events": events, "items": items, "users": {"path": "users.parquet", "id": "id"}}
    return dataset_text(log, sources, {"device": "device", "shown_price": "shown_price"})


def _parquet(rows: list[Row], kinds: dict[str, pa.DataType], path: Path) -> None:
    pq.write_table(pa.table({name: pa.array([row[name] for row in rows], kind) for name, kind in kinds.items()}), path)
