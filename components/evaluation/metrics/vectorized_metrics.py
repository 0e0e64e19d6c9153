"""Compute the listwise metrics of many requests at once, from their candidates in the order of the scores.

`listwise` returns for a metric's name one value and one weight a request; the metric of many requests is the weighted
mean. The definitions, request by request, are in `definitions`.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from components.contract.base_model import closest
from components.contract.errors import InputError
from components.contract.sources import AMOUNTS
from components.evaluation.metrics.score_histogram import sortable

Terms = tuple[NDArray[np.float64], NDArray[np.float64]]
"""A value and its weight for each request [R]; where the weight is 0 the value means nothing."""


@dataclass(frozen=True, slots=True)
class TieGroups:
    """Runs of candidates with one score within one request."""

    start: NDArray[np.intp]  # [G]
    size: NDArray[np.int64]  # [G]

    @classmethod
    def from_sorted(cls, sorted_key: NDArray[np.int64]) -> "TieGroups":
        """Find the runs of equal keys."""
        start = np.flatnonzero(np.diff(sorted_key, prepend=-1))
        return cls(start, np.diff(start, append=len(sorted_key)))

    def total(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Sum each group's values, [G]."""
        return np.add.reduceat(values, self.start) if len(self.start) else np.zeros(0)

    def mean(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Average over each group: a candidate's expected value over the orders of its group, [N]."""
        return values if len(self.start) == len(values) else self.spread(self.total(values) / self.size)

    def spread(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Repeat one value a group [G] for each of its candidates [N]."""
        return np.repeat(values, self.size)


@dataclass(frozen=True, slots=True)
class Ranked:
    """Requests with their candidates from the best score to the worst; a request's candidates follow one another."""

    order: NDArray[np.intp]  # [N], a candidate's index in the input
    row: NDArray[np.int64]  # [N], its request
    start: NDArray[np.int64]  # [R], a request's first candidate
    length: NDArray[np.int64]  # [R]
    position: NDArray[np.int64]  # [N], from 0; among tied candidates in no order
    ties: TieGroups
    positive: NDArray[np.float64]  # [N], 0 or 1
    gain: NDArray[np.float64]  # [N]
    best_gain: NDArray[np.float64]  # [N], the gains in the best possible order
    positives: NDArray[np.float64]  # [R]
    amounts: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)  # by name [N], none below 0

    @classmethod
    def from_scores(
        cls,
        scores: NDArray[np.float32],
        positive: NDArray[np.bool_],
        *,
        gains: NDArray[np.float32],
        row_lengths: NDArray[np.int64],
        amounts: Mapping[str, NDArray[np.float32]] | None = None,
    ) -> "Ranked":
        """Sort the candidates [N] of requests with `row_lengths` [R] of them by their scores."""
        # Sorting keeps each request's candidates together, so `row` and `start` hold before and after.
        row = np.repeat(np.arange(len(row_lengths)), row_lengths)
        start = np.cumsum(row_lengths) - row_lengths
        key = _descending(row, scores)
        order = np.argsort(key)
        label = positive[order].astype(np.float64)
        return cls(
            order=order,
            row=row,
            start=start,
            length=row_lengths,
            position=np.arange(len(row)) - start[row],
            ties=TieGroups.from_sorted(key[order]),
            positive=label,
            gain=gains[order].astype(np.float64),
            best_gain=gains[np.argsort(_descending(row, gains))].astype(np.float64),
            positives=np.bincount(row, weights=label, minlength=len(row_lengths)).astype(np.float64),
            amounts={name: np.maximum(values[order].astype(np.float64), 0.0) for name, values in (amounts or {}).items()},
        )

    def unsorted(self, values: NDArray[Any]) -> NDArray[Any]:
        """Put values [N] from the order of the scores back into the order of the input."""
        result = np.empty_like(values)
        result[self.order] = values
        return result

    def first(self, values: NDArray[np.float64], k: int) -> NDArray[np.float64]:
        """Sum the values [N] over the first k positions of each request, [R]; a shorter list is summed to its end."""
        running = np.concatenate([[0.0], np.cumsum(values)])
        first: NDArray[np.float64] = running[self.start + np.minimum(k, self.length)] - running[self.start]
        return first

    def within(self, k: int) -> NDArray[np.float64]:
        """Return each candidate's probability [N] to be among the first k; ties share the remaining positions."""
        ahead = self.position[self.ties.start]
        return self.ties.spread(np.clip((k - ahead) / self.ties.size, 0.0, 1.0))


def listwise(metric: str, ranked: Ranked) -> Terms:
    """Compute a listwise metric, such as `gauc` or `ndcg_at_10`, of each request.

    Raises:
        InputError: there is no metric of that name; the closest is named.
    """
    if metric in _WHOLE:
        return _WHOLE[metric](ranked)
    if (at := re.fullmatch(r"(\w+)_at_([1-9]\d*)", metric)) and at[1] in _AT_K:
        return _AT_K[at[1]](ranked, int(at[2]))
    known = [*_WHOLE, *(f"{name}_at_5" for name in _AT_K)]
    raise InputError(f"there is no listwise metric {metric!r}; {closest(metric, known)}")


def _auc(ranked: Ranked) -> Terms:
    """Compute AUC by Mann-Whitney's rank sum, tied candidates at their mean rank. Weight: the impressions."""
    ties, length, positives = ranked.ties, ranked.length.astype(np.float64), ranked.positives
    pairs = positives * (length - positives)
    rank = length[ranked.row] - ties.spread(ranked.position[ties.start] + (ties.size - 1) / 2)
    rank_sum = np.bincount(ranked.row, weights=ranked.positive * rank, minlength=len(length))
    return (rank_sum - positives * (positives + 1) / 2) / np.where(pairs > 0, pairs, 1), np.where(pairs > 0, length, 0.0)


def _average_precision(ranked: Ranked) -> Terms:
    """Average the precision at each positive, expected over the orders of tied candidates.

    In a tied group of n with m positives, after `hits` positives, a candidate at position j of the group, from 0, is
    positive with probability m / n, and then hits + 1 + j (m - 1) / (n - 1) positives stand up to it (McSherry and Najork
    2008, "Computing information retrieval performance measures efficiently in the presence of tied scores").
    """
    ties = ranked.ties
    n, m = ties.size.astype(np.float64), ties.total(ranked.positive)
    label = ties.mean(ranked.positive)
    before = np.cumsum(ranked.positive) - ranked.positive  # of all requests; `hits` takes off those of the requests before
    hits = ties.spread((before - (np.cumsum(ranked.positives) - ranked.positives)[ranked.row])[ties.start])
    j = ranked.position - ties.spread(ranked.position[ties.start].astype(np.float64))  # from 0
    others = ties.spread(np.divide(m - 1, n - 1, out=np.zeros_like(n), where=n > 1))
    summed = np.bincount(ranked.row, weights=label * (hits + 1 + j * others) / (ranked.position + 1), minlength=len(ranked.length))
    return summed / np.maximum(ranked.positives, 1), _having_positive(ranked)


def _reciprocal_rank(ranked: Ranked) -> Terms:
    return _first_positive(ranked, lambda position: 1.0 / position)


def _precision(ranked: Ranked, k: int) -> Terms:
    return ranked.first(ranked.ties.mean(ranked.positive), k) / k, _having_positive(ranked)


def _recall(ranked: Ranked, k: int) -> Terms:
    return ranked.first(ranked.ties.mean(ranked.positive), k) / np.maximum(ranked.positives, 1), _having_positive(ranked)


def _hit_rate(ranked: Ranked, k: int) -> Terms:
    return _first_positive(ranked, lambda position: (position <= k).astype(np.float64))


def _ndcg(ranked: Ranked, k: int) -> Terms:
    discount = 1.0 / np.log2(ranked.position + 2.0)
    ideal = ranked.first(ranked.best_gain * discount, k)
    has_gain = np.bincount(ranked.row, weights=ranked.gain, minlength=len(ranked.length)) > 0
    return ranked.first(ranked.ties.mean(ranked.gain) * discount, k) / np.where(has_gain, ideal, 1), has_gain.astype(np.float64)


def _captured(amount: str, ranked: Ranked, k: int) -> Terms:
    """Return the share of a request's amount among the first k. Weight: the amount."""
    values = ranked.amounts[amount]
    total = np.bincount(ranked.row, weights=values, minlength=len(ranked.length)).astype(np.float64)
    return ranked.first(ranked.ties.mean(values), k) / np.where(total > 0, total, 1), total


_WHOLE: dict[str, Callable[[Ranked], Terms]] = {"gauc": _auc, "map": _average_precision, "mrr": _reciprocal_rank}
_AT_K: dict[str, Callable[[Ranked, int], Terms]] = {
    "precision": _precision,
    "recall": _recall,
    "hit_rate": _hit_rate,
    "ndcg": _ndcg,
    **{amount: partial(_captured, amount) for amount in AMOUNTS},
}


def _having_positive(ranked: Ranked) -> NDArray[np.float64]:
    return (ranked.positives > 0).astype(np.float64)


def _first_positive(ranked: Ranked, value: Callable[[NDArray[np.float64]], NDArray[np.float64]]) -> Terms:
    """Return the expected `value` of the first positive's position, from 1.

    In its tied group of n with m positives, the first j candidates hold none with probability
    (n - m) (n - m - 1) ... / (n (n - 1) ...), j factors each, and the next one is positive with m / (n - j).
    """
    result = np.zeros(len(ranked.length))
    ties, positives = ranked.ties, ranked.ties.total(ranked.positive)
    having = np.flatnonzero(positives > 0)
    request = ranked.row[ties.start[having]]
    first = np.diff(request, prepend=-1) > 0  # the best group with a positive in each request
    having, request = having[first], request[first]
    ahead, n, m = ranked.position[ties.start[having]].astype(np.float64), ties.size[having].astype(np.float64), positives[having]
    none_so_far, j = np.ones(len(having)), 0
    while len(having := np.flatnonzero(n - m >= j)):
        request, ahead, n, m, none_so_far = request[having], ahead[having], n[having], m[having], none_so_far[having]
        result[request] += none_so_far * (m / (n - j)) * value(ahead + 1 + j)
        none_so_far = none_so_far * (n - j - m) / (n - j)
        j += 1
    return result, _having_positive(ranked)


def _descending(row: NDArray[np.int64], values: NDArray[np.float32]) -> NDArray[np.int64]:
    """Return an integer for each candidate that sorts by request, then by value from the highest."""
    return (row << 32) | (2**32 - 1 - sortable(values))
