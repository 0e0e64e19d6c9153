"""Accumulate ranking metrics: sums over requests that are added up across blocks, slices and machines.

Means over requests, of one value each (defined in `definitions`):

    precision_at_k, recall_at_k, hit_rate_at_k, map, mrr   weight 1 where the request has a positive, else 0
    ndcg_at_k                                              weight 1 where it has a gain, else 0
    gauc                                                   weight: its impressions, where it has both classes
    revenue_at_k, quantity_at_k, margin_at_k               weight: its amount, where the dataset has the role

GAUC is the impression-weighted mean of the AUC within a group (Zhu et al. 2017, "Optimized cost per click in Taobao
display advertising"; Zhou et al. 2018, "Deep interest network for click-through rate prediction", the weighted AUC of
its metrics). `gauc` groups by request: it compares only candidates that a shopper saw side by side. `gauc_by_user`
groups by shopper, as the papers do, so a request that ended in a purchase is also compared with one that didn't; a
guest's request is a group of its own.

Over all candidates, across requests:

    auc, pr_auc, ece    see `score_histogram`
    log_loss            mean of -log of the predicted probability of the label; NaN if a score is no probability
    calibration         mean score over mean label: 1 is calibrated, 2 predicts twice as many positives as there are

Over all requests and items (`item_coverage`): `coverage_at_5` is the share of the shown items that reach some top five,
`personalisation_at_5` is 1 - the overlap of the top fives of two requests.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from components.contract.errors import InputError
from components.contract.sources import AMOUNTS
from components.evaluation.metrics.bootstrap import Replicates, poisson_counts
from components.evaluation.metrics.item_coverage import NO_ITEMS, ItemCoverage, user_groups
from components.evaluation.metrics.score_histogram import NO_SCORES, ScoreHistogram
from components.evaluation.metrics.user_counts import NO_COUNTS, UserCounts
from components.evaluation.metrics.user_sample import NO_USERS, UserSample
from components.evaluation.metrics.vectorized_metrics import Ranked, Terms, listwise

CUTOFFS = (1, 5, 10)  # k of the metrics at k
ITEM_CUTOFF = 5  # k of the metrics of items
POSITIONS = 20  # of which impressions and positives are counted, for the curves

COUNTS = ("requests", "impressions", "positives", "requests_without_positive", "invalid_scores")
SHOPPER_METRICS = ("shoppers", "shoppers_without_positive", "effective_shoppers")
SCORE_METRICS = ("auc", "pr_auc", "ece")
POINTWISE = ("log_loss", "calibration")
LISTWISE = (
    "gauc",
    *(f"precision_at_{k}" for k in CUTOFFS),
    *(f"recall_at_{k}" for k in CUTOFFS),
    *(f"hit_rate_at_{k}" for k in CUTOFFS[1:]),
    *(f"ndcg_at_{k}" for k in CUTOFFS[1:]),
    "map",
    "mrr",
)
AMOUNT_METRICS = tuple(f"{amount}_at_{k}" for amount in AMOUNTS for k in CUTOFFS)
ITEM_METRICS = (f"coverage_at_{ITEM_CUTOFF}", f"personalisation_at_{ITEM_CUTOFF}")
METRICS = (*COUNTS, *SHOPPER_METRICS, *SCORE_METRICS, "auc_error", *POINTWISE, "gauc_by_user", *LISTWISE, *AMOUNT_METRICS, *ITEM_METRICS)
"""Names of all values of `RankingSums.values`; of `AMOUNT_METRICS` those whose amount the examples have."""
BOOTSTRAPPED = (*SCORE_METRICS, *POINTWISE, "gauc_by_user", *LISTWISE, *AMOUNT_METRICS)
"""Metrics with a bootstrap standard error; that of `ITEM_METRICS` is a jackknife's (`item_coverage`)."""
ESTIMATED = (*BOOTSTRAPPED, *ITEM_METRICS)
"""Metrics with a standard error."""

_PROBABILITY_MARGIN = 1e-7  # about the step of float32 below 1: a wrong sigmoid that rounds to 1 adds 16, not infinity

Floats = NDArray[np.float64]
_NO_POSITIONS: Floats = np.zeros((2, POSITIONS))


