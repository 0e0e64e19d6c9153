"""Read a CSV file as frames of text columns, each row with its line."""

from collections.abc import Iterator
from typing import cast

import numpy as np
import polars as pl
import pyarrow as pa

from components.contract.errors import InputError
from components.contract.sources import Files
from components.ingest.counts import Counts
from components.ingest.formats.csv_dialect import Scanner, dialect_of, fields_of
from components.ingest.formats.csv_head import HEAD_ROWS, TEXT_BYTES, Head, check_wrapped, quote_fault, read_head, shown
from components.ingest.formats.csv_scan import AT, CUT, FULL, HEADER, LINE, NAMED, NUL, SWALLOWING, TEXT_END, UNEVEN
from components.ingest.formats.text_files import TextFile, open_text
from components.ingest.sources.blocks import FILE, ROW
from components.ingest.sources.column_selection import ColumnSelection

FRAME_ROWS = 500_000
ROW_BYTES = 256 << 20  # a row that is longer is none
UNEVEN_ROW, ZERO_BYTE = "a CSV row has too few or too many fields", "a CSV row has a zero byte"
TORN = "the file ends within a CSV row"
AGAIN = "left out: a CSV file's header that stands again among the rows"
ABOVE = "left out: lines above a CSV file's header"
SWALLOWED = "in one value: lines of a CSV file that look like rows"
_NAMED_ROWS = 1_000  # of a frame that are checked for being another header


def csv_frames(path: str, files: Files, selection: ColumnSelection, counts: Counts, *, chunk_bytes: int) -> Iterator[pl.DataFrame]:
    """Read a CSV file in frames of at most half a million rows, with ROW: the row's line from 0, not counting the
    header's.

    Args:
        path: of the file.
        files: how it is written.
        selection: the columns to read; gets the absent ones.
        counts: gets the lines that aren't rows.
        chunk_bytes: how many bytes to read at a time.

    Raises:
        InputError: the file can't be read, isn't written as declared, or lacks a column.
    """
    with open_text(path, files.encoding) as stream:
        text, final = _top(stream, chunk_bytes)
        head = read_head(path, text, files, selection, dialect=dialect_of(files, path), final=final)
        if head is None:
            return
        yield from _Rows(path, head, selection, counts).frames(stream, text, final=final, chunk_bytes=chunk_bytes)


def _top(stream: TextFile, chunk_bytes: int) -> tuple[bytes, bool]:
    """Read at least the first rows of a file; return them, and whether they are all of it."""
    text = b""
    while text.count(b"\n") + text.count(b"\r") < 3 * HEAD_ROWS and len(text) < TEXT_BYTES:
        chunk = stream.read(chunk_bytes)
        if not chunk:
            return text, True
        text += chunk
    return text, False


