"""The ranking metrics of many requests, as sums that can be added: what runs over blocks, slices and machines.

Every metric here except AUC is a weighted mean of one value a request:

    precision_at_k, ndcg_at_k, mrr   weight 1 where the request has a positive (for NDCG: a gain); the others don't count
    gauc                             weight: the number of impressions, where the request has both classes
    log_loss                         value: mean over the candidates; weight: their number

GAUC is the impression-weighted mean of the AUC within a group (Zhu et al. 2017, "Optimized cost per click in Taobao display advertising";
Zhou et al. 2018, "Deep interest network for click-through rate prediction", the weighted AUC of its metrics) with the request as the
group. The papers group by user: the request is finer, and compares only candidates that a shopper saw side by side. AUC compares all
candidates with all, across requests (see `score_counts`).
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from components.contract.errors import InputError
from components.evaluation.score_counts import NO_SCORES, ScoreCounts, sortable

PRECISION_AT = (1, 5, 10)
NDCG_AT = (5, 10)

COUNTS = ("requests", "impressions", "positives", "requests_without_positive", "invalid_scores")
MEANS = ("gauc", *(f"precision_at_{k}" for k in PRECISION_AT), *(f"ndcg_at_{k}" for k in NDCG_AT), "mrr", "log_loss")
METRICS = (*COUNTS, "auc", "auc_error", *MEANS)
"""Names of all values of `RankingSums.values`."""

_PLACES = max(*PRECISION_AT, *NDCG_AT)
_DISCOUNTS = 1.0 / np.log2(np.arange(2, _PLACES + 2))
_PROBABILITY_MARGIN = 1e-7  # about the step of float32 below 1: a sigmoid that rounds to 1 costs 16, not infinity


@dataclass(frozen=True, slots=True)
class RankingSums:
    """What is kept of any number of requests; `a + b` is of both. Addition is associative and commutative up to rounding."""

    totals: NDArray[np.float64]  # [counts, then weighted sums of MEANS, then weights of MEANS]
    scores: ScoreCounts

    def __add__(self, other: "RankingSums") -> "RankingSums":
        """The sums of both sets of requests."""
        return RankingSums(self.totals + other.totals, self.scores + other.scores)

    def values(self) -> dict[str, float]:
        """All metrics by name; NaN where no request defines one.

        `invalid_scores` counts scores that are NaN or infinite (NaN ranks last); `auc_error` bounds the error of `auc`, 0 when it is exact.
        """
        counts, sums, weights = np.split(self.totals, [len(COUNTS), len(COUNTS) + len(MEANS)])
        means = np.divide(sums, weights, out=np.full(len(MEANS), np.nan), where=weights > 0)
        named = dict(zip((*COUNTS, *MEANS), (*counts.tolist(), *means.tolist()), strict=True))
        return {name: named[name] for name in COUNTS} | {"auc": self.scores.auc, "auc_error": self.scores.auc_error} | named


NO_SUMS = RankingSums(np.zeros(len(COUNTS) + 2 * len(MEANS)), NO_SCORES)


@dataclass(frozen=True, slots=True)
class RequestSums:
    """The summands of each request of a block, from which any subset can be added up."""

    columns: NDArray[np.float64]  # [R, as RankingSums.totals]
    scores: NDArray[np.float32]  # [N], the candidates of the requests one after the other
    positive: NDArray[np.bool_]  # [N]
    row: NDArray[np.int64]  # [N], the candidate's request

    def total(self, chosen: NDArray[np.bool_] | None = None) -> RankingSums:
        """The sums over the chosen [R] requests, or over all."""
        if chosen is None:
            return RankingSums(self.columns.sum(axis=0), ScoreCounts.of(self.scores, self.positive))
        candidate = chosen[self.row]
        return RankingSums(self.columns[chosen].sum(axis=0), ScoreCounts.of(self.scores[candidate], self.positive[candidate]))


def sums(
    labels: NDArray[np.float32], scores: NDArray[np.float32], *, gains: NDArray[np.float32], row_lengths: NDArray[np.int64]
) -> RankingSums:
    """The sums over requests whose candidates [N] follow one another, row_lengths [R] of them each."""
    return request_sums(labels, scores, gains=gains, row_lengths=row_lengths).total()


def request_sums(
    labels: NDArray[np.float32], scores: NDArray[np.float32], *, gains: NDArray[np.float32], row_lengths: NDArray[np.int64]
) -> RequestSums:
    """The summands of each request; arguments as in `sums`.

    Raises:
        InputError: if labels, scores, gains and the sum of row_lengths differ in length.
    """
    n_candidates = int(row_lengths.sum())
    if not len(labels) == len(scores) == len(gains) == n_candidates:
        raise InputError(
            f"expected as many labels, scores and gains as the requests have candidates ({n_candidates}), got {len(labels)}, {len(scores)} "
            f"and {len(gains)}; a model must return one score for each candidate"
        )
    n_requests = len(row_lengths)
    length = row_lengths.astype(np.float64)
    row = np.repeat(np.arange(n_requests), row_lengths)  # (candidates,)
    start = np.cumsum(row_lengths) - row_lengths  # (requests,)
    positive = labels > 0

    # Sorting keeps each request's candidates together, so `row` and `start` hold for the sorted candidates too.
    key = _descending(row, scores)
    order = np.argsort(key)
    ties = _TieGroups.of(key[order])
    place = np.arange(n_candidates) - start[row]
    label = positive[order].astype(np.float64)

    positives = np.bincount(row, weights=label, minlength=n_requests)
    negatives = length - positives
    has_positive = positives > 0
    has_both = has_positive & (negatives > 0)
    has_gain = np.bincount(row, weights=gains, minlength=n_requests) > 0

    # Mann-Whitney: the sum of the positives' ranks from below, tied candidates at their mean rank.
    rank = length[row] - ties.spread(place[ties.start] + (ties.size - 1) / 2)
    rank_sum = np.bincount(row, weights=label * rank, minlength=n_requests)
    auc = (rank_sum - positives * (positives + 1) / 2) / np.where(has_both, positives * negatives, 1)

    top_labels = _first_places(ties.mean(label), start, row_lengths)  # (requests, places)
    top_gains = _first_places(ties.mean(gains[order]), start, row_lengths)
    best_gains = _first_places(gains[np.argsort(_descending(row, gains))], start, row_lengths)

    loss = np.bincount(row, weights=_log_loss(scores, positive), minlength=n_requests)
    invalid = np.bincount(row, weights=~np.isfinite(scores), minlength=n_requests)

    means: list[tuple[NDArray[np.number], NDArray[np.float64]]] = [(auc * length, np.where(has_both, length, 0.0))]
    means += [(top_labels[:, :k].sum(axis=1) / k, has_positive.astype(np.float64)) for k in PRECISION_AT]
    for k in NDCG_AT:
        ideal = best_gains[:, :k] @ _DISCOUNTS[:k]
        means.append((top_gains[:, :k] @ _DISCOUNTS[:k] / np.where(has_gain, ideal, 1), has_gain.astype(np.float64)))
    means += [(_reciprocal_rank(label, place, row, ties, n_requests), has_positive.astype(np.float64)), (loss, length)]
    columns = [
        *(np.ones(n_requests), length, positives, ~has_positive, invalid),
        *(np.where(weight > 0, value, 0.0) for value, weight in means),
        *(weight for _, weight in means),
    ]
    return RequestSums(np.stack(columns, axis=1), scores, positive, row)


@dataclass(frozen=True, slots=True)
class _TieGroups:
    """Runs of candidates with one score within one request."""

    start: NDArray[np.intp]  # [G]
    size: NDArray[np.int64]  # [G]

    @classmethod
    def of(cls, sorted_key: NDArray[np.int64]) -> "_TieGroups":
        start = np.flatnonzero(np.diff(sorted_key, prepend=-1))
        return cls(start, np.diff(start, append=len(sorted_key)))

    def mean(self, values: NDArray[np.floating]) -> NDArray[np.float64]:
        """Each candidate's expected value over the orders of its group."""
        if len(self.start) == len(values):
            return values.astype(np.float64)
        return self.spread(np.add.reduceat(values, self.start, dtype=np.float64) / self.size)

    def spread(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """One value a group to one value a candidate."""
        return np.repeat(values, self.size)


def _descending(row: NDArray[np.int64], values: NDArray[np.float32]) -> NDArray[np.int64]:
    """One integer a candidate that sorts by request, then by value from the highest."""
    return (row << 32) | (2**32 - 1 - sortable(values))


def _first_places(in_order: NDArray[np.floating], start: NDArray[np.int64], row_lengths: NDArray[np.int64]) -> NDArray[np.float64]:
    """The first places of each request, [R, _PLACES], 0 beyond the list's end."""
    place = np.arange(_PLACES)
    padded = np.append(in_order, np.zeros(_PLACES))  # the last requests may reach beyond the last candidate
    return np.where(place < row_lengths[:, None], padded[start[:, None] + place], 0.0)


def _log_loss(scores: NDArray[np.float32], positive: NDArray[np.bool_]) -> NDArray[np.float64]:
    """-log of the probability given to what happened, [N]; NaN for a score that isn't a probability."""
    wide = scores.astype(np.float64)
    given = np.where(positive, wide, 1.0 - wide)
    return np.where((wide >= 0) & (wide <= 1), -np.log(np.clip(given, _PROBABILITY_MARGIN, 1.0)), np.nan)


def _reciprocal_rank(
    label: NDArray[np.float64], place: NDArray[np.int64], row: NDArray[np.int64], ties: _TieGroups, n_requests: int
) -> NDArray[np.float64]:
    """Expected 1 / place of the first positive, [R], 0 without one; formula in `metrics.reciprocal_rank`."""
    result = np.zeros(n_requests)
    if not len(label):
        return result
    positives = np.add.reduceat(label, ties.start)  # (groups,)
    having = np.flatnonzero(positives > 0)
    request = row[ties.start[having]]
    first = np.diff(request, prepend=-1) > 0  # the best group with a positive in each request
    having, request = having[first], request[first]
    ahead, n, m = place[ties.start[having]], ties.size[having].astype(np.float64), positives[having]
    none_so_far, j = np.ones(len(having)), 0
    while len(having := np.flatnonzero(n - m >= j)):
        request, ahead, n, m, none_so_far = request[having], ahead[having], n[having], m[having], none_so_far[having]
        result[request] += none_so_far * (m / (n - j)) / (ahead + 1 + j)
        none_so_far = none_so_far * (n - j - m) / (n - j)
        j += 1
    return result


def gains_from(labels: Mapping[str, NDArray[np.float32]], weights: Mapping[str, float]) -> NDArray[np.float32]:
    """What each candidate [N] is worth: the highest weight among its actions (a purchase is worth a purchase, whatever led to it)."""
    worth: NDArray[np.float32] = np.stack([np.float32(weight) * (labels[name] > 0) for name, weight in weights.items()])
    highest: NDArray[np.float32] = worth.max(axis=0)
    return highest