@dataclass(frozen=True, slots=True)
class Requests:
    """R requests with N candidates that follow one another, and a model's scores of them.

    Raises:
        InputError: if labels, scores, gains and the sum of row_lengths differ in length.
    """

    labels: NDArray[np.float32]  # [N], above 0: positive
    scores: NDArray[np.float32]  # [N]
    gains: NDArray[np.float32]  # [N]
    row_lengths: NDArray[np.int64]  # [R]
    users: NDArray[np.uint64] | None = None  # [R], hashes; None: no metric by shopper and no standard error
    items: NDArray[np.uint64] | None = None  # [N], hashes; None: no metric of items
    amounts: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)  # [N] each, by name

    def __post_init__(self) -> None:
        n_candidates = int(self.row_lengths.sum())
        if not len(self.labels) == len(self.scores) == len(self.gains) == n_candidates:
            raise InputError(
                f"expected as many labels, scores and gains as the requests have candidates ({n_candidates}), got {len(self.labels)}, "
                f"{len(self.scores)} and {len(self.gains)}; a model must return one score for each candidate"
            )


@dataclass(frozen=True, slots=True)
class RankingSums:
    """Sums over any number of requests; `a + b` is of both. Addition is associative and commutative up to rounding."""

    totals: Floats  # [COUNTS, then the weighted sums of the means, then their weights]
    scores: ScoreHistogram
    counts: UserCounts
    shoppers: UserSample
    items: ItemCoverage
    replicates: Replicates | None  # None where shoppers aren't known, or of no request
    positions: Floats  # [2, POSITIONS], impressions and expected positives at each position of the model's order

    def __add__(self, other: "RankingSums") -> "RankingSums":
        """Add the sums of both sets of requests."""
        return RankingSums(
            totals=self.totals + other.totals,
            scores=self.scores + other.scores,
            counts=self.counts + other.counts,
            shoppers=self.shoppers + other.shoppers,
            items=self.items + other.items,
            replicates=_add_optional(self.replicates, other.replicates),
            positions=self.positions + other.positions,
        )

    def values(self, listwise: Sequence[str] = LISTWISE) -> dict[str, float]:
        """Compute all metrics by name; NaN where undefined. `listwise` are the listwise metrics of the sums.

        `invalid_scores` counts scores that are NaN or infinite (NaN ranks last); `auc_error` bounds that of `auc`.
        """
        of_totals = zip((*COUNTS, *POINTWISE, *listwise), _means(self.totals).tolist(), strict=True)
        of_scores = {name: float(getattr(self.scores, name)) for name in (*SCORE_METRICS, "auc_error")}
        of_shoppers = zip(SHOPPER_METRICS, self._count_shoppers(), strict=True)
        of_items = zip(ITEM_METRICS, (self.items.coverage, self.items.personalisation), strict=True)
        _, (auc, weight) = self.shoppers.gauc()
        gauc_by_user = float(_weighted_mean(auc, weight))
        return {**dict(of_totals), **of_scores, **dict(of_shoppers), **dict(of_items), "gauc_by_user": gauc_by_user}

    def replicated(self, listwise: Sequence[str] = LISTWISE) -> dict[str, Floats]:
        """Compute the metrics of `BOOTSTRAPPED` in each replicate [B]; empty where shoppers aren't known."""
        if self.replicates is None:
            return {}
        named = dict(zip((*COUNTS, *POINTWISE, *listwise), _means(self.replicates.totals).T, strict=True))
        named |= {name: getattr(self.replicates.scores, name) for name in SCORE_METRICS}
        user, (auc, weight) = self.shoppers.gauc()
        named["gauc_by_user"] = _weighted_mean(auc, weight[:, None] * poisson_counts(user))
        return {name: values for name, values in named.items() if name not in COUNTS}

    def without_each_group(self) -> dict[str, Floats]:
        """Compute `ITEM_METRICS` without each group of shoppers [G]; empty where shoppers aren't known."""
        return {} if self.replicates is None else dict(zip(ITEM_METRICS, self.items.without_each_group(), strict=True))

    def _count_shoppers(self) -> tuple[float, float, float]:
        """Return the values of `SHOPPER_METRICS`; NaN where shoppers aren't known."""
        if self.replicates is None:
            return (float("nan"),) * 3
        return float(self.counts.shoppers), float(self.counts.without_positive), self.counts.effective


