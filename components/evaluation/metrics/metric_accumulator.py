"""The ranking metrics of many requests, as sums that can be added: what runs over blocks, slices and machines.

Means over requests, of one value each (definitions in `metrics`):

    precision_at_k, recall_at_k, hit_rate_at_k, map, mrr   weight 1 where the request has a positive; the others don't count
    ndcg_at_k                                              weight 1 where it has a gain
    gauc                                                   weight: the number of impressions, where the request has both classes
    revenue_at_k, quantity_at_k, margin_at_k               weight: the request's amount, where the dataset has the role

GAUC is the impression-weighted mean of the AUC within a group (Zhu et al. 2017, "Optimized cost per click in Taobao display advertising";
Zhou et al. 2018, "Deep interest network for click-through rate prediction", the weighted AUC of its metrics). `gauc` groups by request: it
compares only candidates that a shopper saw side by side. `gauc_by_user` groups by shopper, as the papers do, so a request in which the
shopper was in the mood to buy is held against one in which not; a guest's request is a group of its own.

Over all candidates, across requests:

    auc, pr_auc, ece    see `score_counts`
    log_loss            mean of -log of the probability given to what happened; NaN if a score is no probability
    calibration         mean score over mean label: 1 is right, 2 promises twice as many positives as there are

Over all requests and items (`item_reach`): `coverage_at_5` is the share of the shown items that reach a first five, `personalisation_at_5`
1 - the overlap of the first five of two requests.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from components.contract.errors import InputError
from components.contract.sources import AMOUNTS
from components.evaluation.metrics.bootstrap import poisson_counts
from components.evaluation.metrics.bootstrap_replicates import Replicates
from components.evaluation.metrics.item_coverage import NO_ITEMS, ItemReach, shopper_groups
from components.evaluation.metrics.score_histogram import NO_SCORES, ScoreCounts
from components.evaluation.metrics.user_counts import NO_COUNTS, ShopperCounts
from components.evaluation.metrics.user_sample import NO_SHOPPERS, ShopperSample
from components.evaluation.metrics.vectorized_metrics import Ranked, Terms, listwise

FIRST = (1, 5, 10)
REACHED = 5
PLACES = 20

COUNTS = ("requests", "impressions", "positives", "requests_without_positive", "invalid_scores")
OF_SHOPPERS = ("shoppers", "shoppers_without_positive", "effective_shoppers")
OF_SCORES = ("auc", "pr_auc", "ece")
POINTWISE = ("log_loss", "calibration")
LISTWISE = (
    "gauc",
    *(f"precision_at_{k}" for k in FIRST),
    *(f"recall_at_{k}" for k in FIRST),
    *(f"hit_rate_at_{k}" for k in FIRST[1:]),
    *(f"ndcg_at_{k}" for k in FIRST[1:]),
    "map",
    "mrr",
)
OF_AMOUNTS = tuple(f"{amount}_at_{k}" for amount in AMOUNTS for k in FIRST)
OF_ITEMS = (f"coverage_at_{REACHED}", f"personalisation_at_{REACHED}")
METRICS = (*COUNTS, *OF_SHOPPERS, *OF_SCORES, "auc_error", *POINTWISE, "gauc_by_user", *LISTWISE, *OF_AMOUNTS, *OF_ITEMS)
"""Names of all values of `RankingSums.values`; those of `OF_AMOUNTS` are there where the examples have the amount."""
BOOTSTRAPPED = (*OF_SCORES, *POINTWISE, "gauc_by_user", *LISTWISE, *OF_AMOUNTS)
"""Those whose standard error is from replicates of the shoppers; that of `OF_ITEMS` is from leaving groups of them out (`item_reach`)."""
ESTIMATED = (*BOOTSTRAPPED, *OF_ITEMS)
"""Those that have a standard error."""

_PROBABILITY_MARGIN = 1e-7  # about the step of float32 below 1: a sigmoid that rounds to 1 costs 16, not infinity

Floats = NDArray[np.float64]
NO_PLACES: Floats = np.zeros((2, PLACES))


@dataclass(frozen=True, slots=True)
class Requests:
    """R requests with N candidates that follow one another, and what a model made of them.

    Raises:
        InputError: if labels, scores, gains and the sum of row_lengths differ in length.
    """

    labels: NDArray[np.float32]  # [N], above 0: positive
    scores: NDArray[np.float32]  # [N]
    gains: NDArray[np.float32]  # [N]
    row_lengths: NDArray[np.int64]  # [R]
    users: NDArray[np.uint64] | None = None  # [R], hashes; without them nothing is told by shopper
    items: NDArray[np.uint64] | None = None  # [N], hashes; without them nothing is told of items
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
    """What is kept of any number of requests; `a + b` is of both. Addition is associative and commutative up to rounding."""

    totals: Floats  # [counts, then weighted sums of the means, then their weights]
    scores: ScoreCounts
    counts: ShopperCounts
    shoppers: ShopperSample
    items: ItemReach
    replicates: Replicates | None  # None where shoppers aren't known, or of no request
    places: Floats  # [2, PLACES], impressions and expected positives at each place of the model's order

    def __add__(self, other: "RankingSums") -> "RankingSums":
        """The sums of both sets of requests."""
        return RankingSums(
            self.totals + other.totals,
            self.scores + other.scores,
            self.counts + other.counts,
            self.shoppers + other.shoppers,
            self.items + other.items,
            _both(self.replicates, other.replicates),
            self.places + other.places,
        )

    def values(self, listwise: Sequence[str] = LISTWISE) -> dict[str, float]:
        """All metrics by name; NaN where no request defines one. `listwise` are those that the sums were taken of.

        `invalid_scores` counts scores that are NaN or infinite (NaN ranks last); `auc_error` bounds the error of `auc`, 0 when it is exact.
        """
        names = (*COUNTS, *POINTWISE, *listwise)
        named = dict(zip(names, _means(self.totals).tolist(), strict=True))
        named |= {name: float(getattr(self.scores, name)) for name in (*OF_SCORES, "auc_error")}
        named |= dict(zip(OF_SHOPPERS, self._of_shoppers(), strict=True))
        named |= dict(zip(OF_ITEMS, (self.items.coverage, self.items.personalisation), strict=True))
        _, (auc, weight) = self.shoppers.gauc()
        named["gauc_by_user"] = float(_weighted_mean(auc, weight))
        return named

    def _of_shoppers(self) -> tuple[float, float, float]:
        """NaN where shoppers aren't known."""
        if self.replicates is None:
            return (float("nan"),) * 3
        return float(self.counts.shoppers), float(self.counts.without_positive), self.counts.effective

    def replicated(self, listwise: Sequence[str] = LISTWISE) -> dict[str, Floats]:
        """The metrics of `BOOTSTRAPPED` in each replicate [B]; empty where shoppers aren't known."""
        if self.replicates is None:
            return {}
        named = dict(zip((*COUNTS, *POINTWISE, *listwise), _means(self.replicates.totals).T, strict=True))
        named |= {name: getattr(self.replicates.scores, name) for name in OF_SCORES}
        user, (auc, weight) = self.shoppers.gauc()
        named["gauc_by_user"] = _weighted_mean(auc, weight[:, None] * poisson_counts(user))
        return {name: values for name, values in named.items() if name not in COUNTS}

    def without_each_group(self) -> dict[str, Floats]:
        """The metrics of `OF_ITEMS` without each group of shoppers [G]; empty where shoppers aren't known."""
        return {} if self.replicates is None else dict(zip(OF_ITEMS, self.items.without_each_group(), strict=True))


