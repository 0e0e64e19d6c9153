"""Address values in JSON text, take members and elements of them, and convert a column of them to a Polars series.

A column of numbers alone has numbers, of booleans alone booleans. Where numbers and text are mixed it is text: whole
numbers exactly as they are written, however long they are, others as `text_of` writes them.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from components.ingest.formats import json_scan as scan
from components.ingest.formats.json_scan import Bytes, Flags, KeyTable, Numbers, Offsets, Spans, Workspace
from components.ingest.sources.id_text import text_of

_T = TypeVar("_T", bound=np.generic)

_EXACT = 2**53  # up to which a float is any whole number
_SHOWN = 80  # characters of a value in an error

EMPTY, NUMBER, BOOLEAN, TEXT, LIST, OBJECT = range(6)  # what a value is to a column
_FORMS = np.array([EMPTY, EMPTY, BOOLEAN, BOOLEAN, NUMBER, NUMBER, NUMBER, NUMBER, TEXT, TEXT, LIST, OBJECT], np.uint8)


class RowFault(Exception):  # noqa: N818 - becomes an InputError where file and line are known
    """A row that can't be read: its number among the rows of the scan, and what is wrong."""

    def __init__(self, row: int, text: str) -> None:
        super().__init__(text)
        self.row, self.text = row, text


@dataclass(frozen=True)
class Values:
    """Values in a buffer: where each starts and ends, its kind, and the row it belongs to (None: its own number).

    `packed`: they are contiguous.
    """

    buffer: Bytes
    starts: Offsets
    ends: Offsets
    kinds: Bytes
    rows: Numbers | None = None
    packed: bool = False

    def __len__(self) -> int:
        return len(self.kinds)

    @property
    def spans(self) -> Spans:
        """The values as compiled code takes them."""
        return Spans(self.starts, self.ends, self.kinds)

    def row(self, at: int) -> int:
        """Return the row that a value belongs to."""
        return at if self.rows is None else int(self.rows[at])

    def written(self, at: int) -> str:
        """Return how a value is written, at most its beginning."""
        begin, end = int(self.starts[at]), int(self.ends[at])
        return bytes(self.buffer[begin : min(end, begin + _SHOWN)]).decode(errors="replace")

    def forms(self) -> Bytes:
        """Return each value's form, as a column distinguishes them; EMPTY also for what holds nothing, such as {}."""
        forms = _FORMS[self.kinds]
        if (self.kinds >= scan.TEXT).any():
            empty = np.empty(len(self), np.bool_)
            scan.are_empty(self.buffer, self.spans, empty, np.zeros(scan.STATE_SIZE, np.int64))
            forms = np.where(empty, EMPTY, forms)
        return forms

    def chosen(self, at: Numbers, *, rows: Numbers | None) -> "Values":
        """Return the values at some indices, absent where an index is below zero."""
        if not len(self):
            nothing = np.zeros(len(at), np.int32)
            return Values(self.buffer, nothing, nothing, np.zeros(len(at), np.uint8), rows)
        kinds = np.where(at < 0, scan.ABSENT, self.kinds[at]).astype(np.uint8)
        return Values(self.buffer, self.starts[at], self.ends[at], kinds, rows)


@dataclass(frozen=True)
class Lists:
    """A list of values for each row: how many it has, whether it has a list at all, and all the values one after
    another."""

    lengths: Numbers
    present: Flags
    values: Values


@dataclass(frozen=True)
class Keys:
    """Requested keys, and the hash table that a scan looks them up in."""

    names: tuple[str, ...]
    table: KeyTable


class Scanner:
    """Hold the arrays that the scans of one thread share."""

    def __init__(self) -> None:
        self.state = np.zeros(scan.STATE_SIZE, np.int64)
        self.state[scan.ENDED_LINE] = -1
        self.work = Workspace(self.state, np.zeros(scan.MAX_DEPTH, np.uint8), np.zeros(scan.LONGEST_KEY, np.uint8), scan.WORDS)

    def fault(self, code: int, name: str, values: Values) -> RowFault:
        """Describe the fault of a scan within values."""
        at = int(self.state[scan.FAULT_ROW])
        return RowFault(values.row(at), fault_text(code, name, values.buffer, int(self.state[scan.FAULT_AT])))


