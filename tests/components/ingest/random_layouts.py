"""Random logs, and the same log in random dialects and layouts: the writer knows what the reader should find.

`random_log(seed)` draws a log; `write_canonical` writes it as plain Parquet; `write_layout` writes the same rows in another shape, with the
dataset file that describes it. Both must give the same examples, byte for byte.
"""

import gzip
import json
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.parquet as pq
import yaml
import zstandard

Row = dict[str, Any]
START = datetime(2026, 2, 2, 2, 40, tzinfo=UTC)
ACTIONS = ("impression", "click", "purchase")
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
    "#1",
    '"quoted"',
]
LATIN = [word for word in ODD if word != "価格"]
PLAIN = ["red lamp", "blue cup", "oak table", "wool rug"]


@dataclass(frozen=True)
class Log:
    """A log whose every value is known.

    Attributes:
        events: rows with time (datetime), user, item, action, request, session, position, device, shown_price; None where missing.
        items: rows with id, brand, title, price.
        resolution: "s", "ms" or "us": the finest unit that the times need.
        numeric: whether all ids are whole numbers.
        words: the texts that the titles were drawn from.
    """

    events: list[Row]
    items: list[Row]
    resolution: str
    numeric: bool
    words: list[str]


def random_log(seed: int) -> Log:
    """A log of some requests with lists, clicks and purchases."""
    draw = random.Random(seed)
    numeric = draw.random() < 0.5
    resolution = draw.choice(["s", "ms", "us"])
    words = draw.choice([PLAIN, LATIN, ODD])

    def ids(kind: str, count: int) -> list[str]:
        if numeric:
            return [str(draw.choice([draw.randrange(1, 2000), draw.randrange(2**53, 2**60)])) for _ in range(count)]
        return [f"{draw.choice([kind, '00', 'é', '0x1f-'])}{number}" for number in range(count)]

    users, items, requests = ids("u", 4), list(dict.fromkeys(ids("i", 6))), list(dict.fromkeys(ids("r", 30)))
    events: list[Row] = []
    moment = START
    for request in requests[: draw.randrange(6, 14)]:
        moment += timedelta(seconds=draw.randrange(1, 40_000)) + _fine(draw, resolution)
        user = draw.choice([*users, None])
        context = {"user": user, "request": request, "session": f"s{request}", "device": draw.choice(["phone", "desk", None])}
        shown = draw.sample(items, draw.randrange(1, min(5, len(items)) + 1))
        for position, item in enumerate(shown):
            price = draw.choice([None, 1.5, 20.25, 3.0])
            events.append({"time": moment, **context, "item": item, "action": "impression", "position": position, "shown_price": price})
        for item in draw.sample(shown, draw.randrange(0, len(shown) + 1)):
            later = moment + timedelta(seconds=draw.randrange(0, 15)) + _fine(draw, resolution)
            done = {"time": later, **context, "item": item, "action": draw.choice(ACTIONS[1:])}
            events.append(done | {"position": None, "shown_price": None})
    titles = [draw.choice([*words, None]) for _ in items]
    table = [
        {"id": item, "brand": draw.choice(["acme", "bolt & co", None]), "title": title, "price": draw.choice([None, 4.5, 12.0])}
        for item, title in zip(items, titles, strict=True)
    ]
    return Log(events, table, resolution, numeric, words)


def _fine(draw: random.Random, resolution: str) -> timedelta:
    return timedelta(microseconds={"s": 0, "ms": draw.randrange(1000) * 1000, "us": draw.randrange(1_000_000)}[resolution])


def dataset_text(events: list[Row], items: Row, *, shown_price: str = "shown_price") -> str:
    """The dataset file: `events` and `items` say how the rows are written, the rest is always the same."""
    return yaml.safe_dump(
        {
            "name": "layouts",
            "events": events,
            "items": items,
            "actions": {"impression": {}, "click": {"label": 1}, "purchase": {"label": 3}},
            "candidates": {"from": "impressions"},
            "attribution": "60s",
            "windows": {"eval": "20%", "test": "20%"},
            "half_lives": ["1h"],
            "features": [
                {"name": "device", "kind": "category", "side": "context"},
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
                {"name": "item", "kind": "id", "side": "item"},
                {"name": "brand", "kind": "category", "side": "item"},
                {"name": "title", "kind": "text", "side": "item"},
                {"name": "price", "kind": "number", "side": "item"},
                {"name": "shown_price", "kind": "number", "side": "item", "source": "events", "column": shown_price},
                {"name": "ctr", "kind": "state", "side": "item", "measure": "rate", "action": "click", "per": "impression"},
            ],
        },
        sort_keys=False,
        allow_unicode=True,
    )


