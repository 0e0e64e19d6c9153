"""A JSON Lines file as frames: one object a line, one column a key."""

import io
import json
from collections.abc import Iterator
from typing import Any

import polars as pl

from components.contract.errors import InputError
from components.ingest.text_files import open_text
from components.ingest.wanted import Wanted


def json_frames(path: str, wanted: Wanted, *, chunk_bytes: int, encoding: str | None = None) -> Iterator[pl.DataFrame]:
    """Read the columns of a file, some `chunk_bytes` of it at a time; null where a row leaves a key out.

    Raises:
        InputError: the file can't be read, a line is no object, a column is of several types, or no row has it.
    """
    seen: set[str] = set()
    for line, lines in _whole_lines(path, chunk_bytes, encoding):
        if lines.strip():
            frame = _parsed(path, lines, line)
            seen |= set(frame.columns)
            # A chunk may lack a column because its rows leave it out.
            missing = [pl.lit(None).alias(name) for name in wanted.columns if name not in frame.columns]
            yield frame.with_columns(missing).select(wanted.columns)
    if seen:
        wanted.check(path, sorted(seen))


def _whole_lines(path: str, chunk_bytes: int, encoding: str | None) -> Iterator[tuple[int, bytes]]:
    """Some lines at a time, and the number of the first of them."""
    line, rest = 1, b""
    try:
        with open_text(path, encoding) as stream:
            while chunk := stream.read(chunk_bytes):
                lines, end, rest = (rest + chunk).rpartition(b"\n")
                if end:
                    yield line, lines
                    line += lines.count(b"\n") + 1
    except (OSError, EOFError) as error:
        raise InputError(f"{path}: can't be read after line {line - 1}: {error}; is the file whole?") from None
    yield line, rest


def _parsed(path: str, lines: bytes, first_line: int) -> pl.DataFrame:
    try:
        return pl.read_ndjson(io.BytesIO(lines), infer_schema_length=None)
    except (pl.exceptions.PolarsError, UnicodeDecodeError) as error:
        _require_objects(path, lines, first_line)
        raise InputError(f"{path}: can't be read as JSON Lines near line {first_line}: {error}; keep to one type a column") from None


def _require_objects(path: str, lines: bytes, first_line: int) -> None:
    """Raise InputError for the first line that is no object, or has a value of another type than a line before it."""
    types: dict[str, tuple[int, str]] = {}
    for at, line in enumerate(lines.split(b"\n"), first_line):
        if not line.strip():
            continue
        try:
            values = json.loads(line)
        except ValueError:
            values = None
        if not isinstance(values, dict):
            got = repr(line[:80].decode(errors="replace"))
            raise InputError(f"{path}, line {at}: expected one JSON object, got {got}; correct the line, or take it out")
        for name, value in values.items():
            kind = _kind(value)
            before, expected = types.setdefault(name, (at, kind)) if kind else (at, kind)
            if kind != expected:
                raise InputError(f"{path}, line {at}: column {name!r} has {kind}, and {expected} in line {before}; keep to one type")


def _kind(value: Any) -> str:
    """What a value is, where that can't be mixed; "" for what goes with everything: nothing, and text."""
    match value:
        case bool():
            return "true or false"
        case int() | float():
            return "a number"
        case list():
            return "a list"
        case dict():
            return "an object"
    return ""
