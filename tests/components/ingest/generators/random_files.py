"""Rows as files of a random format and dialect, and the keys of the dataset file that describe them."""

import bz2
import gzip
import io
import json
import lzma
import random
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import zstandard

from tests.components.ingest.generators.csv_writer import Written, csv_value
from tests.components.ingest.generators.random_logs import Row

FORMATS = ("csv", "csv", "csv", "jsonl", "parquet")
NESTED_FORMATS = ("jsonl", "parquet")
Files = list[tuple[str, list[Row]]]  # path without an ending, rows


@dataclass
class Layout:
    """How a log is written: what was drawn, for a message about a difference.

    `declared` is False where a dialect was left for the reader to recognise: then an error is right as well.
    """

    drawn: dict[str, Any] = field(default_factory=dict)
    declared: bool = True

    def __setitem__(self, name: str, value: Any) -> None:
        self.drawn[name] = value


def write_files(kind: str, files: Files, folder: Path, pattern: str, draw: random.Random, layout: Layout) -> Row:
    """Write files of one format and dialect; returns the source's keys that say how, `pattern` without its ending among them."""
    layout[pattern] = kind
    write = {"csv": _csv, "jsonl": _json, "parquet": _parquet}[kind]
    ending, keys, content = write([row for _, rows in files for row in rows], draw, layout)
    for name, rows in files:
        path = folder / f"{name}{ending}"
        path.parent.mkdir(parents=True, exist_ok=True)
        packed, suffix = (content(rows), "") if kind == "parquet" else _compressed(content(rows), path.name, draw)
        path.with_name(path.name + suffix).write_bytes(packed)
    return {"path": f"{pattern}{ending}*", **keys}


def columns_of(rows: list[Row]) -> list[str]:
    """The names of all columns."""
    return list(dict.fromkeys(key for row in rows for key in row))


# Ending of the files, keys of the source, and the bytes of rows.
Format = tuple[str, Row, Callable[[list[Row]], bytes]]


def _parquet(rows: list[Row], draw: random.Random, layout: Layout) -> Format:
    text = draw.choice([pa.string(), pa.large_string(), pa.dictionary(pa.int32(), pa.string())])
    moment = draw.choice([pa.timestamp("us", "UTC"), pa.timestamp("ns", "America/New_York"), pa.timestamp("us")])
    number = draw.choice([pa.float64(), pa.float32()])
    groups, codec = draw.choice([3, 7, 1000]), draw.choice(["snappy", "zstd", "none"])
    layout["parquet"] = [str(each) for each in (text, moment, number, groups)]

    def column(key: str, some: list[Row]) -> pa.Array:
        values = [row.get(key) for row in some]
        kinds = {type(row[key]) for row in rows if row.get(key) is not None}
        if len(kinds) > 1 and not kinds & {dict, list}:
            return pa.array([None if value is None else str(value) for value in values], text)
        match [kind.__name__ for kind in kinds]:
            case ["str"]:
                return pa.array(values, text)
            case ["datetime"]:
                return pa.array([value.replace(tzinfo=None) if moment.tz is None else value for value in values], moment)
            case ["float"] if key in ("price", "shown_price"):
                return pa.array(values, number)
        every = [row.get(key) for row in rows]
        try:
            return pa.array(values, pa.array(every).type)
        except (pa.ArrowInvalid, pa.ArrowTypeError):  # numbers and words below objects
            return pa.array(_texts(values), pa.array(_texts(every)).type)

    def content(some: list[Row]) -> bytes:
        out = io.BytesIO()
        names = [key for key in columns_of(rows) if any(key in row for row in some)]
        table = pa.table({key: column(key, some) for key in names})
        pq.write_table(table, out, row_group_size=groups, compression=codec)
        return out.getvalue()

    return ".parquet", {}, content


def _texts(value: Any) -> Any:
    """A value with all that it holds as text."""
    match value:
        case dict():
            return {key: _texts(each) for key, each in value.items()}
        case list():
            return [_texts(each) for each in value]
    return None if value is None else str(value)


def _json(rows: list[Row], draw: random.Random, layout: Layout) -> Format:
    by_row = random.Random(draw.random())
    form, noise = draw.choice(["lines", "lines", "array", "objects"]), draw.random() < 0.5
    nothing = draw.choice([["absent"], [None], ["absent", None, "", [], {}, float("nan")]])
    end, (encoding, declared) = draw.choice(["\n", "\r\n", "\r"]), _encoding(draw, json.dumps(rows, ensure_ascii=False, default=str))
    layout["json"] = {"form": form, "noise": noise, "nothing": str(nothing), "end": end, "encoding": encoding}

    def shuffled(row: Row, whole: bool) -> Row:
        kept = {}
        for key, value in row.items():
            none = value is None and not whole and by_row.choice(nothing)
            if none != "absent":
                kept[key] = shuffled(value, whole) if isinstance(value, dict) else none if value is None and not whole else value
        items = list(kept.items())
        by_row.shuffle(items)
        return dict(items)

    def written(row: Row, at: int) -> str:
        # A column that is nowhere is an error, so the first row has all.
        made = shuffled(row, whole=at == 0)
        if noise:
            made |= {"unused": by_row.choice([1, True, [1], {"a": 1}, "x", None])}
        lines = json.dumps(made, ensure_ascii=by_row.random() < 0.5, default=str, indent=2 if form == "objects" else None)
        return lines.replace("\n", end)

    def content(some: list[Row]) -> bytes:
        texts = [written(row, at) for at, row in enumerate(some)]
        if form == "array":
            return f"[{f',{end}'.join(texts)}]".encode(encoding)
        return (end.join(texts) + by_row.choice(["", end])).encode(encoding)

    ending = draw.choice([".jsonl", ".ndjson", ".json", ".JSON"])
    return ending, {"format": "jsonl", **({"encoding": declared} if declared else {})}, content