ROLES = ("user", "item", "action", "request", "session", "position")


def write_canonical(log: Log, folder: Path) -> str:
    """The log as two plain Parquet files; returns the dataset file."""
    columns: dict[str, pa.Array] = {name: pa.array([row[name] for row in log.events], pa.string()) for name in (*ROLES[:-1], "device")}
    columns["position"] = pa.array([row["position"] for row in log.events], pa.int32())
    columns["shown_price"] = pa.array([row["shown_price"] for row in log.events], pa.float64())
    columns["time"] = pa.array([row["time"] for row in log.events], pa.timestamp("us", "UTC"))
    folder.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), folder / "events.parquet")
    kinds = {"id": pa.string(), "brand": pa.string(), "title": pa.string(), "price": pa.float64()}
    pq.write_table(
        pa.table({name: pa.array([row[name] for row in log.items], kind) for name, kind in kinds.items()}), folder / "items.parquet"
    )
    source = {"path": "events.parquet", "columns": {"time": "time", **{role: role for role in ROLES}}, "missing_user": "guest"}
    return dataset_text([source], {"path": "items.parquet", "id": "id"})


@dataclass
class Layout:
    """How a log is written: what `write_layout` drew, for a message about a difference.

    `declared` is False where a dialect was left for the reader to recognise: then an error is right as well.
    """

    drawn: dict[str, Any] = field(default_factory=dict)
    declared: bool = True

    def __setitem__(self, name: str, value: Any) -> None:
        self.drawn[name] = value


def write_layout(log: Log, folder: Path, seed: int) -> tuple[str, Layout]:
    """The same log in another shape; returns the dataset file and what was drawn."""
    draw, layout = random.Random(f"layout {seed}"), Layout()
    folder.mkdir(parents=True, exist_ok=True)
    names = {name: draw.choice([name, name.upper(), f"the {name}", f"x_{name}"]) for name in (*ROLES, "time", "id")}
    layout["columns"] = names
    times = _times(log, draw, layout)
    nulls = _null_words(draw, layout)
    ids = _id_writer(log, draw, layout)

    def flat(row: Row) -> Row:
        made: Row = dict(times.write(row["time"], names["time"]))
        for role in ROLES:
            value = row[role]
            made[names[role]] = ids(value) if role in ("user", "item", "request") and value is not None else value
        made |= {"device": row["device"], "shown_price": row["shown_price"]}
        return {name: nulls(value) for name, value in made.items()}

    parts = _parts(log, draw, layout)
    sources, shown_price = [], "shown_price"
    for number, (rows, action) in enumerate(parts):
        written = [flat(row) for row in rows]
        columns = {"time": times.columns(names["time"]), **{role: names[role] for role in ROLES}}
        absent = {names["action"]} if action else set()
        if action in ("click", "purchase"):
            # What is shown alone has these columns.
            absent |= {names["position"], "device", "shown_price"}
            del columns["position"]
        if action:
            del columns["action"]
        written = [{key: value for key, value in row.items() if key not in absent} for row in written]
        shape = draw.choice(["flat", "flat", "flat", "nested", "unnested", "partitioned", "filled down"])
        keys: Row = {}
        if shape == "nested":
            inner = {name for name in written[0] if name not in ("device", "shown_price")}
            written = [
                {"data": {k: v for k, v in row.items() if k in inner}} | {k: v for k, v in row.items() if k not in inner} for row in written
            ]
            columns = {role: _below("data", column) for role, column in columns.items()}
        elif shape == "unnested" and action == "impression":
            of_item = {names["item"], names["position"], "shown_price"}
            written = _by_request(written, names["request"], of_item)
            columns |= {role: f"list.{names[role]}" for role in ("item", "position")}
            keys, shown_price = {"unnest": "list"}, "list.shown_price"
        elif shape == "filled down":
            emptied = [names["session"], names["user"], *(["device"] if "device" in written[0] else [])]
            written = _emptied(written, names["request"], emptied)
            keys = {"fill_down": {"within": names["request"], "columns": emptied}}
        else:
            shape = "flat" if shape == "unnested" or "device" not in written[0] else shape
        layout[f"shape {number}"] = shape
        kind = "jsonl" if shape in ("nested", "unnested") else draw.choice(["csv", "csv", "csv", "jsonl", "parquet"])
        name = f"events{number}"
        if shape == "partitioned":
            keys |= _partitioned(written, folder, name, kind, draw, layout)
        else:
            keys |= _file(kind, written, folder, name, draw, layout)
        sources.append({**keys, **times.keys, "columns": columns, "missing_user": "guest", **({"action": action} if action else {})})
    items = [
        {names["id"]: ids(row["id"]), "brand": nulls(row["brand"]), "title": row["title"], "price": nulls(row["price"])}
        for row in log.items
    ]
    table = _file(draw.choice(["csv", "jsonl", "parquet"]), items, folder, "items", draw, layout)
    return dataset_text(sources, {**table, "id": names["id"]}, shown_price=shown_price), layout