def keys_of(names: Sequence[str]) -> Keys:
    """Build the hash table of requested keys."""
    texts = [name.encode() for name in names]
    content = np.frombuffer(b"".join(texts) or b"\0", np.uint8)
    bounds = np.cumsum([0, *map(len, texts)], dtype=np.int64)
    table = np.full(scan.BUCKETS + len(texts), -1, np.int64)
    for at, text in enumerate(texts):
        bucket = scan.bucket_of(content, int(bounds[at]), int(bounds[at]) + len(text))
        table[scan.BUCKETS + at], table[bucket] = table[bucket], at
    return Keys(tuple(names), KeyTable(content, bounds, table))


def fault_text(code: int, name: str, buffer: Bytes, at: int) -> str:
    """Describe what is wrong with the value of a key."""
    word = re.split(r"[\s,\]}\[{:\"]", bytes(buffer[at : at + _SHOWN]).decode(errors="replace"))[0]
    match code:
        case scan.DOUBLED:
            return f"expected the key {name!r} once in an object, got it twice; keep the one that is meant"
        case scan.WORD:
            return f"expected a JSON value for {name!r}, got {word!r}; write null where there is none, and text within quotes"
        case scan.SURROGATE:
            return f"the text of {name!r} has half of a surrogate pair, which is no character; take it out"
        case _:
            return f"the text of {name!r} has a backslash before a character that JSON doesn't escape; write it twice"


def members(values: Values, names: Sequence[str], scanner: Scanner) -> dict[str, Values]:
    """Return the members of those names of values that are objects; absent in others."""
    keys = keys_of(names)
    out = empty_spans(len(names), len(values))
    scan.scan_members(values.buffer, values.spans, keys.table, out, scanner.work)
    if scanner.state[scan.FAULT]:
        raise scanner.fault(int(scanner.state[scan.FAULT]), names[scanner.state[scan.FAULT_KEY]], values)
    return {name: values_at(values.buffer, out, at, rows=values.rows) for at, name in enumerate(names)}


def values_at(buffer: Bytes, spans: Spans, index: Any, *, rows: Numbers | None = None, packed: bool = False) -> Values:
    """Return the values at an index of spans, such as those of one name."""
    return Values(buffer, spans.starts[index], spans.ends[index], spans.kinds[index], rows, packed)


def empty_spans(names: int, rows: int) -> Spans:
    """Allocate (names, rows) spans."""
    return Spans(np.empty((names, rows), np.int32), np.empty((names, rows), np.int32), np.zeros((names, rows), np.uint8))


