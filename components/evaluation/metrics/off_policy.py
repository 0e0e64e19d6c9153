"""Off-policy evaluation: estimate the clicks on a new order of the candidates from clicks on the order that was shown.

Assumes the position-based model (Richardson et al. 2007; Joachims et al. 2017, "Unbiased learning-to-rank with biased
feedback"): a candidate at position k is examined with probability e(k), whatever it is, and then clicked with the
probability of its relevance r: P(click) = e(k) r. With k the position where it was shown, k' its new position and c the
click, sums being over candidates and R the number of requests:

    ips     sum of c e(k') / E, over R                            clicks a request
    dr      sum of e(k') p + (c - e(k) p) e(k') / E, over R       the same, with a predicted relevance p
    snips   sum of c e(k') / E over sum of c / E                  share of the relevant candidates that is examined

E is the expected examination under the policy that showed the candidate: the mean of e over the positions it might have
had (Oosterhuis and de Rijke 2020, "Policy-aware unbiased learning to rank"). If only the position is known, E is e(k).

`ips` (Li et al. 2018, "Offline evaluation of ranking policies with click models") is unbiased if e is right. So is `dr`
(Oosterhuis 2023, "Doubly robust estimation for correcting position bias in click feedback"), whatever p is, and the
better p is the less it varies; where p is right, E need not be. With E = e(k) it is `ips`, as p cancels out. `snips`
(Yang et al. 2018, "Unbiased offline recommender evaluation for missing-not-at-random implicit feedback") is biased by a
term that falls with the number of requests, lies between 0 and 1, and doesn't depend on how much is clicked at all.

The positions must overlap: items never shown beyond position 5 say nothing of position 20. Weights above `MAX_WEIGHT`
are clipped, which biases towards the order that was shown.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from components.contract.errors import InputError
from components.evaluation.metrics.bootstrap import poisson_counts, standard_error
from components.evaluation.metrics.intervals import half_width
from components.evaluation.metrics.user_counts import UserCounts
from components.evaluation.metrics.vectorized_metrics import Ranked

MAX_WEIGHT = 100.0

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value and its 95 % interval over shoppers."""

    value: float
    margin: float

    def covers(self, truth: float) -> bool:
        """Return whether the interval holds the true value."""
        return abs(self.value - truth) <= self.margin


@dataclass(frozen=True, slots=True)
class LoggedRequests:
    """R requests with N candidates that follow one another, in the order that was shown."""

    clicks: Floats  # [N], 0 or 1
    places: NDArray[np.int64]  # [N], from 0
    row_lengths: NDArray[np.int64]  # [R]
    users: NDArray[np.uint64]  # [R], hashes
    expected: Floats | None = None  # [N], E: the expected examination under the logging policy; None: that of its position

    def __post_init__(self) -> None:
        if not len(self.clicks) == len(self.places) == int(self.row_lengths.sum()) or len(self.users) != len(self.row_lengths):
            raise InputError(
                f"expected a click and a place for each of {int(self.row_lengths.sum())} candidates and a user for each of "
                f"{len(self.row_lengths)} requests, got {len(self.clicks)}, {len(self.places)} and {len(self.users)}"
            )


def off_policy_values(
    logged: LoggedRequests, scores: NDArray[np.float32], examination: Floats, *, predicted: Floats | None = None
) -> dict[str, Estimate]:
    """Estimate `ips`, `snips` and, with `predicted` relevance [N], `dr` of the order by `scores` [N]; `shown`: as
    logged.

    `examination` [P] is e of each position; one beyond its end counts as the last. Ties share the mean of their
    positions.

    Raises:
        InputError: an examination isn't above 0 and at most 1.
    """
    if not len(examination) or examination.min() <= 0 or examination.max() > 1:
        raise InputError("expected an examination above 0 and at most 1 for every place; leave out places that nobody looks at")
    old = _at(examination, logged.places)
    new = _new_examination(scores, logged.row_lengths, examination)
    expected = old if logged.expected is None else logged.expected
    weight = np.minimum(new / expected, MAX_WEIGHT)
    row = np.repeat(np.arange(len(logged.row_lengths)), logged.row_lengths)
    columns = {"shown": logged.clicks, "ips": logged.clicks * weight, "relevant": logged.clicks / expected}
    if predicted is not None:
        columns["dr"] = new * predicted + (logged.clicks - old * predicted) * weight
    by_request = {
        name: np.bincount(row, weights=values, minlength=len(logged.row_lengths)).astype(np.float64) for name, values in columns.items()
    }
    return _estimates(by_request | {"requests": np.ones(len(logged.row_lengths))}, logged.users)


def _estimates(by_request: Mapping[str, Floats], users: NDArray[np.uint64]) -> dict[str, Estimate]:
    weights = poisson_counts(users)
    shoppers = UserCounts.from_users(users, np.ones(len(users), np.bool_)).effective
    total = {name: float(values.sum()) for name, values in by_request.items()}
    replicated = {name: values @ weights for name, values in by_request.items()}

    def ratio(above: str, below: str) -> Estimate:
        value = total[above] / total[below] if total[below] > 0 else float("nan")
        replicates = np.full(len(replicated[below]), np.nan)
        np.divide(replicated[above], replicated[below], out=replicates, where=replicated[below] > 0)
        return Estimate(value, half_width(standard_error(replicates), shoppers))

    per_request = {name: ratio(name, "requests") for name in by_request if name not in ("requests", "relevant")}
    return per_request | {"snips": ratio("ips", "relevant")}


def _new_examination(scores: NDArray[np.float32], row_lengths: NDArray[np.int64], examination: Floats) -> Floats:
    """Return e of each candidate's position [N] when its request is ordered by the scores."""
    nothing = np.zeros(len(scores))
    ranked = Ranked.from_scores(scores, nothing > 0, gains=nothing.astype(np.float32), row_lengths=row_lengths)
    return ranked.unsorted(ranked.ties.mean(_at(examination, ranked.position)))


def _at(examination: Floats, places: NDArray[np.int64]) -> Floats:
    chances: Floats = examination[np.minimum(places, len(examination) - 1)]
    return chances
