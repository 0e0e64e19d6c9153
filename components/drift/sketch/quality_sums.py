"""Sum a window's ranking quality by slice: labels, scores, calibration, ranking, and what scores alone predict of it.

All are sums over requests, by group of shoppers and by day, so windows add up, and a metric is a ratio of two sums.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from components.drift.sketch.number_sketch import GROUPS
from components.evaluation.metrics.id_hashes import hashed

OVERALL = ("", "")
MOST_SLICES = 200
BUCKETS = 8
"""Of values of a request and of a candidate, by hash: pairs of them are cells, which all windows share."""
_DAY_US = 86_400_000_000

Floats = NDArray[np.float64]

METRICS = {
    "label rate": ("positives", "labelled"),
    "mean score": ("score", "candidates"),
    "calibration": ("residual", "labelled"),  # mean of label minus score: 0 if calibrated
    "AUC": ("auc", "contrasted"),  # within a request with both labels
    "NDCG@10": ("ndcg", "contrasted"),
    "expected AUC": ("expected_auc", "contrast"),  # from the scores alone, as if calibrated
}
"""Metric to the sum that is divided and the sum it is divided by."""

SUMS = tuple(dict.fromkeys(name for pair in METRICS.values() for name in pair))


@dataclass(frozen=True)
class RankedLists:
    """R requests with N candidates in all.

    Attributes:
        shoppers: [R] hashes.
        times_us: [R].
        row_lengths: [R] number of candidates of each.
        scores: [N], probabilities.
        labels: [N] 1 for a positive, NaN where it isn't known yet.
        slices: slice name to the value of each request.
        cells: name of a value of requests and one of candidates, to the cell [N] of each candidate, -1 where a value isn't
            known; see `cells`.
    """

    shoppers: NDArray[np.uint64]
    times_us: NDArray[np.int64]
    row_lengths: NDArray[np.int64]
    scores: NDArray[np.float32]
    labels: NDArray[np.float32]
    slices: Mapping[str, Sequence[str]]
    cells: Mapping[tuple[str, str], NDArray[np.int64]] = field(default_factory=dict)


@dataclass
class QualitySums:
    """Sums of a window by (slice, value): [G, S] by group of shoppers, and [S] by day; S as in `SUMS`.

    `by_cell` has, by name of a value of requests and one of candidates, sums [G, C, 3] of residuals, labelled candidates
    and positives.
    """

    by_group: dict[tuple[str, str], Floats] = field(default_factory=dict)
    by_day: dict[tuple[str, str], dict[int, Floats]] = field(default_factory=dict)
    by_cell: dict[tuple[str, str], Floats] = field(default_factory=dict)

    def add(self, lists: RankedLists) -> None:
        """Add requests; values beyond the first `MOST_SLICES` of all slices are left out."""
        sums = request_sums(lists)
        groups = (lists.shoppers % np.uint64(GROUPS)).astype(np.int64)
        days = lists.times_us // _DAY_US
        self._add(OVERALL, sums, groups, days)
        for name, values in lists.slices.items():
            texts = np.array(values, np.str_)
            for value in np.unique(texts).tolist():
                if (name, value) in self.by_group or len(self.by_group) < MOST_SLICES:
                    rows = texts == value
                    self._add((name, value), sums[rows], groups[rows], days[rows])
        self.add_cells(lists)

    def add_cells(self, lists: RankedLists) -> None:
        """Add requests to the sums by cell alone."""
        of_candidates = np.repeat((lists.shoppers % np.uint64(GROUPS)).astype(np.int64), lists.row_lengths)
        for pair, cells in lists.cells.items():
            used = (cells >= 0) & ~np.isnan(lists.labels)
            positives = lists.labels[used].astype(float)
            sums = np.stack([positives - lists.scores[used], np.ones(len(positives)), positives], axis=1)
            total = self.by_cell.setdefault(pair, np.zeros((GROUPS, BUCKETS**2, 3)))
            np.add.at(total, (of_candidates[used], cells[used]), sums)

    def merge(self, other: "QualitySums") -> None:
        """Add another window."""
        for pair, total in other.by_cell.items():
            self.by_cell[pair] = self.by_cell.get(pair, 0) + total
        for key, sums in other.by_group.items():
            self.by_group[key] = self.by_group.get(key, 0) + sums
            mine = self.by_day.setdefault(key, {})
            for day, each in other.by_day[key].items():
                mine[day] = mine.get(day, 0) + each

    def _add(self, key: tuple[str, str], sums: Floats, groups: NDArray[np.int64], days: NDArray[np.int64]) -> None:
        total = self.by_group.setdefault(key, np.zeros((GROUPS, len(SUMS))))
        np.add.at(total, groups, sums)
        mine = self.by_day.setdefault(key, {})
        for day in np.unique(days).tolist():
            mine[day] = mine.get(day, np.zeros(len(SUMS))) + sums[days == day].sum(axis=0)


def cells(of_requests: "pa.Array[Any]", of_candidates: "pa.Array[Any]") -> NDArray[np.int64]:
    """Return the cell [N] of each candidate, of texts [N] of its request and texts [N] of its own; -1 where one is empty."""
    rows, columns = (hashed(texts) % np.uint64(BUCKETS) for texts in (of_requests, of_candidates))
    empty = [np.asarray(pc.equal(pc.binary_length(texts), 0).fill_null(True)) for texts in (of_requests, of_candidates)]
    return np.where(empty[0] | empty[1], -1, (rows * np.uint64(BUCKETS) + columns).astype(np.int64))


def request_sums(lists: RankedLists) -> Floats:
    """Return each request's part [R, S] of the sums; one without known labels has scores alone."""
    requests = len(lists.row_lengths)
    row = np.repeat(np.arange(requests), lists.row_lengths)
    order = np.lexsort((-lists.scores, row))
    row, scores, labels = row[order], lists.scores[order].astype(float), lists.labels[order].astype(float)
    starts = np.cumsum(lists.row_lengths) - lists.row_lengths
    rank = np.arange(len(row)) - starts[row]

    def total(values: Floats) -> Floats:
        return np.bincount(row, weights=values, minlength=requests).astype(float)

    known = total(np.isnan(labels)) == 0
    labels = np.where(known[row], np.nan_to_num(labels), 0.0)
    length = lists.row_lengths.astype(float)
    positives = total(labels)
    contrasted = known & (positives > 0) & (positives < length)
    discounts = np.where(rank < 10, 1 / np.log2(rank + 2), 0.0)
    ideal = np.concatenate([[0.0], np.cumsum(1 / np.log2(np.arange(10) + 2))])[np.minimum(positives, 10).astype(int)]
    expected = _pairs_won(row, scores, 1 - scores, starts)
    pairs = total(scores) * total(1 - scores) - total(scores * (1 - scores))
    contrast = -np.expm1(total(np.log1p(-np.minimum(scores, 1 - 1e-7)))) * (pairs > 0)  # probability of a positive
    with np.errstate(invalid="ignore", divide="ignore"):
        columns = {
            "positives": np.where(known, positives, 0.0),
            "labelled": np.where(known, length, 0.0),
            "score": total(scores),
            "candidates": length,
            "residual": np.where(known, positives - total(scores), 0.0),
            "auc": np.where(contrasted, _auc(row, scores, labels, starts) / (positives * (length - positives)), 0.0),
            "ndcg": np.where(contrasted, total(labels * discounts) / ideal, 0.0),
            "contrasted": contrasted.astype(float),
            "expected_auc": np.where(pairs > 0, contrast * expected / pairs, 0.0),
            "contrast": contrast,
        }
    return np.stack([columns[name] for name in SUMS], axis=1)


