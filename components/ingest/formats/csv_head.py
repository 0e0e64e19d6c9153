"""Read the top of a CSV file: find the line of column names, and check that the rows below are written as declared."""

import re
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from components.contract.errors import InputError
from components.contract.sources import Files
from components.ingest.formats.csv_dialect import Dialect, Scanner, fields_of, other_separator, remedy
from components.ingest.formats.csv_scan import AT, CUT, FULL, NUL, OPEN, QUOTE_LINE, ROW_AT, ROWS, TEXT_END, UNEVEN
from components.ingest.sources.column_selection import ColumnSelection

HEAD_ROWS = 100  # that are checked
TEXT_BYTES = 1 << 20  # more than these take
_ABOVE = 50  # lines that may precede the names
_WRAPPED = 3  # values in quotes that aren't the declared ones, of three: no accident
_SHOWN_BYTES = 80  # of a row in an error
_SEP = re.compile(rb'"?sep=(.)"?', re.IGNORECASE)
_JSON = re.compile(rb"\s*(\[\s*)?\{\s*\"[^\"\n]*\"\s*:")
_LINE_END = re.compile(rb"\r\n|\r|\n")
_BLANKS = " \t\ufeff\u200b\xa0"


@dataclass(frozen=True)
class Head:
    """The header of a file, and where its rows begin."""

    dialect: Dialect  # as declared, or by a line `sep=;`
    names: tuple[str, ...]  # of all columns
    header: bytes  # its line's bytes
    at: int  # first byte of the rows
    line: int  # first line of the rows
    above: int = 0  # lines above the names that are no rows


@dataclass(frozen=True)
class _Row:
    text: bytes
    line: int
    first: int
    end: int
    count: int
    dialect: Dialect

    @cached_property
    def fields(self) -> tuple[str, ...]:
        return tuple(fields_of(self.text, self.dialect))


def read_head(path: str, text: bytes, files: Files, selection: ColumnSelection, *, dialect: Dialect, final: bool) -> Head | None:
    """Find the names of the columns and compare them with those requested.

    Args:
        path: what errors call the file.
        text: its beginning.
        files: how the dataset file declares it.
        selection: the columns to read; gets the absent ones.
        dialect: the one declared.
        final: whether `text` is the whole file.

    Returns:
        None for a file without a row.

    Raises:
        InputError: a column is missing or repeated, or most of the first rows aren't written as declared.
    """
    if "\0" in text[:HEAD_ROWS].decode("latin-1") and text[:HEAD_ROWS].count(0) > HEAD_ROWS // 4:
        raise InputError(f"{path}: expected text, met {text[:8]!r}; if it is text, give its `encoding`")
    if _JSON.match(text):
        raise InputError(f"{path}: expected CSV, met JSON: {shown(text[:30])}; give `format: jsonl`")
    dialect, start, line = _declared_in_file(path, text, files, dialect)
    rows = _first_rows(path, text, dialect, start, line, final=final)
    if not rows:
        return None
    head = _named_elsewhere(files.header, rows[0], dialect) if files.header else _named_in_file(rows, dialect, selection)
    missing = bool(set(selection.columns) - set(head.names))
    selection.check(path, list(head.names), hint=_hint(head.header, dialect, selection) if missing and head.header else "")
    below = [row for row in rows if row.first >= head.at]
    separator = dialect.separator.encode()
    if below and all(row.count == len(head.names) + 1 and row.text.rstrip(b" ").endswith(separator) for row in below):
        head = replace(head, names=(*head.names, ""))  # each row ends with a separator
    _check_rows(path, text, head, below, final=final)
    return head


def _declared_in_file(path: str, text: bytes, files: Files, dialect: Dialect) -> tuple[Dialect, int, int]:
    """Apply a first line such as `sep=;`, which Excel reads and writes."""
    first = _LINE_END.split(text[:TEXT_BYTES], maxsplit=1)[0]
    match = _SEP.fullmatch(first)
    if not match:
        return dialect, 0, 1
    separator = match[1].decode("utf-8", "replace")
    if files.declares_separator and separator != files.separator:
        raise InputError(
            f"{path}, line 1: the file says that {separator!r} parts its columns, and the dataset file says {files.separator!r}; keep one"
        )
    return replace(dialect, separator=separator), len(first), 1


def _first_rows(path: str, text: bytes, dialect: Dialect, start: int, line: int, *, final: bool) -> list[_Row]:
    scanner = Scanner(dialect, fields=-1, slots=np.empty(0, np.int32), rows=HEAD_ROWS, line=line)
    scanner.state[AT] = start
    ended = scanner.scan(text, final=final)
    notes = (note for note in scanner.notes.tolist() if not note[4] & CUT)
    rows = [_Row(text[first:end], row_line, first, end, count, dialect) for first, end, count, row_line, _, _ in notes]
    if ended not in (TEXT_END, FULL):
        fields = len(rows[0].fields) if rows else -1
        raise quote_fault(path, text, scanner, ended, dialect, fields, final=final)
    return rows


def quote_fault(path: str, text: bytes, scanner: Scanner, ended: int, dialect: Dialect, fields: int, *, final: bool) -> InputError:
    """Return the error of a quote that isn't closed, or of text after one that is."""
    first, line = int(scanner.state[ROW_AT]), int(scanner.state[QUOTE_LINE])
    advice = remedy(text[first : first + TEXT_BYTES], dialect, fields, final=final and len(text) <= first + TEXT_BYTES)
    mark = dialect.quote
    if ended == OPEN:
        problem = f"met a quote ({mark}) that is never closed"
    else:
        at = int(scanner.state[AT])
        problem = f"met {shown(text[max(first, at - 30) : at + 20])} where a quoted value ended" if at < len(text) else "met a stray quote"
    where = f"{path}, line {line:,}"
    return InputError(
        f"{where}: expected a quoted value to end with a quote and a separator, {problem};"
        f" {advice or 'correct the line: a quote within a quoted value is doubled'}"
    )


