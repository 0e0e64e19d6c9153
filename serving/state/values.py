"""Encode a key's state as bytes: fixed-width numbers first, so that a request's items are decoded together.

    value    = tag (8 bytes) | record | history
    record   = last_us | counts (A, H) | seen_us (A) | totals (A) | session | session_start_us | session_events | written
    history  = width (1 byte) | ages before last_us, `width` bytes each | actions, 1 byte each | item ids, with 0xFF between them

Numbers are little-endian and of 8 bytes. The history is oldest first, and present only where the plan keeps one; its
items are ids, not codes of a process, so that any service can read them, before and after the next ingestion. 0xFF
occurs in no UTF-8 text.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from components.state.plan import StatePlan
from components.state.reducer import State, empty
from serving.state.item_codes import ItemCodes

FORMAT = 1  # increase when the layout changes: old values then have other keys
TAG_BYTES = 8
_TAG = "tag"
_NUMBERS = ("last_us", "counts", "seen_us", "totals", "session", "session_start_us", "session_events", "written")
SEPARATOR = b"\xff"


def schema_version(shop: str, side: str, plan: StatePlan) -> str:
    """Return a digest of the layout, the shop, the side and the plan: 10 hexadecimal digits."""
    identity = json.dumps([FORMAT, shop, side, asdict(plan)])
    return hashlib.blake2b(identity.encode(), digest_size=5).hexdigest()


def encoded(plan: StatePlan, state: State, rows: Sequence[int], tags: Sequence[bytes], codes: ItemCodes) -> list[bytes]:
    """Encode some rows of a state, each with its tag."""
    records = records_of(plan, state, np.asarray(rows, np.int64), tags)
    size, laid = records.dtype.itemsize, records.tobytes()
    values = [laid[start : start + size] for start in range(0, len(laid), size)]
    if plan.history_length:
        values = [value + _history(plan, state, row, codes) for value, row in zip(values, rows, strict=True)]
    return values


def decoded(plan: StatePlan, values: Sequence[bytes | None], codes: ItemCodes) -> State:
    """Decode values into a state, row by row; None is a key without state."""
    state = empty(plan, len(values))
    present = {row: value for row, value in enumerate(values) if value is not None}
    size = set_records(plan, state, list(present), list(present.values()))
    if plan.history_length:
        for row, value in present.items():
            _read_history(plan, state, row, memoryview(value)[size:], codes)
    return state


def records_of(plan: StatePlan, state: State, rows: NDArray[np.int64], tags: Sequence[bytes]) -> NDArray[np.void]:
    """Return the tag and the record of some rows: a value's beginning."""
    records = np.zeros(len(rows), _layout(plan))
    records[_TAG] = np.frombuffer(b"".join(tags), f"V{TAG_BYTES}")
    for name in _NUMBERS:
        records[name] = getattr(state, name)[rows]
    return records


def set_records(plan: StatePlan, state: State, rows: Sequence[int] | NDArray[np.int64], values: Sequence[bytes]) -> int:
    """Set some rows of a state from the records of as many values; return where the histories begin in them."""
    layout = _layout(plan)
    if len(values):
        records = np.frombuffer(b"".join([value[: layout.itemsize] for value in values]), layout)
        for name in _NUMBERS:
            getattr(state, name)[rows] = records[name]
    return layout.itemsize


def tag_of(value: bytes | None) -> bytes:
    """Return the tag, unique to each write of a value; empty where there is no value."""
    return b"" if value is None else value[:TAG_BYTES]


@lru_cache(maxsize=8)
def _layout(plan: StatePlan) -> np.dtype[np.void]:
    one = empty(plan, 1)
    fields = [(name, getattr(one, name).dtype.newbyteorder("<"), getattr(one, name).shape[1:]) for name in _NUMBERS]
    return np.dtype([(_TAG, f"V{TAG_BYTES}"), *fields])


def _ring_slots(plan: StatePlan, written: int) -> NDArray[np.int64]:
    """Return the ring buffer's slots of the history's events, oldest first."""
    length = min(written, plan.history_length)
    return np.arange(written - length, written) % plan.history_length


def _history(plan: StatePlan, state: State, row: int, codes: ItemCodes) -> bytes:
    slots = _ring_slots(plan, int(state.written[row]))
    if not len(slots):
        return b""
    ages = state.last_us[row] - state.history_us[row, slots]
    width = max(1, (int(ages.max()).bit_length() + 7) // 8)
    narrow = np.ascontiguousarray(ages, "<i8").view(np.uint8).reshape(-1, 8)[:, :width]
    items = SEPARATOR.join([codes.name(code).encode() for code in state.history_item[row, slots].tolist()])
    actions: bytes = state.history_action[row, slots].tobytes()
    return bytes([width]) + narrow.tobytes() + actions + items


def _read_history(plan: StatePlan, state: State, row: int, history: memoryview, codes: ItemCodes) -> None:
    slots = _ring_slots(plan, int(state.written[row]))
    n = len(slots)
    if not n:
        return
    width = history[0]
    wide = np.zeros((n, 8), np.uint8)
    wide[:, :width] = np.frombuffer(history, np.uint8, n * width, 1).reshape(n, width)
    state.history_us[row, slots] = state.last_us[row] - wide.view("<i8")[:, 0]
    state.history_action[row, slots] = np.frombuffer(history, np.int8, n, 1 + n * width)
    names = bytes(history[1 + n * width + n :]).split(SEPARATOR)
    state.history_item[row, slots] = [codes.code(name.decode()) for name in names]
