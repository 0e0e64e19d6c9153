"""Encode and decode the values of many keys at once: the bytes of `serving.state.values`, by compiled loops."""

from collections.abc import Sequence
from typing import TypeVar, final

import numpy as np
from numpy.typing import NDArray

from components.state.jit import compiled
from components.state.plan import StatePlan
from components.state.reducer import State, empty
from serving.state.item_codes import NO_ITEM, ItemCodes
from serving.state.values import SEPARATOR, records_of, set_records

T = TypeVar("T", np.uint8, np.int64)
Bytes = NDArray[np.uint8]
Ints = NDArray[np.int64]
_BETWEEN = SEPARATOR[0]


@final
class PackedValues:
    """Convert between states and values, with the names of items as bytes at hand.

    Args:
        plan: of the state.
        codes: of the items in histories; grows by those that values name.
    """

    def __init__(self, plan: StatePlan, codes: ItemCodes) -> None:
        self._plan, self._codes = plan, codes
        self._code_of: dict[bytes, int] = {b"": NO_ITEM}
        self._blob, self._ends = np.zeros(1 << 16, np.uint8), np.zeros(1 << 12, np.int64)
        self._known = 0

    def decode(self, values: Sequence[bytes | None]) -> State:
        """Return the state of keys, row by row; a None is a key without state."""
        state = empty(self._plan, len(values))
        present = np.array([row for row, value in enumerate(values) if value is not None], np.int64)
        held = [value for value in values if value is not None]
        size = set_records(self._plan, state, present, held)
        if not self._plan.history_length or not held:
            return state
        histories = [value[size:] for value in held]
        ends = np.cumsum([len(history) for history in histories])
        blob = np.frombuffer(b"".join(histories) or b"\0", np.uint8)
        lengths = np.minimum(state.written[present], self._plan.history_length)
        names_at = np.zeros(len(held), np.int64)
        _unpack(blob, ends, present, lengths, state.last_us, state.written, state.history_us, state.history_action, names_at)
        names = SEPARATOR.join([history[at:] for history, at, n in zip(histories, names_at.tolist(), lengths.tolist(), strict=True) if n])
        rows = np.repeat(present, lengths)
        index = np.arange(len(rows)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        slots = (np.repeat(state.written[present] - lengths, lengths) + index) % self._plan.history_length
        if len(rows):
            state.history_item[rows, slots] = self._codes_of(names.split(SEPARATOR))
        return state

    def encode(self, state: State, tags: Sequence[bytes]) -> list[bytes]:
        """Return the value of each row of a state, with its tag."""
        keys = len(state.last_us)
        records = records_of(self._plan, state, np.arange(keys), tags)
        size = records.dtype.itemsize
        if not self._plan.history_length:
            laid = records.tobytes()
            return [laid[start : start + size] for start in range(0, len(laid), size)]
        self._learn_names()
        widths, ends = np.zeros(keys, np.int64), np.zeros(keys, np.int64)
        rings = (state.last_us, state.written, state.history_item, state.history_us)
        total = _measure(*rings, size, self._ends, widths, ends)
        out = np.empty(total, np.uint8)
        _pack(*rings, state.history_action, np.frombuffer(records.tobytes(), np.uint8), size, self._blob, self._ends, widths, ends, out)
        laid, stops = out.tobytes(), ends.tolist()
        return [laid[start:stop] for start, stop in zip([0, *stops[:-1]], stops, strict=True)]

    def _codes_of(self, names: Sequence[bytes]) -> Ints:
        known = self._code_of
        try:
            return np.array([known[name] for name in names], np.int64)
        except KeyError:
            for name in set(names) - known.keys():
                known[name] = self._codes.code(name.decode())
            return np.array([known[name] for name in names], np.int64)

    def _learn_names(self) -> None:
        """Append the names of new codes to the blob that `_pack` copies from."""
        count = len(self._codes)
        if count == self._known:
            return
        names = [self._codes.name(code).encode() for code in range(self._known, count)]
        start = int(self._ends[self._known - 1]) if self._known else 0
        ends = start + np.cumsum([len(name) for name in names])
        self._blob = _grown(self._blob, int(ends[-1]))
        self._ends = _grown(self._ends, count)
        self._blob[start : ends[-1]] = np.frombuffer(b"".join(names), np.uint8)
        self._ends[self._known : count] = ends
        self._known = count


def _grown(array: NDArray[T], size: int) -> NDArray[T]:
    if size <= len(array):
        return array
    larger = np.zeros(max(size, 2 * len(array)), array.dtype)
    larger[: len(array)] = array
    return larger


@compiled
def _unpack(
    blob: Bytes,
    ends: Ints,
    rows: Ints,
    lengths: Ints,
    last_us: Ints,
    written: Ints,
    history_us: Ints,
    actions: NDArray[np.int8],
    names_at: Ints,
) -> None:
    """Read ages and actions of histories into the rings; `names_at` gets where in each history the names begin."""
    ring = history_us.shape[1]
    for value in range(rows.shape[0]):
        start = ends[value - 1] if value else 0
        row, length = rows[value], lengths[value]
        if length == 0:
            continue
        width = np.int64(blob[start])
        for index in range(length):
            age = np.int64(0)
            for byte in range(width):
                age |= np.int64(blob[start + 1 + index * width + byte]) << (8 * byte)
            slot = (written[row] - length + index) % ring
            history_us[row, slot] = last_us[row] - age
            actions[row, slot] = np.int8(blob[start + 1 + length * width + index])
        names_at[value] = 1 + length * (width + 1)


@compiled
def _measure(last_us: Ints, written: Ints, items: Ints, history_us: Ints, size: int, name_ends: Ints, widths: Ints, ends: Ints) -> int:
    """Compute the width of each row's ages, and where its value ends; return the size of all."""
    ring, total = items.shape[1], 0
    for row in range(last_us.shape[0]):
        length = min(written[row], ring)
        total += size
        if length > 0:
            oldest = np.int64(0)
            for index in range(length):
                slot = (written[row] - length + index) % ring
                oldest = max(oldest, last_us[row] - history_us[row, slot])
                code = items[row, slot]
                if code >= 0:
                    total += name_ends[code] - (name_ends[code - 1] if code else 0)
            width = 1
            while width < 8 and oldest >> (8 * width):
                width += 1
            widths[row] = width
            total += 1 + length * (width + 1) + length - 1
        ends[row] = total
    return total


@compiled
def _pack(
    last_us: Ints, written: Ints, items: Ints, history_us: Ints, actions: NDArray[np.int8], records: Bytes, size: int,
    names: Bytes, name_ends: Ints, widths: Ints, ends: Ints, out: Bytes,
) -> None:  # fmt: skip
    """Write each row's record and history where `_measure` said."""
    ring = items.shape[1]
    for row in range(last_us.shape[0]):
        at = ends[row - 1] if row else 0
        for byte in range(size):
            out[at + byte] = records[row * size + byte]
        at += size
        length, width = min(written[row], ring), widths[row]
        if length <= 0:
            continue
        out[at] = np.uint8(width)
        at += 1
        for index in range(length):
            slot = (written[row] - length + index) % ring
            age = last_us[row] - history_us[row, slot]
            for byte in range(width):
                out[at + index * width + byte] = np.uint8((age >> (8 * byte)) & 255)
            out[at + length * width + index] = np.uint8(actions[row, slot])
        at += length * (width + 1)
        for index in range(length):
            if index:
                out[at] = np.uint8(_BETWEEN)
                at += 1
            code = items[row, (written[row] - length + index) % ring]
            if code >= 0:
                start = name_ends[code - 1] if code else 0
                for byte in range(start, name_ends[code]):
                    out[at] = names[byte]
                    at += 1
