"""Assign requests to windows. Windows of time don't overlap, and a gap as long as the label's window separates them."""

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import polars as pl
from numpy.typing import NDArray

from components.contract.base_model import boundary
from components.contract.dataset import Dataset, Windows
from components.contract.errors import InputError
from components.contract.sources import Impressions, ListRows

SPLITS = ("train", "eval", "test")
BEFORE, GAP, AFTER = -1, -2, -3  # other than the indices of SPLITS
LEFT_OUT = {
    BEFORE: "before the training window",
    GAP: "in the gap before a window",
    AFTER: "after the test window, or their labels would be",
}


@dataclass(frozen=True)
class Bounds:
    """Windows in microseconds: train [train, eval), eval [eval, test), test [test, until]."""

    train_us: int
    eval_us: int
    test_us: int
    until_us: int
    gap_us: int


def label_window_us(dataset: Dataset) -> int:
    """Return how long after a request its labels may come; 0 where they are part of it."""
    return int(dataset.attribution * 1e6) if isinstance(dataset.candidates, Impressions | ListRows) else 0


def skew_us(dataset: Dataset) -> int:
    """Return how much earlier than its list an action may be stamped, in microseconds."""
    return int(dataset.skew * 1e6)


def bounds(dataset: Dataset, first_us: int, last_us: int) -> Bounds:
    """Return the windows over events from `first_us` to `last_us`."""
    windows = dataset.windows
    until = _us(windows.until) if windows.until else last_us
    match windows.train:
        case None:
            train = first_us
        case timedelta() as length:
            train = max(first_us, until - length // timedelta(microseconds=1))
        case date:
            train = _us(date)
    test = _start(windows.test, train, until, until)
    eval_ = _start(windows.eval, train, until, test)
    gap = int(windows.gap * 1e6) if windows.gap is not None else label_window_us(dataset)
    return Bounds(train, eval_, test, until, gap)


def data_end_us(dataset: Dataset, data_until: str) -> int | None:
    """Return the end of the data by `data_until`, None where it is empty.

    Raises:
        InputError: it isn't a date or date-time, or the rows have no time.
    """
    if not data_until:
        return None
    try:
        moment = boundary(data_until)
    except ValueError:
        moment = None
    if not isinstance(moment, datetime):
        raise InputError(f"data_until: expected a date or date-time such as 2026-01-31 or 2026-01-31T06:00:00Z, got {data_until!r}")
    if any("time" not in source.columns.named() for source in dataset.events):
        raise InputError(f"data_until: expected rows with a time to end at {data_until}, got a source without; leave it empty")
    return _us(moment)


def assign(times_us: NDArray[np.int64], window: Bounds) -> NDArray[np.int8]:
    """Return the window of each request: an index into SPLITS, or BEFORE, GAP, AFTER.

    A request whose labels could come after the next boundary is left out: training data must be known when the
    next window starts.
    """
    split = np.searchsorted(np.array([window.eval_us, window.test_us]), times_us, side="right").astype(np.int8)
    ends = np.array([window.eval_us, window.test_us, window.until_us + 1])[split]
    late = times_us + window.gap_us >= ends
    split[late & (split < 2)] = GAP
    split[late & (split == 2)] = AFTER
    split[times_us < window.train_us] = BEFORE
    return split


def label_ends_us(times_us: NDArray[np.int64], window: Bounds) -> NDArray[np.int64]:
    """Return the end of the window that each request lies in: labels don't use what happens from then on."""
    split = np.searchsorted(np.array([window.eval_us, window.test_us]), times_us, side="right")
    return np.array([window.eval_us, window.test_us, window.until_us + 1])[split]


def assign_by_hash(requests: pl.Series, windows: Windows, *, seed: int) -> NDArray[np.int8]:
    """Return the window of each request by a hash of its id and the seed, for data without time."""
    salt = str(seed).encode()
    hashes = [int.from_bytes(hashlib.blake2b(request.encode(), digest_size=8, key=salt).digest()) for request in requests]
    fraction = np.array(hashes, np.uint64) / 2.0**64
    test, eval_ = (share if isinstance(share, float) else 0.0 for share in (windows.test, windows.eval))
    return np.select([fraction < test, fraction < test + eval_], [2, 1], 0).astype(np.int8)


def _us(moment: float | datetime) -> int:
    assert isinstance(moment, datetime)
    return round(moment.timestamp() * 1e6)


def _start(edge: float | datetime, first: int, last: int, end: int) -> int:
    return end - round((last - first) * edge) if isinstance(edge, float) else _us(edge)
