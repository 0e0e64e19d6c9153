"""Split rows by the CSV dialect that the dataset file declares, and propose the right one where the file has
another."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from components.contract.sources import Files
from components.ingest.formats.csv_scan import (
    FULL,
    LINE,
    NOTE_FIELDS,
    NOTES,
    NUL,
    ROWS,
    STATE_SIZE,
    TEXT_END,
    UNEVEN,
    Bytes,
    Columns,
    RowArrays,
    Syntax,
    byte_kinds,
    copy_values,
    scan_rows,
)

_TRIED_ROWS = 20  # of a piece of text that another dialect is tried on
_SEPARATORS = (",", ";", "\t", "|", "::")


@dataclass(frozen=True)
class Dialect:
    """A separator, a quote and an escape ("": none); `strip`: spaces before a value are no part of it."""

    separator: str
    quote: str
    escape: str
    strip: bool = False

    @property
    def quote_byte(self) -> int:
        """The quote's byte, -1 for none."""
        return ord(self.quote) if self.quote else -1

    @property
    def escape_byte(self) -> int:
        """The escape's byte, -1 for none."""
        return ord(self.escape) if self.escape else -1


def dialect_of(files: Files, path: str) -> Dialect:
    """Return the dialect that the dataset file declares; a `.tsv` has tabs unless it says otherwise."""
    tabs = ".tsv" in path.rpartition("/")[2].lower() and not files.declares_separator
    return Dialect("\t" if tabs else files.separator, files.quote, files.escape)


def as_bytes(text: bytes) -> Bytes:
    """Return bytes as a read-only array, of one type for compiled code."""
    array = np.frombuffer(text, np.uint8) if text else np.zeros(0, np.uint8)
    array.flags.writeable = False
    return array


class Scanner:
    """Split text into rows, some at a time, by `scan_rows`, into arrays that are reused."""

    def __init__(
        self,
        dialect: Dialect,
        *,
        fields: int,
        slots: NDArray[np.int32],
        rows: int,
        line: int = 1,
        header: bytes = b"",
        names: tuple[str, ...] = (),
    ) -> None:
        separator = dialect.separator.encode()
        self._dialect = dialect
        outside, within = byte_kinds(separator, dialect.quote_byte, dialect.escape_byte)
        self._syntax = Syntax(outside, within, as_bytes(separator), dialect.quote_byte, dialect.strip)
        padded = np.full(max(fields, 0), -1, np.int32)  # compiled code doesn't check where an array ends
        padded[: len(slots)] = slots
        encoded = [name.encode() for name in names]
        name_ends = np.cumsum([len(name) for name in encoded], dtype=np.int64)
        self._columns = Columns(fields, padded, as_bytes(header), as_bytes(b"".join(encoded)), name_ends)
        kept = int(slots.max(initial=-1)) + 1
        self._starts, self._lengths = np.empty((kept, rows), np.int32), np.empty((kept, rows), np.int32)
        self._lines, self._notes = np.empty(rows, np.int64), np.empty((rows, NOTE_FIELDS), np.int64)
        self.state = np.zeros(STATE_SIZE, np.int64)
        self.state[LINE] = line
        self._literal = np.zeros(256, np.bool_)
        self._literal[[10, 13, ord('"'), separator[0], *(ord(mark) for mark in (dialect.quote, dialect.escape) if mark)]] = True
        self._text = as_bytes(b"")

    def scan(self, text: bytes, *, final: bool) -> int:
        """Find the next rows of a text; `state` holds where to begin, and afterwards where the scan ended."""
        self._text = as_bytes(text)
        out = RowArrays(self._starts, self._lengths, self._lines, self._notes, self.state)
        return scan_rows(self._text, final, self._syntax, self._columns, out)

    @property
    def lines(self) -> NDArray[np.int64]:
        """The line of each row."""
        return self._lines[: self.state[ROWS]]

    @property
    def notes(self) -> NDArray[np.int64]:
        """The rows that were noted."""
        return self._notes[: self.state[NOTES]]

    def values(self, slot: int) -> tuple[NDArray[np.int64], Bytes]:
        """Return a column's values concatenated, and where each begins."""
        lengths = self._lengths[slot, : self.state[ROWS]]
        size = int(np.where(lengths < 0, -1 - lengths, lengths).sum(dtype=np.int64))
        offsets, out = np.empty(len(lengths) + 1, np.int64), np.empty(size, np.uint8)
        starts = self._starts[slot, : len(lengths)]
        copy_values(self._text, starts, lengths, self._dialect.quote_byte, self._dialect.escape_byte, self._literal, offsets, out)
        return offsets, out[: offsets[-1]]


def fields_of(row: bytes, dialect: Dialect) -> list[str]:
    """Return the fields of one row, as text."""
    count = Scanner(dialect, fields=-1, slots=np.empty(0, np.int32), rows=1)
    count.scan(row, final=True)
    if not len(count.notes):
        return []
    number = int(count.notes[0][2])
    scanner = Scanner(dialect, fields=number, slots=np.arange(number, dtype=np.int32), rows=1)
    scanner.scan(row, final=True)
    if not scanner.state[ROWS]:
        return row.decode("utf-8", "replace").split(dialect.separator)
    return [bytes(scanner.values(slot)[1]).decode("utf-8", "replace") for slot in range(number)]


def other_separator(header: bytes, dialect: Dialect, columns: tuple[str, ...]) -> str:
    """Return the advice for a header in which another separator finds more of the columns; "" if none does."""

    def has(separator: str) -> int:
        names = {name.strip() for name in fields_of(header, replace(dialect, separator=separator))}
        return len(names & set(columns))

    best = max(_SEPARATORS, key=has)
    if has(best) > has(dialect.separator):
        return f"its columns are parted by {best!r}: give `separator: {_yaml(best)}`"
    return ""


def remedy(text: bytes, dialect: Dialect, fields: int, *, final: bool) -> str:
    """Return the advice for a row that can't be split as declared: the dialect in which it and those after it can be,
    if there is one.

    Args:
        text: of the file, from that row on.
        dialect: the one declared.
        fields: how many a row should have.
        final: whether the text ends with the file.
    """
    for other, advice in _others(dialect, text):
        scanner = Scanner(other, fields=fields, slots=np.empty(0, np.int32), rows=_TRIED_ROWS)
        ended = scanner.scan(text, final=final)
        bits = scanner.notes[:, 4]
        if ended in (TEXT_END, FULL) and scanner.state[ROWS] and not (bits & (UNEVEN | NUL)).any():
            return advice
    return ""


def _others(dialect: Dialect, text: bytes) -> Iterator[tuple[Dialect, str]]:
    if not dialect.escape and b"\\" in text:
        yield replace(dialect, escape="\\"), 'a backslash stands before characters within values: give `escape: "\\\\"`'
    if dialect.quote != "'" and b"'" in text:
        yield replace(dialect, quote="'"), 'values stand in single quotes: give `quote: "\'"`'
    if dialect.quote != '"' and b'"' in text:
        yield replace(dialect, quote='"'), "values stand in double quotes: leave `quote` out"
    if dialect.quote:
        yield replace(dialect, quote=""), 'quotes are part of the text: give `quote: ""`, or correct the line'


def _yaml(text: str) -> str:
    return '"\\t"' if text == "\t" else f'"{text}"'