def _pairs_won(row: NDArray[np.int64], above: Floats, below: Floats, starts: NDArray[np.int64]) -> Floats:
    """Sum `above` of a candidate times `below` of another with a lower score, over the pairs of each request [R].

    Candidates are sorted by score within their request, and pairs with equal scores count half.
    """
    requests = len(starts)
    ends = np.cumsum(below)
    first = np.concatenate([[0.0], ends])[starts]
    total = np.bincount(row, weights=below, minlength=requests)
    after = total[row] - (ends - first[row])  # `below` of those ranked after
    return np.bincount(row, weights=above * after, minlength=requests).astype(float)


def _auc(row: NDArray[np.int64], scores: Floats, labels: Floats, starts: NDArray[np.int64]) -> Floats:
    """Count the pairs [R] of a positive above a negative, ties by half."""
    won = _pairs_won(row, labels, 1 - labels, starts)
    tied = np.concatenate([[0], np.cumsum((np.diff(row) != 0) | (np.diff(scores) != 0))]) if len(row) else np.zeros(0, np.int64)
    ties = int(tied[-1]) + 1 if len(tied) else 0
    positives = np.bincount(tied, weights=labels, minlength=ties)
    negatives = np.bincount(tied, weights=1 - labels, minlength=ties)
    # In a run of equal scores, pairs in the order of the sort were counted by position: replace them by half of all.
    counted = np.bincount(tied, weights=labels * _after_in_run(tied, 1 - labels), minlength=ties)
    runs = np.zeros(ties, np.int64)
    runs[tied] = row
    return won + np.bincount(runs, weights=positives * negatives / 2 - counted, minlength=len(starts))


def _after_in_run(runs: NDArray[np.int64], values: Floats) -> Floats:
    """Sum the values [N] of those later in the same run."""
    if not len(runs):
        return values
    ends = np.cumsum(values)
    last = np.searchsorted(runs, runs, side="right") - 1
    return ends[last] - ends