def elements(values: Values, name: str, scanner: Scanner) -> Lists:
    """Return the elements of values that are arrays; others have none."""
    lengths = np.zeros(len(values), np.int64)
    is_array = values.kinds == scan.ARRAY
    room = int(((values.ends - values.starts)[is_array] // 2 + 1).sum())  # "[1,2]": an element takes two bytes
    starts, ends, kinds = empty_spans(1, room)
    out = Spans(starts[0], ends[0], kinds[0])
    total = scan.scan_elements(values.buffer, values.spans, lengths, out, scanner.work)
    if scanner.state[scan.FAULT]:
        raise scanner.fault(int(scanner.state[scan.FAULT]), name, values)
    rows = np.repeat(np.arange(len(values)) if values.rows is None else values.rows, lengths)
    inner = Values(values.buffer, out.starts[:total].copy(), out.ends[:total].copy(), out.kinds[:total].copy(), rows)
    return Lists(lengths, is_array, inner)


class Column:
    """Convert one column of a file, and keep it to one type throughout."""

    def __init__(self, name: str) -> None:
        self.name, self.seen = name, False
        self._first: dict[int, int] = {}  # form -> line of its first value
        self._inner: Column | None = None

    def series(self, values: Values | Lists, lines: Numbers, scanner: Scanner) -> pl.Series:
        """Return values as a series. `lines`: of each row of the scan, from 0.

        Raises:
            RowFault: a value has another type than one before it, or none that a column can have.
        """
        if isinstance(values, Lists):
            # Where all lists are empty, the type of their elements is unknown.
            unknown = len(values.values) == 0 and bool(values.present.any())
            self.seen = self.seen or unknown or bool((values.values.kinds != scan.ABSENT).any())
            return self._lists(values, lines)
        self.seen = self.seen or bool((values.kinds != scan.ABSENT).any())
        forms = values.forms()
        self._check(values, forms, lines)
        if LIST not in forms:
            return _scalars(values, self.name)
        lists = elements(values, self.name, scanner)
        return self._lists(_with_single_texts(values, forms, lists), lines)

    def _lists(self, lists: Lists, lines: Numbers) -> pl.Series:
        if lists.lengths.any():
            self._note(LIST, lists.values.row(0), lines)
        self._inner = self._inner or Column(self.name)
        forms = lists.values.forms()
        for form, what in ((LIST, "a list in a list"), (OBJECT, "an object in a list")):
            if form in forms:
                at = int(np.argmax(forms == form))
                raise RowFault(lists.values.row(at), f"column {self.name!r} has {what}: {_remedy(self.name, lists.values, at)}")
        self._inner._check(lists.values, forms, lines)
        inner = _scalars(lists.values, self.name)
        offsets = np.concatenate([[0], np.cumsum(np.where(lists.present, lists.lengths, 0))])
        mask = pa.array(~lists.present) if not lists.present.all() else None
        array = pa.LargeListArray.from_arrays(
            pa.array(offsets, pa.int64()), inner.to_arrow(compat_level=pl.CompatLevel.oldest()), mask=mask
        )
        return pl.Series(self.name, pl.from_arrow(array))

    def _check(self, values: Values, forms: Bytes, lines: Numbers) -> None:
        firsts = {form: int(np.argmax(forms == form)) for form in (NUMBER, BOOLEAN, LIST, OBJECT) if (forms == form).any()}
        for form in sorted(firsts, key=lambda form: firsts[form]):
            self._note(form, values.row(firsts[form]), lines)
            if form == OBJECT:
                raise RowFault(values.row(firsts[form]), f"column {self.name!r} has an object: {_remedy(self.name, values, firsts[form])}")

    def _note(self, form: int, row: int, lines: Numbers) -> None:
        """Record the form of a row's value; numbers, booleans and lists can't be mixed, text goes with each."""
        for before, line in self._first.items():
            if before != form:
                text = f"column {self.name!r} has {_NAMES[form]}, and {_NAMES[before]} in line {line + 1}; keep to one type"
                raise RowFault(row, text)
        self._first.setdefault(form, int(lines[row]))


_NAMES = {NUMBER: "a number", BOOLEAN: "true or false", LIST: "a list", OBJECT: "an object"}


def _remedy(name: str, values: Values, at: int) -> str:
    return f"{values.written(at)}; name what is meant within it by its path, such as {name}.KEY"


def _with_single_texts(values: Values, forms: Bytes, lists: Lists) -> Lists:
    """Convert texts in a column of lists to lists of one."""
    single = np.flatnonzero(forms == TEXT)
    if not len(single):
        return lists
    lengths = lists.lengths.copy()
    lengths[single] = 1
    firsts = np.cumsum(lengths) - lengths
    at = np.zeros(int(lengths.sum()), np.int64)
    taken = np.ones(len(at), np.bool_)
    taken[firsts[single]] = False
    at[taken] = np.arange(len(lists.values))
    at[firsts[single]] = len(lists.values) + np.arange(len(single))
    inner = lists.values

    def joined(one: NDArray[_T], other: NDArray[_T]) -> NDArray[_T]:
        return np.concatenate([one, other[single]])[at]

    rows = np.repeat(np.arange(len(values)) if values.rows is None else values.rows, lengths)
    both = Values(
        values.buffer, joined(inner.starts, values.starts), joined(inner.ends, values.ends), joined(inner.kinds, values.kinds), rows
    )
    present = lists.present.copy()
    present[single] = True
    return Lists(lengths, present, both)


def _scalars(values: Values, name: str) -> pl.Series:
    """Return scalars as a series; an empty value of another form, such as {}, is null."""
    if (values.kinds >= scan.ARRAY).any():
        values = Values(
            values.buffer, values.starts, values.ends, np.where(values.kinds >= scan.ARRAY, scan.NULL, values.kinds), values.rows
        )
    counts = np.bincount(values.kinds, minlength=12)
    texts, booleans = counts[scan.TEXT] + counts[scan.ESCAPED], counts[scan.FALSE] + counts[scan.TRUE]
    if not counts[scan.FALSE :].sum():
        return pl.Series(name, [None], pl.Null).new_from_index(0, len(values))
    missing = values.kinds <= scan.NULL
    if booleans and not texts:
        return pl.Series(name, pl.from_arrow(pa.array(values.kinds == scan.TRUE, mask=missing)))
    if texts and not counts[scan.FLOAT] + counts[scan.LONG]:
        return _texts(values, name)
    if not texts and not counts[scan.FLOAT] + counts[scan.LONG] + counts[scan.INFINITE]:
        wholes = np.empty(len(values), np.int64)
        if scan.put_wholes(values.buffer, values.spans, wholes):
            return pl.Series(name, pl.from_arrow(pa.array(wholes, mask=missing if missing.any() else None)))
        return _texts(values, name)
    written = _texts(values, name)
    is_float = pl.Series(values.kinds == scan.FLOAT)
    if not texts and not counts[scan.LONG]:
        wholes = np.empty(len(values), np.int64)
        fit = scan.put_wholes(values.buffer, values.spans, wholes)
        if fit and (np.abs(wholes) <= _EXACT).all():
            return written.cast(pl.Float64)
    floats = text_of(pl.select(pl.when(is_float).then(written)).to_series().cast(pl.Float64, strict=False))
    return pl.select(pl.when(is_float).then(floats).otherwise(written).alias(name)).to_series()


def _texts(values: Values, name: str) -> pl.Series:
    """Return values as they are written, strings without their escapes."""
    missing = values.kinds <= scan.NULL
    if values.packed:
        offsets, content = np.append(values.starts, values.ends[-1:]).astype(np.int64), values.buffer
    else:
        offsets = np.empty(len(values) + 1, np.int64)
        content = np.empty(int((values.ends - values.starts)[~missing].sum(dtype=np.int64)), np.uint8)
        state = np.zeros(scan.STATE_SIZE, np.int64)
        scan.put_texts(values.buffer, values.spans, offsets, content, state)
        if state[scan.FAULT]:
            row = int(state[scan.FAULT_ROW])
            raise RowFault(values.row(row), fault_text(int(state[scan.FAULT]), name, values.buffer, int(state[scan.FAULT_AT])))
    content = content[: offsets[-1]]
    valid = pa.py_buffer(np.packbits(~missing, bitorder="little")) if missing.any() else None
    array = pa.LargeStringArray.from_buffers(len(values), pa.py_buffer(offsets), pa.py_buffer(content), valid)
    if len(content) and content.max() >= 128:
        try:
            array.validate(full=True)
        except pa.ArrowInvalid:
            raise _not_unicode(values, name, offsets, content) from None
    return pl.Series(name, pl.from_arrow(array))


def _not_unicode(values: Values, name: str, offsets: Numbers, content: Bytes) -> RowFault:
    for at in range(len(values)):
        text = bytes(content[offsets[at] : offsets[at + 1]])
        try:
            text.decode()
        except UnicodeDecodeError:
            shown = text[:_SHOWN].decode(errors="replace")
            return RowFault(values.row(at), f"the text of {name!r} isn't UTF-8: {shown!r}; give the file's `encoding`")
    raise AssertionError("Arrow refuses what Python decodes")