def no_sums(listwise: Sequence[str] = LISTWISE) -> RankingSums:
    """The sums of no request."""
    return RankingSums(
        np.zeros(len(COUNTS) + 2 * (len(POINTWISE) + len(listwise))), NO_SCORES, NO_COUNTS, NO_SHOPPERS, NO_ITEMS, None, NO_PLACES
    )


@dataclass(frozen=True, slots=True)
class RequestSums:
    """The summands of each request of a block, from which any subset can be added up."""

    requests: Requests
    row: NDArray[np.int64]  # [N], the candidate's request
    listwise: tuple[Terms, ...]  # of each request
    reach: Floats  # [N], the probability to stand among the first places
    place: NDArray[np.int64]  # [N], in the model's order; tied candidates in any
    found: Floats  # [N], the expected label at that place
    weights: NDArray[np.float32] | None  # [R, B], how often each replicate counts the request

    def total(self, rows: NDArray[np.intp] | None = None) -> RankingSums:
        """The sums over the requests at these places, ascending, or over all."""
        if rows is None:
            rows = np.arange(len(self.requests.row_lengths))
        chosen = np.zeros(len(self.requests.row_lengths), np.bool_)
        chosen[rows] = True
        candidates = np.flatnonzero(chosen[self.row])
        renumbered = np.searchsorted(rows, self.row[candidates])
        columns = self._columns(candidates, renumbered, [(value[rows], weight[rows]) for value, weight in self.listwise], len(rows))
        given = self.requests
        shoppers, items = NO_SHOPPERS, NO_ITEMS
        if given.users is not None:
            user = given.users[self.row[candidates]]
            shoppers = ShopperSample.of(user, given.scores[candidates], given.labels[candidates] > 0)
        if given.items is not None:
            group = np.zeros(len(rows), np.int64) if given.users is None else shopper_groups(given.users[rows])
            items = ItemReach.of(given.items[candidates], self.reach[candidates], row=renumbered, group=group)
        shown = np.bincount(self.place[candidates], minlength=PLACES)[:PLACES].astype(np.float64)
        found = np.bincount(self.place[candidates], weights=self.found[candidates], minlength=PLACES)[:PLACES]
        return self._sums(columns, candidates, rows, renumbered, shoppers, items, np.stack([shown, found]))

    def total_of_candidates(self, candidates: NDArray[np.intp]) -> RankingSums:
        """The sums over the candidates at these places alone.

        A request counts if it shows one of them, and has a positive if one of them is. Lists are torn apart, so what is told by list is
        NaN.
        """
        rows, renumbered = np.unique(self.row[candidates], return_inverse=True)
        nothing = np.zeros(len(rows))
        columns = self._columns(candidates, renumbered, [(nothing, nothing)] * len(self.listwise), len(rows))
        return self._sums(columns, candidates, rows, renumbered, NO_SHOPPERS, NO_ITEMS, NO_PLACES)

    def _columns(self, candidates: NDArray[np.intp], row: NDArray[np.intp], terms: Sequence[Terms], n_requests: int) -> Floats:
        """As `RankingSums.totals`, a row for each of the requests, [R, C]."""
        scores, positive = self.requests.scores[candidates], self.requests.labels[candidates] > 0

        def by_request(values: NDArray[np.generic] | None = None) -> Floats:
            return np.bincount(row, weights=values, minlength=n_requests).astype(np.float64)

        length, positives = by_request(), by_request(positive)
        probability = np.where((scores >= 0) & (scores <= 1), scores.astype(np.float64), np.nan)
        columns = [np.ones(n_requests), length, positives, (positives == 0).astype(np.float64), by_request(~np.isfinite(scores))]
        columns += [by_request(_log_loss(probability, positive)), by_request(probability)]
        columns += [np.where(weight > 0, value * weight, 0.0) for value, weight in terms]
        columns += [length, positives, *(weight for _, weight in terms)]
        return np.stack(columns, axis=1)

    def _sums(
        self,
        columns: Floats,
        candidates: NDArray[np.intp],
        rows: NDArray[np.intp],
        row: NDArray[np.intp],
        shoppers: ShopperSample,
        items: ItemReach,
        places: Floats,
    ) -> RankingSums:
        scores, positive = self.requests.scores[candidates], self.requests.labels[candidates] > 0
        counts, replicates, of_shoppers = ScoreCounts.of(scores, positive), None, NO_COUNTS
        if self.weights is not None and self.requests.users is not None:
            of_shoppers = ShopperCounts.of(self.requests.users[rows], columns[:, COUNTS.index("requests_without_positive")] == 0)
            weights = self.weights[rows]
            replicates = Replicates.of(columns, scores=scores, positive=positive, row=row, weights=weights, counts=counts)
        return RankingSums(columns.sum(axis=0), counts, of_shoppers, shoppers, items, replicates, places)