def _below(root: str, column: Any) -> Any:
    return [f"{root}.{name}" for name in column] if isinstance(column, list) else f"{root}.{column}"


def _by_request(rows: list[Row], request: str, of_item: set[str]) -> list[Row]:
    """One row a request, its candidates in an array."""
    made: dict[str, Row] = {}
    for row in rows:
        whole = made.setdefault(str(row[request]), {key: value for key, value in row.items() if key not in of_item} | {"list": []})
        whole["list"].append({key: row[key] for key in of_item})
    return list(made.values())


def _emptied(rows: list[Row], request: str, columns: list[str]) -> list[Row]:
    """The columns on the first row of each run of a request alone."""
    before: list[Any] = [None, *(row[request] for row in rows[:-1])]
    return [row | dict.fromkeys(columns) if row[request] == last else row for row, last in zip(rows, before, strict=True)]


def _partitioned(rows: list[Row], folder: Path, name: str, kind: str, draw: random.Random, layout: Layout) -> Row:
    """A folder for each device, which no file then holds."""
    same, ways = draw.random(), []
    for device in dict.fromkeys(row["device"] for row in rows):
        below = f"{name}/device={'__HIVE_DEFAULT_PARTITION__' if device in (None, '') else str(device).replace(' ', '%20')}"
        (folder / below).mkdir(parents=True, exist_ok=True)
        some = [{key: value for key, value in row.items() if key != "device"} for row in rows if row["device"] == device]
        keys = _file(kind, some, folder, f"{below}/part", random.Random(same), layout)
        ways.append(keys | {"path": f"{name}/*/{Path(keys['path']).name}"})
    if all(way == ways[0] for way in ways):
        return ways[0]
    # The files of a source are written alike, and what may be drawn depends on what they hold.
    return _partitioned(rows, folder, f"{name}-alike", "parquet", draw, layout)


def _parts(log: Log, draw: random.Random, layout: Layout) -> list[tuple[list[Row], str | None]]:
    """The rows of each source and, where a source has one action, which."""
    if draw.random() < 0.6:
        return [(log.events, None)]
    layout["sources"] = "one an action"
    parts = [([row for row in log.events if row["action"] == action], action) for action in ACTIONS]
    return [(rows, action) for rows, action in parts if rows]


class Times:
    """How times are written: `write` gives the columns of a row, `columns` what the role says, `keys` the source's keys."""

    def __init__(self, write: Callable[[datetime], list[Any]], *, keys: Row | None = None, parts: int = 1) -> None:
        self._write, self._parts = write, parts
        self.keys = keys or {}

    def _names(self, name: str) -> list[str]:
        return [name] if self._parts == 1 else [f"{name} {part}" for part in range(self._parts)]

    def write(self, moment: datetime, name: str) -> Iterator[tuple[str, Any]]:
        yield from zip(self._names(name), self._write(moment), strict=True)

    def columns(self, name: str) -> Any:
        return name if self._parts == 1 else self._names(name)


