"""Read a file of JSON objects as frames: one object a row, one column a key or a path into it.

JSON Lines, objects over several lines, and a JSON array of objects are read alike. Only requested keys are parsed.
"""

import json
from collections.abc import Generator, Iterator
from typing import Any

import numpy as np
import polars as pl

from components.contract.errors import InputError
from components.contract.sources import Files
from components.ingest.counts import LINE, Counts
from components.ingest.formats import json_scan as scan
from components.ingest.formats.json_rows import frame_of, row_plan
from components.ingest.formats.json_scan import Bytes, Numbers
from components.ingest.formats.json_values import (
    Column,
    Keys,
    RowFault,
    Scanner,
    Values,
    empty_spans,
    fault_text,
    values_at,
)
from components.ingest.formats.text_files import open_text
from components.ingest.sources.blocks import BLOCK_ROWS
from components.ingest.sources.column_selection import ColumnSelection, missing_column

LONGEST_ROW = 1 << 30  # bytes: a bracket that is never closed would take the whole file
EMPTY_ARRAY = "rows whose array to unnest is empty"
_SHOWN = 80  # characters of a line in an error
_SAMPLE_BYTES = 1 << 20  # in which the names of columns are looked up for an error
_DEEPEST = 4  # names of columns in an error


def json_frames(path: str, files: Files, selection: ColumnSelection, counts: Counts, *, chunk_bytes: int) -> Iterator[pl.DataFrame]:
    """Read the columns of a file, some `chunk_bytes` of it at a time; null where a row leaves a key out.

    A frame has the column LINE besides, where a row's number isn't its line.

    Args:
        path: the file.
        files: how it is written, and which array becomes rows.
        selection: keys of the objects, or paths into them; gets the absent ones.
        counts: gets the objects whose array is empty.
        chunk_bytes: how many bytes are read at a time.

    Raises:
        InputError: the file can't be read, a row is no object, a column is of several types, or no row has it.
    """
    unnest, plan, scanner = files.unnest, row_plan(selection.columns, files.unnest), Scanner()
    made, array = {name: Column(name) for name in selection.columns}, Column(plan.unnest)
    rows, objects, waiting = 0, 0, None
    for top, lines in _scanned(path, plan.keys, scanner, _chunks(path, files.encoding, chunk_bytes)):
        try:
            frame, empty = frame_of(plan, top, lines, made, array, scanner)
        except RowFault as fault:
            raise InputError(f"{path}, line {int(lines[fault.row]) + 1:,}: {fault.text}") from None
        counts.add("rows read", empty)
        counts.add(f"left out: {EMPTY_ARRAY}", empty)
        if unnest is None and np.array_equal(lines, np.arange(objects, objects + len(lines))):
            frame = frame.drop(LINE)
        rows, objects = rows + len(frame), objects + len(lines)
        # The last frame waits until it is known that no column is missing.
        if waiting is not None:
            yield waiting
        waiting = frame if len(frame) else None
    if objects:
        if unnest is not None and not array.seen:
            raise missing_column(path, unnest, sorted(_known_names(path, files.encoding)))
        missing = {name for name in selection.columns if not made[name].seen and (rows or name not in plan.of_elements)}
        for name in sorted(missing & set(plan.faults)):
            raise InputError(f"{path}: expected a column {name!r}, which isn't there, and as a path it can't be read: {plan.faults[name]}")
        known = _known_names(path, files.encoding) if missing else set()
        selection.check(path, sorted((known | set(selection.columns)) - missing))
    if waiting is not None:
        yield waiting


def _scanned(path: str, keys: Keys, scanner: Scanner, chunks: Iterator[bytes]) -> Iterator[tuple[dict[str, Values], Numbers]]:
    """Yield the requested members of some rows at a time, and the line of each row from 0."""
    state, rest = scanner.state, b""
    for chunk in chunks:
        rest = yield from _of_buffer(path, rest + chunk, keys, scanner, final=not chunk)
        if len(rest) > LONGEST_ROW:
            line, shown = int(state[scan.LINE]) + 1, rest[:_SHOWN].decode(errors="replace").split("\n")[0]
            raise InputError(
                f"{path}, line {line:,}: expected a JSON object, got {shown!r}, which hasn't ended after {LONGEST_ROW:,} bytes;"
                " is a bracket of it closed?"
            )


def _chunks(path: str, encoding: str | None, chunk_bytes: int) -> Iterator[bytes]:
    """Yield a file's bytes in UTF-8, and b"" at its end."""
    with open_text(path, encoding) as stream:
        while chunk := stream.read(chunk_bytes):
            yield chunk
    yield b""