def sums(
    labels: NDArray[np.float32],
    scores: NDArray[np.float32],
    *,
    gains: NDArray[np.float32],
    row_lengths: NDArray[np.int64],
    users: NDArray[np.uint64] | None = None,
    items: NDArray[np.uint64] | None = None,
) -> RankingSums:
    """The sums over all requests; arguments as in `Requests`."""
    return request_sums(Requests(labels, scores, gains, row_lengths, users, items)).total()


def listwise_of(amounts: Iterable[str]) -> tuple[str, ...]:
    """The listwise metrics of examples with these amounts."""
    return (*LISTWISE, *(f"{amount}_at_{k}" for amount in amounts for k in FIRST))


def request_sums(requests: Requests, names: Sequence[str] = LISTWISE) -> RequestSums:
    """The summands of each request, with the listwise metrics of these names."""
    ranked = Ranked.of(
        requests.scores, requests.labels > 0, gains=requests.gains, row_lengths=requests.row_lengths, amounts=requests.amounts
    )
    reach, place, found = np.empty(len(requests.scores)), np.empty_like(ranked.place), np.empty(len(requests.scores))
    reach[ranked.order], place[ranked.order], found[ranked.order] = ranked.within(REACHED), ranked.place, ranked.ties.mean(ranked.positive)
    weights = None if requests.users is None else poisson_counts(requests.users).astype(np.float32)
    return RequestSums(requests, ranked.row, tuple(listwise(name, ranked) for name in names), reach, place, found, weights)


