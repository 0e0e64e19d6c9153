"""Recognise a CSV file's dialect: separator, quoting, escape, and whether its first line is a header."""

import csv
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from components.profiling.vocabulary import is_known_name

_SEPARATORS = (",", "\t", ";", "|", "::", "\x01", "^", "~")
_LINES = 400  # lines to look at
_NUMBER = re.compile(r"^[+-]?(\d+([.,]\d+)?|\.\d+)([eE][+-]?\d+)?$")
_TIME = re.compile(r"^\d{4}-\d\d-\d\d|^\d{1,2}[/.]\d{1,2}[/.]\d{2,4}")
_NAME = re.compile(r"^[^\W\d][\w .#()/:%$&+-]{0,60}$")


@dataclass(frozen=True)
class Dialect:
    """A CSV dialect; `quote` is "" where quotes are part of the text, `escape` is "" where they are doubled."""

    separator: str = ","
    quote: str = '"'
    escape: str = ""
    header: bool = True


def recognise_dialect(text: str) -> Dialect:
    """Choose the dialect under which most first lines have the same number of fields, then the most fields."""
    lines = text.splitlines()[:_LINES]
    best, best_score = Dialect(), -1.0
    for separator in _SEPARATORS:
        if not any(separator in line for line in lines[:20]):
            continue
        for quote, escape in _quotings(lines):
            dialect = Dialect(separator, quote, escape)
            score = _consistency(parse_lines(lines, dialect)) - _misplaced_quotes(lines, dialect)
            # Of equal scores the simplest: no quote, no escape.
            if score > best_score + 1e-9:
                best, best_score = dialect, score
    rows = parse_lines(lines, best)
    return Dialect(best.separator, best.quote, best.escape, has_header(rows))


def parse_lines(lines: Sequence[str], dialect: Dialect) -> list[list[str]]:
    """Parse rows of fields, without blank lines."""
    if len(dialect.separator) > 1:
        return [line.split(dialect.separator) for line in lines if line.strip()]
    reader = csv.reader(
        (f"{line}\n" for line in lines),
        delimiter=dialect.separator,
        quotechar=dialect.quote or None,
        quoting=csv.QUOTE_MINIMAL if dialect.quote else csv.QUOTE_NONE,
        doublequote=not dialect.escape,
        escapechar=dialect.escape or None,
    )
    rows: list[list[str]] = []
    previous = csv.field_size_limit(1 << 30)
    try:
        rows.extend([field.rstrip("\n") for field in row] for row in reader if any(field.strip() for field in row) or len(row) > 1)
    except csv.Error:
        pass  # A parse that stops early has few rows, and so a low score.
    finally:
        csv.field_size_limit(previous)
    return rows


def _quotings(lines: Sequence[str]) -> list[tuple[str, str]]:
    text = "\n".join(lines)
    if '"' not in text:
        return [('"', "")]
    quotings = [('"', ""), ("", "")]
    return [('"', "\\"), *quotings] if '\\"' in text else quotings


def _misplaced_quotes(lines: Sequence[str], dialect: Dialect) -> float:
    """Return the share of lines with text after a closing quote, as where quotes are part of the text."""
    if not dialect.quote or dialect.escape:
        return 0.0
    separator = re.escape(dialect.separator)
    misplaced = re.compile(rf'(?:^|{separator})"(?:[^"]|"")*"(?!"|{separator}|$)')
    return sum(bool(misplaced.search(line)) for line in lines) / max(len(lines), 1)


def _consistency(rows: Sequence[Sequence[str]]) -> float:
    """Score how far rows agree on a number of fields above one: their share, a little higher with more fields.

    A wrong quote joins many lines to few rows, and fields with line breaks are rare.
    """
    if not rows:
        return 0.0
    sizes = Counter(map(len, rows))
    size, number = sizes.most_common(1)[0]
    if size == 1:
        return 0.0
    swallowed = sum(field.count("\n") for row in rows for field in row) / (2 * len(rows))
    # Quotes at both ends of a field should have been removed.
    left = sum(len(field) > 1 and field[0] == field[-1] == '"' for row in rows for field in row) / (len(rows) * size)
    return number / len(rows) - min(swallowed, 0.5) - left + 0.01 * min(size, 50) / 50


def has_header(rows: Sequence[Sequence[str]]) -> bool:
    """Return whether the first row is a header: distinct names that aren't among the columns' values."""
    if not rows:
        return True
    first, rest = [field.strip() for field in rows[0]], [row for row in rows[1:] if len(row) == len(rows[0])]
    if any(_NUMBER.match(field) or _TIME.match(field) for field in first):
        return False
    named = [field for field in first if field]
    if not named or len(set(named)) < len(named) or not all(_NAME.match(field) for field in named):
        return False
    if not rest:
        return True
    columns = [[row[at].strip() for row in rest] for at in range(len(first))]
    if any(field and field in column for field, column in zip(first, columns, strict=True)):
        return False
    evidence = 0.0
    for field, column in zip(first, columns, strict=True):
        filled = [value for value in column if value]
        if (filled and sum(bool(_NUMBER.match(value) or _TIME.match(value)) for value in filled) > 0.9 * len(filled)) or (
            field and is_known_name(field)
        ):
            evidence += 1
        elif filled and len(filled) >= 10 and len(set(map(len, filled))) == 1 and len(field) != len(filled[0]):
            evidence += 0.5  # codes of one length under a name of another
    return evidence >= 1