def no_sums(listwise: Sequence[str] = LISTWISE) -> RankingSums:
    """Return the sums of no request."""
    n_totals = len(COUNTS) + 2 * (len(POINTWISE) + len(listwise))
    return RankingSums(np.zeros(n_totals), NO_SCORES, NO_COUNTS, NO_USERS, NO_ITEMS, None, _NO_POSITIONS)


@dataclass(frozen=True, slots=True)
class _Subset:
    """S requests of a block, with M of their candidates."""

    rows: NDArray[np.intp]  # [S], indices of the requests in the block, ascending
    candidates: NDArray[np.intp]  # [M], indices of the candidates in the block
    row: NDArray[np.intp]  # [M], the candidate's request, 0 to S-1
    scores: NDArray[np.float32]  # [M]
    positive: NDArray[np.bool_]  # [M]

    def by_request(self, values: NDArray[np.generic] | None = None) -> Floats:
        """Sum the candidates' values, by default 1 each, to [S]."""
        return np.bincount(self.row, weights=values, minlength=len(self.rows)).astype(np.float64)


@dataclass(frozen=True, slots=True)
class RequestSums:
    """The summands of each request of a block, from which any subset can be summed."""

    requests: Requests
    row: NDArray[np.int64]  # [N], the candidate's request
    listwise: tuple[Terms, ...]  # a value and its weight for each request [R], metric by metric
    reach: Floats  # [N], the probability to stand among the first ITEM_CUTOFF
    position: NDArray[np.int64]  # [N], from 0, in the model's order; tied candidates in any
    expected_label: Floats  # [N], at that position
    weights: NDArray[np.float32] | None  # [R, B], how often each replicate counts the request

    def total(self, rows: NDArray[np.intp] | None = None) -> RankingSums:
        """Sum over the requests at these indices, ascending; default: over all."""
        n_requests = len(self.requests.row_lengths)
        if rows is None:
            rows = np.arange(n_requests)
        chosen = np.zeros(n_requests, np.bool_)
        chosen[rows] = True
        candidates = np.flatnonzero(chosen[self.row])
        subset = self._subset(rows, candidates, np.searchsorted(rows, self.row[candidates]))
        pooled = self._pooled_sums(subset, [(value[rows], weight[rows]) for value, weight in self.listwise])
        return replace(pooled, shoppers=self._shoppers(subset), items=self._items(subset), positions=self._positions(subset))

    def total_of_candidates(self, candidates: NDArray[np.intp]) -> RankingSums:
        """Sum over the candidates at these indices alone.

        A request counts if it shows one of them, and has a positive if one of them is. Metrics by list are NaN.
        """
        rows, row = np.unique(self.row[candidates], return_inverse=True)
        nothing = np.zeros(len(rows))
        return self._pooled_sums(self._subset(rows, candidates, row), [(nothing, nothing)] * len(self.listwise))

    def _subset(self, rows: NDArray[np.intp], candidates: NDArray[np.intp], row: NDArray[np.intp]) -> _Subset:
        return _Subset(rows, candidates, row, self.requests.scores[candidates], self.requests.labels[candidates] > 0)

    def _pooled_sums(self, subset: _Subset, terms: Sequence[Terms]) -> RankingSums:
        """Sum what doesn't need whole lists, and the terms; shoppers' sample, items and positions stay empty."""
        summands = _summands(subset, terms)
        scores = ScoreHistogram.from_scores(subset.scores, subset.positive)
        counts, replicates = NO_COUNTS, None
        if self.weights is not None and self.requests.users is not None:
            has_positive = summands[:, COUNTS.index("requests_without_positive")] == 0
            counts = UserCounts.from_users(self.requests.users[subset.rows], has_positive)
            weights = self.weights[subset.rows]
            replicates = Replicates.from_columns(
                summands, scores=subset.scores, positive=subset.positive, row=subset.row, weights=weights, counts=scores
            )
        return RankingSums(summands.sum(axis=0), scores, counts, NO_USERS, NO_ITEMS, replicates, _NO_POSITIONS)

    def _shoppers(self, subset: _Subset) -> UserSample:
        if self.requests.users is None:
            return NO_USERS
        return UserSample.from_users(self.requests.users[self.row[subset.candidates]], subset.scores, subset.positive)

    def _items(self, subset: _Subset) -> ItemCoverage:
        items, users = self.requests.items, self.requests.users
        if items is None:
            return NO_ITEMS
        group = np.zeros(len(subset.rows), np.int64) if users is None else user_groups(users[subset.rows])
        return ItemCoverage.from_candidates(items[subset.candidates], self.reach[subset.candidates], row=subset.row, group=group)

    def _positions(self, subset: _Subset) -> Floats:
        position, label = self.position[subset.candidates], self.expected_label[subset.candidates]
        shown = np.bincount(position, minlength=POSITIONS)[:POSITIONS].astype(np.float64)
        return np.stack([shown, np.bincount(position, weights=label, minlength=POSITIONS)[:POSITIONS]])