def shown(row: bytes) -> str:
    """Format a piece of a row for an error."""
    text = row.decode("utf-8", "replace")
    return repr(text if len(text) <= _SHOWN_BYTES else f"{text[:_SHOWN_BYTES]}…")


def _named_elsewhere(header: tuple[str, ...], first: _Row, dialect: Dialect) -> Head:
    if tuple(name.strip(_BLANKS) for name in first.fields) == header:
        return _below(first, header, dialect, above=0)  # the file has such a line after all
    return Head(dialect, header, b"", first.first, first.line)


def _named_in_file(rows: list[_Row], dialect: Dialect, selection: ColumnSelection) -> Head:
    """Return the first line that has all columns needed, if the lines above can't be rows; else the first that is no
    comment."""
    needed = set(selection.columns) - selection.optional
    folded = {name.casefold() for name in selection.columns}
    for above, row in enumerate(rows[:_ABOVE]):
        names = [name.strip(_BLANKS) for name in row.fields]
        if names[0].startswith("#") and not needed <= set(names):
            names[0] = names[0].lstrip("# ")
        if needed <= set(names):
            values = len([name for name in names if name])
            if any(not _is_title(before, values, folded) for before in rows[:above]):
                break
            strip = len(names) > 1 and _spaced(row.text, dialect)
            return _below(row, tuple(names), replace(dialect, strip=strip), above=above)
    named = next((row for row in rows if not row.text.startswith(b"#")), rows[0])
    return _below(named, tuple(name.strip(_BLANKS) for name in named.fields), dialect, above=rows.index(named))


def _spaced(header: bytes, dialect: Dialect) -> bool:
    """Return whether a space follows each separator, also before quotes."""
    mark = re.escape(dialect.quote.encode())
    outside_quotes = re.sub(mark + b"[^" + mark + b"]*" + mark, b"", header) if mark else header
    return all(part.startswith(b" ") for part in outside_quotes.split(dialect.separator.encode())[1:])


def _is_title(row: _Row, values: int, columns: set[str]) -> bool:
    """Return whether a line above the names is a comment, or has fewer values than there are columns and none that
    is a column's name."""
    if row.text.startswith(b"#"):
        return True
    filled = [value.strip(_BLANKS).casefold() for value in row.fields if value.strip(_BLANKS)]
    return len(filled) < values and not columns & set(filled)


def _below(row: _Row, names: tuple[str, ...], dialect: Dialect, *, above: int) -> Head:
    return Head(dialect, names, row.text, row.end, row.line + len(_LINE_END.findall(row.text)), above)


def _hint(header: bytes, dialect: Dialect, selection: ColumnSelection) -> str:
    if advice := other_separator(header, dialect, selection.columns):
        return advice
    fields = fields_of(header, dialect)
    if dialect.quote != "'" and all(len(name) > 1 and name[0] == name[-1] == "'" for name in fields):
        return 'its names stand in single quotes: give `quote: "\'"`'
    names = {name.strip(_BLANKS).casefold() for name in fields}
    if not names & {name.casefold() for name in selection.columns}:
        return f"its first line is {shown(header)}: if that is a row and no header, name the columns with `header: [...]`"
    return ""


def _check_rows(path: str, text: bytes, head: Head, rows: list[_Row], *, final: bool) -> None:
    """Raise InputError where most of the first rows aren't rows as declared."""
    scanner = Scanner(head.dialect, fields=len(head.names), slots=np.empty(0, np.int32), rows=HEAD_ROWS, line=head.line)
    scanner.state[AT] = head.at
    scanner.scan(text, final=final)
    wrong = [note for note in scanner.notes.tolist() if note[4] & (UNEVEN | NUL)]
    if len(wrong) <= int(scanner.state[ROWS]):
        return
    first, end, count, line, bits, _ = wrong[0]
    where, excerpt = f"{path}, line {line:,}", shown(text[first:end])
    if bits & NUL:
        raise InputError(f"{where}: expected text, met a zero byte in {excerpt}; take these bytes out, or give the file's `encoding`")
    names = "`header` has names" if not head.header else "there are names of columns"
    advice = remedy(text[first : first + TEXT_BYTES], head.dialect, len(head.names), final=final)
    if not advice:
        advice = "put values that hold the separator in quotes"
        if all(note[2] == len(head.names) + 1 for note in wrong):
            advice = "name every column in the header, also one of row numbers; " + advice
    raise InputError(f"{where}: expected {len(head.names):,} values, as {names}, got {count:,}: {excerpt}; {advice}")


def check_wrapped(path: str, name: str, values: list[str], dialect: Dialect) -> None:
    """Raise InputError for a column all of whose first values are in quotes that aren't the declared ones: they
    would be taken for text."""
    filled = [value for value in values if value]
    if len(filled) < _WRAPPED:
        return
    for mark, advice in (("'", 'give `quote: "\'"`'), ('"', "leave `quote` out")):
        wrapped = mark != dialect.quote and all(len(value) > 1 and value[0] == value[-1] == mark for value in filled)
        if wrapped and not (mark == "'" and not dialect.quote):
            raise InputError(f"{path}: each value of column {name!r} stands in {mark}, such as {filled[0]!r}: {advice}")