def _times(log: Log, draw: random.Random, layout: Layout) -> Times:
    exact = {"s": 0, "ms": 3, "us": 6}[log.resolution]

    def micros(moment: datetime) -> int:
        return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)

    def clock(moment: datetime, mark: str = ".") -> str:
        return f"{moment:%H:%M:%S}" + (f"{mark}{moment.microsecond // 10 ** (6 - exact):0{exact}d}" if exact else "")

    zone = ZoneInfo("America/New_York")
    kinds: dict[str, Callable[[], Times]] = {
        "us": lambda: Times(lambda moment: [micros(moment)]),
        "iso Z": lambda: Times(lambda moment: [f"{moment:%Y-%m-%d}T{clock(moment)}Z"]),
        "iso z": lambda: Times(lambda moment: [f"{moment:%Y-%m-%d}t{clock(moment)}z".replace("t", "T")]),
        "iso +00": lambda: Times(lambda moment: [f"{moment:%Y-%m-%d} {clock(moment)}+00"]),
        "iso +0100": lambda: Times(lambda moment: [f"{moment + timedelta(hours=1):%Y-%m-%d} {clock(moment + timedelta(hours=1))}+0100"]),
        "UTC": lambda: Times(lambda moment: [f"{moment:%Y-%m-%d} {clock(moment)} UTC"]),
        "comma": lambda: Times(lambda moment: [f"{moment:%Y-%m-%d} {clock(moment, ',')}"]),
        "zone": lambda: Times(
            lambda moment: [f"{moment.astimezone(zone):%Y-%m-%d} {clock(moment.astimezone(zone))}"], keys={"timezone": "America/New_York"}
        ),
        "two columns": lambda: Times(lambda moment: [f"{moment:%Y-%m-%d}", clock(moment)], parts=2),
        "date and ms": lambda: Times(
            lambda moment: [f"{moment:%Y-%m-%d}", (micros(moment) // 1000) % 86_400_000], keys={"time_unit": ["auto", "ms"]}, parts=2
        ),
        "day first": lambda: Times(
            lambda moment: [f"{moment:%d/%m/%Y} {clock(moment)}"], keys={"time_format": "%d/%m/%Y %H:%M:%S" + ("%.f" if exact else "")}
        ),
        "s": lambda: Times(lambda moment: [micros(moment) // 1_000_000]),
        "s float": lambda: Times(lambda moment: [f"{micros(moment) // 1_000_000}.0"]),
        "ms": lambda: Times(lambda moment: [micros(moment) // 1000], keys={"time_unit": "ms"}),
        "month first": lambda: Times(lambda moment: [f"{moment:%m/%d/%Y %I:%M:%S %p}"], keys={"time_format": "%m/%d/%Y %I:%M:%S %p"}),
    }
    holds = {"s": 0, "s float": 0, "month first": 0, "date and ms": 3, "ms": 3}  # digits after the second; the others hold six
    chosen = draw.choice([kind for kind in kinds if holds.get(kind, 6) >= exact])
    layout["time"] = chosen
    return kinds[chosen]()


def _null_words(draw: random.Random, layout: Layout) -> Callable[[Any], Any]:
    word = draw.choice([None, None, "NULL", "\\N", "nan", "None", "undefined", "", " "])
    layout["null"] = word
    return lambda value: word if value is None else value


def _id_writer(log: Log, draw: random.Random, layout: Layout) -> Callable[[str], Any]:
    style = draw.choice(["text", "int", "dot zero", "spaces"] if log.numeric else ["text", "spaces"])
    layout["ids"] = style
    if style == "dot zero" and any(int(row["item"]) >= 2**53 or int(row["request"]) >= 2**53 for row in log.events):
        layout.declared = False  # Who wrote these as floats has lost digits: an error is right.
    return {"text": lambda value: value, "int": int, "dot zero": lambda value: f"{value}.0", "spaces": lambda value: f" {value}  "}[style]


def _file(kind: str, rows: list[Row], folder: Path, name: str, draw: random.Random, layout: Layout) -> Row:
    """Write rows as one file; returns the source's keys that say how."""
    layout[name] = kind
    match kind:
        case "csv":
            return _csv(rows, folder, name, draw, layout)
        case "jsonl":
            return _json_lines(rows, folder, name, draw, layout)
    return _parquet(rows, folder, name)


def _parquet(rows: list[Row], folder: Path, name: str) -> Row:
    def column(key: str) -> pa.Array:
        values = [row.get(key) for row in rows]
        kinds = {type(value) for value in values if value is not None}
        return pa.array(values) if len(kinds) < 2 else pa.array([None if value is None else str(value) for value in values])

    pq.write_table(pa.table({key: column(key) for key in rows[0]}), folder / f"{name}.parquet", row_group_size=7)
    return {"path": f"{name}.parquet"}


def _json_lines(rows: list[Row], folder: Path, name: str, draw: random.Random, layout: Layout) -> Row:
    leave_out, noise, by_row = draw.random() < 0.5, draw.random() < 0.5, random.Random(draw.random())
    lines = []
    for at, row in enumerate(rows):
        kept = {key: value for key, value in row.items() if value is not None or not leave_out}
        if noise:
            kept |= {"unused": by_row.choice([1, True, [1], {"a": 1}, "x", None])}
        if at == 0:
            kept = row | kept
        items = list(kept.items())
        by_row.shuffle(items)
        lines.append(json.dumps(dict(items), ensure_ascii=by_row.random() < 0.5))
    end, begin = draw.choice(["\n", "\r\n"]), draw.choice(["", "", "\ufeff"])
    content = (begin + end.join(lines) + draw.choice(["", end])).encode()
    layout[f"{name} json"] = {"leave out": leave_out, "noise": noise, "end": end, "bom": begin != ""}
    path, content = _compressed(f"{name}.jsonl", content, draw, layout)
    (folder / path).write_bytes(content)
    return {"path": path, "format": "jsonl"}


def _csv(rows: list[Row], folder: Path, name: str, draw: random.Random, layout: Layout) -> Row:
    columns = list(dict.fromkeys(key for row in rows for key in row))
    draw.shuffle(columns)
    if unused := draw.random() < 0.5:
        columns.insert(draw.randrange(len(columns) + 1), "unused")
        by_row = random.Random(draw.random())
        rows = [row | {"unused": by_row.choice(["", "x", "1,5", 'say "hi"'])} for row in rows]
    texts = [["" if row.get(key) is None else str(row[key]) for key in columns] for row in rows]
    every = "\n".join(value for row in [columns, *texts] for value in row)
    separator = draw.choice([",", ";", "\t", "|", "::"])
    encoding = draw.choice(["utf-8", "utf-8", "utf-8-sig", "latin-1", "utf-16"])
    if encoding == "latin-1" and not _encodable(every, "latin-1"):
        encoding = "utf-8"
    end = draw.choice(["\n", "\r\n"])
    style = draw.choice(["minimal", "all", "escape", "none", "single"])
    if style == "none" and any(mark in value for row in [columns, *texts] for value in row for mark in (separator, '"', "\r", "\n")):
        style = "minimal"  # Nothing could tell these apart.
    header = draw.random() < 0.7
    keys: Row = {"format": "csv"}
    if separator != ",":
        keys["separator"] = separator
    if encoding == "latin-1":
        keys["encoding"] = "latin-1"
    if style == "none":
        keys["quote"] = ""
    if style == "escape":
        keys["escape"] = "\\"
    if style == "single":
        keys["quote"] = "'"
    if not header:
        keys["header"] = columns
    lines = [separator.join(_csv_value(value, style, separator) for value in row) for row in ([columns] if header else []) + texts]
    content = (end.join(lines) + draw.choice([end, ""])).encode(encoding)
    for dropped in ("encoding", "escape", "separator", "quote"):
        # Left for the reader to recognise: right, or an error.
        if dropped in keys and draw.random() < 0.15:
            del keys[dropped]
            layout.declared = False
            layout[f"{name} undeclared"] = dropped
    layout[f"{name} csv"] = {"separator": separator, "encoding": encoding, "end": end, "style": style, "header": header, "unused": unused}
    path, content = _compressed(f"{name}.{draw.choice(['csv', 'CSV', 'txt'])}", content, draw, layout)
    (folder / path).write_bytes(content)
    return {"path": path, **keys}


def _csv_value(value: str, style: str, separator: str) -> str:
    mark = "'" if style == "single" else '"'
    needs = style in ("all", "single") or any(part in value for part in (separator, mark, "\n", "\r")) or value != value.strip()
    match style:
        case "none":
            return value
        case "escape":
            plain = value.replace("\\", "\\\\").replace('"', '\\"')
            return f'"{plain}"' if needs or "\\" in value else value
    return f"{mark}{value.replace(mark, mark * 2)}{mark}" if needs else value


def _encodable(text: str, encoding: str) -> bool:
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return False
    return True


def _compressed(path: str, content: bytes, draw: random.Random, layout: Layout) -> tuple[str, bytes]:
    kind = draw.choice(["", "", "", "gz", "zst", "gz unnamed"])
    layout[f"{path} compression"] = kind
    match kind:
        case "gz":
            return f"{path}.gz", gzip.compress(content, mtime=0)
        case "zst":
            return f"{path}.zst", zstandard.compress(content)
        case "gz unnamed":
            layout.declared = False
            return path, gzip.compress(content, mtime=0)
    return path, content