def listwise_of(amounts: Iterable[str]) -> tuple[str, ...]:
    """Name the listwise metrics of examples with these amounts."""
    return (*LISTWISE, *(f"{amount}_at_{k}" for amount in amounts for k in CUTOFFS))


def request_sums(requests: Requests, names: Sequence[str] = LISTWISE) -> RequestSums:
    """Compute the summands of each request, for the listwise metrics of these names."""
    ranked = Ranked.from_scores(
        requests.scores, requests.labels > 0, gains=requests.gains, row_lengths=requests.row_lengths, amounts=requests.amounts
    )
    return RequestSums(
        requests=requests,
        row=ranked.row,
        listwise=tuple(listwise(name, ranked) for name in names),
        reach=ranked.unsorted(ranked.within(ITEM_CUTOFF)),
        position=ranked.unsorted(ranked.position),
        expected_label=ranked.unsorted(ranked.ties.mean(ranked.positive)),
        weights=None if requests.users is None else poisson_counts(requests.users).astype(np.float32),
    )


def _summands(subset: _Subset, terms: Sequence[Terms]) -> Floats:
    """Compute the summands of `RankingSums.totals`, a row for each request, [S, C]."""
    length, positives = subset.by_request(), subset.by_request(subset.positive)
    is_probability = (subset.scores >= 0) & (subset.scores <= 1)
    probability = np.where(is_probability, subset.scores.astype(np.float64), np.nan)
    invalid = subset.by_request(~np.isfinite(subset.scores))
    counts = [np.ones(len(subset.rows)), length, positives, (positives == 0).astype(np.float64), invalid]
    pointwise = [subset.by_request(_log_loss(probability, subset.positive)), subset.by_request(probability)]
    weighted = [np.where(weight > 0, value * weight, 0.0) for value, weight in terms]
    return np.stack([*counts, *pointwise, *weighted, length, positives, *(weight for _, weight in terms)], axis=1)


def _means(totals: Floats) -> Floats:
    """Compute counts and means from totals, whose last axis is that of `RankingSums.totals`."""
    n_means = (totals.shape[-1] - len(COUNTS)) // 2
    counts, sums, weights = np.split(totals, [len(COUNTS), len(COUNTS) + n_means], axis=-1)
    return np.concatenate([counts, np.divide(sums, weights, out=np.full_like(sums, np.nan), where=weights > 0)], axis=-1)


def _add_optional(one: Replicates | None, other: Replicates | None) -> Replicates | None:
    return one + other if one and other else one or other


def _weighted_mean(values: Floats, weights: Floats) -> Floats:
    """Average over the first axis, for each column of the weights; NaN where the weights sum to 0."""
    total = weights.sum(axis=0)
    return np.where(total > 0, values @ weights / np.where(total > 0, total, 1), np.nan)


def _log_loss(probability: Floats, positive: NDArray[np.bool_]) -> Floats:
    """Return -log of the predicted probability of each label, [N]."""
    loss: Floats = -np.log(np.clip(np.where(positive, probability, 1.0 - probability), _PROBABILITY_MARGIN, 1.0))
    return loss


def gains_from(
    labels: Mapping[str, NDArray[np.float32]],
    weights: Mapping[str, float],
    amounts: Mapping[str, NDArray[np.float32]] | None = None,
) -> NDArray[np.float32]:
    """Compute each candidate's gain [N]: the highest weight of its actions, not their sum, as a purchase implies a
    click.

    The gain of an action that has `amounts`, by its label, is its weight times the amount; an amount below 0 counts as
    0.
    """
    each = {name: np.float32(weight) * (labels[name] > 0) for name, weight in weights.items()}
    each |= {name: each[name] * np.maximum(amount, np.float32(0)) for name, amount in (amounts or {}).items()}
    gains: NDArray[np.float32] = np.stack(list(each.values()))
    highest: NDArray[np.float32] = gains.max(axis=0)
    return highest