def _of_buffer(
    path: str, content: bytes, keys: Keys, scanner: Scanner, *, final: bool
) -> Generator[tuple[dict[str, Values], Numbers], None, bytes]:
    """Yield the rows of a buffer; return the rest of it, which is the beginning of a row."""
    buffer, state = np.frombuffer(content or b" ", np.uint8), scanner.state
    # A line end of two bytes isn't torn.
    end = len(buffer) - 1 if not final and content.endswith(b"\r") else len(buffer)
    state[scan.AT] = 0
    current = empty_spans(len(keys.names), 1)
    while True:
        room = min(BLOCK_ROWS, (end - int(state[scan.AT])) // 2 + 1)
        arenas = np.empty((len(keys.names), end - int(state[scan.AT])), np.uint8)
        out = scan.RowArrays(empty_spans(len(keys.names), room), arenas, np.empty(room, np.int64), current)
        rows = scan.scan_rows(buffer, end, final, keys.table, out, scanner.work)
        if rows:
            top = {name: values_at(arenas[at], out.values, (at, slice(rows)), packed=True) for at, name in enumerate(keys.names)}
            yield top, out.lines[:rows]
        if state[scan.FAULT]:
            raise _refusal(path, buffer, keys, state)
        if rows < room:  # all that the buffer holds
            return content[int(state[scan.AT]) :]


def _refusal(path: str, buffer: Bytes, keys: Keys, state: Numbers) -> InputError:
    """Return the error for the fault at which the scan of rows stopped."""
    code, line = int(state[scan.FAULT]), int(state[scan.BEGUN_LINE]) + 1
    where = f"{path}, line {line:,}"
    if code in (scan.DOUBLED, scan.WORD, scan.SURROGATE, scan.ESCAPE):
        return InputError(f"{where}: {fault_text(code, keys.names[state[scan.FAULT_KEY]], buffer, int(state[scan.FAULT_AT]))}")
    if code == scan.DEEP:
        return InputError(f"{where}: the object is nested more than {scan.MAX_DEPTH:,} deep; flatten it, or take the line out")
    begun = int(state[scan.BEGUN_AT])
    # The line from its beginning, unless it is a long one that holds a whole array.
    start = bytes(buffer[max(0, begun - _SHOWN) : begun]).rpartition(b"\n")
    shown = _line(buffer, begun - len(start[2]) if start[1] or begun < _SHOWN else begun)
    if code == scan.INCOMPLETE:
        if not shown:
            return InputError(f"{where}: expected ] at the end of the file's array, got nothing; is the file whole?")
        text = f"expected one JSON object, got {shown!r}, where the file ends"
        return InputError(f"{where}: {text}; is the file whole? If it is, take the line out")
    remedy = "correct the line, or take it out"
    if line == 1 and not shown.lstrip("[ ").startswith("{"):
        remedy = "is it a file of JSON objects, as its `format` or its ending says?"
    elif int(state[scan.LINE]) + 1 != line:
        stopped = _line(buffer, int(state[scan.FAULT_AT]))
        remedy = f"it goes on with {stopped!r} in line {int(state[scan.LINE]) + 1:,}; {remedy}"
    return InputError(f"{where}: expected one JSON object, got {shown!r}; {remedy}")


def _line(buffer: Bytes, start: int) -> str:
    return bytes(buffer[start : start + _SHOWN]).partition(b"\n")[0].strip().decode(errors="replace")


def _known_names(path: str, encoding: str | None) -> set[str]:
    """Return the names of keys and paths at the beginning of a file."""
    with open_text(path, encoding) as stream:
        text = stream.read(_SAMPLE_BYTES).decode(errors="replace")
    names: dict[str, None] = {}
    decoder, at = json.JSONDecoder(), 0
    while at < len(text):
        if text[at] != "{":
            at += 1
            continue
        try:
            value, at = decoder.raw_decode(text, at)
        except ValueError:
            break
        names |= dict.fromkeys(_names_in(value, ""))
    return set(names)


def _names_in(value: Any, before: str, depth: int = 1) -> Iterator[str]:
    if isinstance(value, list):
        value = next((element for element in value if isinstance(element, dict)), None)
    if isinstance(value, dict):
        for key, inner in value.items():
            yield f"{before}{key}"
            if depth < _DEEPEST:
                yield from _names_in(inner, f"{before}{key}.", depth + 1)