def _encoding(draw: random.Random, text: str) -> tuple[str, str | None]:
    """A codec that can hold the text, and what is declared of it."""
    recognised = ("utf-8", "utf-8", "utf-8-sig", "utf-16")
    codec = draw.choice([*recognised, "latin-1", "cp1252", "utf-16-le", "utf-16-be", "shift_jis", "gb18030"])
    try:
        text.encode(codec)
    except UnicodeEncodeError:
        codec = "utf-8"
    return codec, None if codec in recognised else codec


_STYLES = {
    "minimal": Written(),
    "all": Written(always=True),
    "some": Written(),
    "escape": Written(escape="\\"),
    "escape all": Written(escape="\\", always=True),
    "bare escape": Written(quote="", escape="\\"),
    "none": Written(quote=""),
    "single": Written(quote="'", always=True),
}
_SEPARATORS = (",", ",", ";", "\t", "|", "::", " | ", "\x01", "||")


def _csv(rows: list[Row], draw: random.Random, layout: Layout) -> Format:
    by_row = random.Random(draw.random())
    columns = columns_of(rows)
    if draw.random() < 0.5:
        columns.append("unused")
    draw.shuffle(columns)
    every = [*columns, *(str(value) for row in rows for value in row.values())]
    separator, style = draw.choice(_SEPARATORS), draw.choice(list(_STYLES))
    dialect = _STYLES[style]
    if not dialect.quote and not dialect.escape and any(mark in value for value in every for mark in (*separator, "\n", "\r")):
        style, dialect = "minimal", Written()  # Nothing could tell these apart.
    dialect = Written(separator, dialect.quote, dialect.escape, draw.choice(["\n", "\r\n", "\r"]), dialect.always, draw.random() < 0.7)
    encoding, declared = _encoding(draw, "".join(every))
    dressing = draw.choice([None, None, None, "sep=", "comment", "title", "blank lines", "names again", "separator at the end", "spaces"])
    keys: Row = {"format": "csv", "separator": separator, "quote": dialect.quote, "escape": dialect.escape}
    keys = {key: value for key, value in keys.items() if value != {"separator": ",", "quote": '"', "escape": ""}.get(key)}
    if declared:
        keys["encoding"] = declared
    if not dialect.header:
        keys["header"] = columns
        dressing = dressing if dressing == "blank lines" else None
    if (dressing == "spaces" and (separator not in ",;" or not dialect.quote)) or (dressing == "sep=" and len(separator) > 1):
        dressing = None
    layout["csv"] = {"style": style, **vars(dialect), "encoding": encoding, "dressing": dressing}
    for dropped in ("encoding", "escape", "separator", "quote"):
        # Left for the reader to recognise: right, or an error. Nothing tells a backslash from an escape, nor quotes around a value from
        # quotes that are part of it; where no quotes stand around values, an escape is a backslash like any other.
        bare = not dialect.quote
        untold = {"escape": bare or any("\\" in value for value in every), "quote": bare and any(v[:1] == '"' for v in every)}
        if dropped in keys and not untold.get(dropped) and draw.random() < 0.04:
            del keys[dropped]
            layout.declared = False
            layout["undeclared"] = dropped

    def value(row: Row, key: str) -> str:
        if key == "unused":
            return by_row.choice(["", "x", "15", *(["1,5", 'say "hi"'] if style in ("minimal", "all", "some") else [])])
        return "" if row.get(key) is None else str(row[key])

    def line(values: list[str]) -> str:
        quoted = Written(separator, dialect.quote, dialect.escape, always=True)
        some = [csv_value(each, quoted if style == "some" and by_row.random() < 0.3 else dialect) for each in values]
        joined = separator + (" " if dressing == "spaces" else "")
        return joined.join(some) + (separator if dressing == "separator at the end" else "")

    def content(some: list[Row]) -> bytes:
        names = [key for key in columns if key == "unused" or any(key in row for row in some)] if dialect.header else columns
        if dialect.header:
            by_row.shuffle(names)
        lines = [line([value(row, key) for key in names]) for row in some]
        head = [line(names)] if dialect.header else []
        match dressing:
            case "sep=":
                head = [f"sep={separator}", *head]
            case "comment":
                head = ["# exported by night", *head]
            case "title":
                head = ["Report of February", "", *head]
            case "names again":
                lines.insert(by_row.randrange(len(lines) + 1), head[0])
            case "blank lines":
                lines.insert(by_row.randrange(len(lines) + 1), "")
        return (dialect.line_end.join([*head, *lines]) + by_row.choice([dialect.line_end, ""])).encode(encoding)

    return draw.choice([".csv", ".CSV", ".txt"]), keys, content


def _zipped(content: bytes, name: str) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, content)
    return out.getvalue()


def _compressed(content: bytes, name: str, draw: random.Random) -> tuple[bytes, str]:
    """The content, packed or not, and what is put behind the file's name."""
    kinds = {"gz": gzip.compress, "zst": zstandard.compress, "bz2": bz2.compress, "xz": lzma.compress}
    kind = draw.choice(["", "", "", "zip", *kinds])
    if not kind:
        return content, ""
    packed = _zipped(content, name) if kind == "zip" else kinds[kind](content)
    return packed, draw.choice(["", f".{kind}"])
