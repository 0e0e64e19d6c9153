"""Read messages that are JSON objects as a frame: many at once, each scanned on its own."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from components.ingest.formats import json_scan as scan
from components.ingest.formats.json_rows import frame_of, row_plan
from components.ingest.formats.json_values import OBJECT, Column, RowFault, Scanner, Values, empty_spans, fault_text, values_at
from serving.stream.decode.rejections import NOT_JSON, SCHEMA, WRONG_TYPE, WRONG_VALUE, rejected

_SHOWN = 80  # bytes of a message in a rejection
_OF_A_VALUE = (scan.DOUBLED, scan.WORD, scan.SURROGATE, scan.ESCAPE)


@dataclass(frozen=True)
class Scanned:
    """The requested members of those messages that are objects.

    Attributes:
        members: by key, of each row.
        messages: (rows,) the index of each row's message.
        rejected: the other messages (`rejections.SCHEMA`).
        kinds: (keys, rows) what kind of value each member is.
    """

    members: dict[str, Values]
    messages: NDArray[np.int64]
    rejected: pl.DataFrame
    kinds: NDArray[np.uint8]


class JsonMessages:
    """Parse messages to the columns of a source.

    Args:
        columns: keys of the objects, or paths into them.
        unnest: path of an array whose elements become the rows; None: a message is a row.
        lenient: columns in which an object or a list counts as nothing, and is no reason to reject a message.
    """

    def __init__(self, columns: tuple[str, ...], unnest: str | None, lenient: tuple[str, ...] = ()) -> None:
        self._columns, self._plan, self._scanner = columns, row_plan(columns, unnest), Scanner()
        self._scalars = [name for name, (first, steps) in self._plan.of_rows.items() if first == name and not steps]
        self._lenient = lenient

    def scanned(self, values: Sequence[bytes]) -> Scanned:
        """Scan messages; what isn't one JSON object is rejected, and an object in place of a column's value."""
        keys, work = self._plan.keys, self._scanner.work
        buffer = np.frombuffer(b"".join(values) or b" ", np.uint8)
        bounds = np.zeros(len(values) + 1, np.int64)
        np.cumsum(np.fromiter(map(len, values), np.int64, len(values)), out=bounds[1:])
        arenas = np.empty((len(keys.names), len(buffer)), np.uint8)
        spans = empty_spans(len(keys.names), len(values))
        messages, faults = np.empty(len(values), np.int64), np.empty((len(values), 3), np.int64)
        out = scan.RowArrays(spans, arenas, messages, empty_spans(len(keys.names), 1))
        rows = scan.scan_messages(buffer, bounds, keys.table, out, faults, work)
        for name in self._lenient:
            kinds = spans.kinds[keys.names.index(name), :rows]
            kinds[kinds >= scan.ARRAY] = scan.NULL
        members = {name: values_at(arenas[at], spans, (at, slice(rows)), packed=True) for at, name in enumerate(keys.names)}
        refused = [pl.DataFrame(schema=SCHEMA)] if rows == len(values) else [self._refused(values, buffer, faults)]
        whole = Scanned(members, messages[:rows], refused[0], spans.kinds[:, :rows])
        return self._without_objects(whole)

    def frame(self, scanned: Scanned) -> tuple[pl.DataFrame, int]:
        """Return rows with LINE, the index of their message, and how many messages had none because their array is empty.

        Raises:
            RowFault: a value has another structure than its path, or two messages' values are of types that don't go
                together in one column.
        """
        for name, kinds in zip(self._plan.keys.names, scanned.kinds, strict=True):
            arrays = kinds == scan.ARRAY
            if arrays.any() and (kinds == scan.TEXT).any():  # in one column a text would become a list of one
                raise RowFault(int(np.argmax(arrays)), f"column {name!r} has lists and texts")
        columns = {name: Column(name) for name in self._columns}
        return frame_of(self._plan, scanned.members, scanned.messages, columns, Column(self._plan.unnest), self._scanner)

    def _refused(self, values: Sequence[bytes], buffer: NDArray[np.uint8], faults: NDArray[np.int64]) -> pl.DataFrame:
        """Return the rejections of messages by the faults of their scan."""
        rows, reasons, details = np.flatnonzero(faults[:, 0]).tolist(), [], []
        for at in rows:
            code, key, where = faults[at].tolist()
            reasons.append(WRONG_VALUE if code in _OF_A_VALUE else NOT_JSON)
            if code in _OF_A_VALUE:
                details.append(fault_text(code, self._plan.keys.names[key], buffer, where))
            elif code == scan.DEEP:
                details.append(f"nested more than {scan.MAX_DEPTH:,} deep")
            else:
                details.append(f"expected one JSON object, got {values[at][:_SHOWN].decode(errors='replace')!r}")
        return rejected(rows, reasons, details)

    def _without_objects(self, scanned: Scanned) -> Scanned:
        """Reject the rows that have an object in place of a column's value."""
        parts = [scanned.rejected]
        wrong = np.zeros(len(scanned.messages), np.bool_)
        for name in self._scalars:
            members = scanned.members[name]
            if not (members.kinds == scan.OBJECT).any():
                continue
            here = (members.forms() == OBJECT) & ~wrong
            details = [f"column {name!r} has an object: {members.written(at)}" for at in np.flatnonzero(here).tolist()]
            parts.append(rejected(scanned.messages[here], WRONG_TYPE, details))
            wrong |= here
        if not wrong.any():
            return scanned
        rest = np.flatnonzero(~wrong)
        members_left = {name: values.chosen(rest, rows=None) for name, values in scanned.members.items()}
        return Scanned(members_left, scanned.messages[rest], pl.concat(parts), scanned.kinds[:, rest])