def _means(totals: Floats) -> Floats:
    """Counts and means from totals, whose last axis is that of `RankingSums.totals`."""
    n_means = (totals.shape[-1] - len(COUNTS)) // 2
    counts, sums, weights = np.split(totals, [len(COUNTS), len(COUNTS) + n_means], axis=-1)
    return np.concatenate([counts, np.divide(sums, weights, out=np.full_like(sums, np.nan), where=weights > 0)], axis=-1)


def _both(one: Replicates | None, other: Replicates | None) -> Replicates | None:
    return one + other if one and other else one or other


def _weighted_mean(values: Floats, weights: Floats) -> Floats:
    """Over the first axis, for each column of the weights; NaN where nothing weighs."""
    total = weights.sum(axis=0)
    return np.where(total > 0, values @ weights / np.where(total > 0, total, 1), np.nan)


def _log_loss(probability: Floats, positive: NDArray[np.bool_]) -> Floats:
    """-log of the probability given to what happened, [N]."""
    loss: Floats = -np.log(np.clip(np.where(positive, probability, 1.0 - probability), _PROBABILITY_MARGIN, 1.0))
    return loss


def gains_from(
    labels: Mapping[str, NDArray[np.float32]],
    weights: Mapping[str, float],
    amounts: Mapping[str, NDArray[np.float32]] | None = None,
) -> NDArray[np.float32]:
    """What each candidate [N] is worth: the highest weight among its actions (a purchase is worth a purchase, whatever led to it).

    An action that has `amounts`, by its label, is worth its weight times the candidate's amount; an amount below 0 is worth 0.
    """
    each = {name: np.float32(weight) * (labels[name] > 0) for name, weight in weights.items()}
    each |= {name: each[name] * np.maximum(amount, np.float32(0)) for name, amount in (amounts or {}).items()}
    worth: NDArray[np.float32] = np.stack(list(each.values()))
    highest: NDArray[np.float32] = worth.max(axis=0)
    return highest