class _Rows:
    def __init__(self, path: str, head: Head, selection: ColumnSelection, counts: Counts) -> None:
        self._path, self._head, self._counts = path, head, counts
        self._first_line = 2 if head.header else 1
        self._columns = tuple(name for name in selection.columns if name in head.names)
        slots = np.full(len(head.names), -1, np.int32)
        for slot, name in enumerate(self._columns):
            slots[head.names.index(name)] = slot
        names = tuple(name for name in head.names if name) if head.header else ()
        self._scanner = Scanner(
            head.dialect, fields=len(head.names), slots=slots, rows=FRAME_ROWS, line=head.line, header=head.header, names=names
        )
        counts.add("rows read", head.above)
        counts.add(ABOVE, head.above)

    def frames(self, stream: TextFile, text: bytes, *, final: bool, chunk_bytes: int) -> Iterator[pl.DataFrame]:
        """Yield all rows; `text` is what has been read so far."""
        scanner = self._scanner
        scanner.state[AT] = self._head.at
        first = True
        while True:
            ended = scanner.scan(text, final=final)
            frame = self._frame(text, checked=first)
            if len(frame):
                first = False
                yield frame
            if ended == TEXT_END and final:
                return
            if ended not in (TEXT_END, FULL):
                raise quote_fault(self._path, text, scanner, ended, self._head.dialect, len(self._head.names), final=final)
            if ended == TEXT_END:
                text = text[scanner.state[AT] :]
                scanner.state[AT] = 0
                if len(text) > ROW_BYTES:
                    line = int(scanner.state[LINE])
                    raise InputError(f"{self._path}, line {line:,}: a row is longer than {ROW_BYTES >> 20:,} MB; is a quote never closed?")
                # Read as much again as is kept, lest a long row is scanned from its beginning too often.
                chunk = stream.read(max(chunk_bytes, len(text)))
                text, final = text + chunk, not chunk

    def _frame(self, text: bytes, *, checked: bool) -> pl.DataFrame:
        again = self._noted(text)
        lines = self._scanner.lines
        columns = [self._column(slot, name) for slot, name in enumerate(self._columns)]
        frame = pl.DataFrame([*columns, pl.Series(ROW, lines - self._first_line, pl.Int64)])
        if again:
            kept = np.ones(len(lines), np.bool_)
            kept[again] = False
            frame = frame.filter(pl.Series(kept))
        if checked and (self._head.dialect.quote != '"' or b'"' not in text[:TEXT_BYTES]):
            for name in self._columns:
                check_wrapped(self._path, name, frame[name].head(HEAD_ROWS).drop_nulls().to_list(), self._head.dialect)
        return frame

    def _column(self, slot: int, name: str) -> pl.Series:
        offsets, values = self._scanner.values(slot)
        filled = offsets[1:] != offsets[:-1]
        valid = None if filled.all() else pa.py_buffer(np.packbits(filled, bitorder="little"))
        array = pa.LargeStringArray.from_buffers(len(filled), pa.py_buffer(offsets), pa.py_buffer(values), valid)
        try:
            array.validate(full=True)
        except pa.ArrowInvalid:
            self._refuse_encoding(name, offsets, values)
        return cast(pl.Series, pl.from_arrow(array)).alias(name)

    def _refuse_encoding(self, name: str, offsets: np.ndarray[tuple[int], np.dtype[np.int64]], values: np.ndarray) -> None:
        for row in range(len(offsets) - 1):
            value = bytes(values[offsets[row] : offsets[row + 1]])
            try:
                value.decode()
            except UnicodeDecodeError:
                raise InputError(
                    f"{self._path}, line {self._scanner.lines[row]:,}: expected UTF-8 in column {name!r}, got {value[:80]!r};"
                    " give the file's `encoding`, such as cp1252 (Windows) or latin-1; if it has none, is the file whole?"
                ) from None

    def _noted(self, text: bytes) -> list[int]:
        """Count the lines that aren't rows; return the indices of rows that are repeated headers."""
        notes = self._scanner.notes
        bits = notes[:, 4]
        for reason, wrong in ((TORN, CUT), (ZERO_BYTE, NUL), (UNEVEN_ROW, UNEVEN)):
            self._reject(reason, notes[bits & (CUT | NUL | UNEVEN | HEADER) == wrong], text)
        self._reject(ZERO_BYTE, notes[bits & (CUT | NUL | UNEVEN | HEADER) == NUL | UNEVEN], text)
        again = int((bits & HEADER != 0).sum())
        self._left_out(again)
        self._swallowed(text, notes[bits & SWALLOWING != 0])
        others = [note for note in notes[bits & NAMED != 0][:_NAMED_ROWS].tolist() if self._is_header(text, note)]
        self._left_out(len(others))
        return [note[5] for note in others]

    def _left_out(self, number: int) -> None:
        self._counts.add("rows read", number)
        self._counts.add(AGAIN, number)

    def _reject(self, reason: str, notes: np.ndarray[tuple[int, int], np.dtype[np.int64]], text: bytes) -> None:
        self._counts.add("rows read", len(notes))
        samples = [
            {
                FILE: self._path,
                ROW: line - self._first_line,
                "expected": str(len(self._head.names)),
                "got": text[first:end].decode("utf-8", "replace"),
            }
            for first, end, _, line, _, _ in notes[:10].tolist()
        ]
        if samples:
            self._counts.reject(reason, pl.DataFrame(samples), number=len(notes))

    def _is_header(self, text: bytes, note: list[int]) -> bool:
        """Return whether a row repeats the header.

        Raises:
            InputError: it is a header of other columns, so that what follows would be read as what it isn't.
        """
        first, end, _, line, bits, row = note
        if bits & (HEADER | CUT):
            return False
        fields, names = [field.strip() for field in fields_of(text[first:end], self._head.dialect)], list(self._head.names)
        if row >= 0 and fields == names:
            return True
        alike = len({field for field in fields if field} & set(names))
        if alike > 1 and 2 * alike > len(fields):
            raise InputError(
                f"{self._path}, line {line:,}: met another header, {shown(text[first:end])}, below one of other columns;"
                " cut the file there into two"
            )
        return False

    def _swallowed(self, text: bytes, notes: np.ndarray[tuple[int, int], np.dtype[np.int64]]) -> None:
        """Count the lines that a quote joins to one row although each could be a row by itself."""
        for first, end, _, line, _, row in notes.tolist():
            pieces = text[first:end].decode("utf-8", "replace").splitlines()
            # Of two columns a line of prose with one comma would be a row as well: it must begin as this row does.
            if row < 0 or (len(self._head.names) == 2 and len({_shape(piece, self._head.dialect.separator) for piece in pieces}) > 1):
                continue
            sample = {FILE: self._path, ROW: line - self._first_line, "got": text[first:end].decode("utf-8", "replace")}
            self._counts.flaw(SWALLOWED, pl.DataFrame([sample]), number=len(pieces) - 1)


def _shape(line: str, separator: str) -> str:
    """Return the shape of a line's first field: runs of digits as 0, runs of letters as a."""
    kinds = ["0" if char.isdigit() else "a" if char.isalpha() else char for char in line.split(separator)[0]]
    return "".join(kind for at, kind in enumerate(kinds) if not at or kind != kinds[at - 1])
