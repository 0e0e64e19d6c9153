"""Count requests, errors, slow answers, clicks and scores of each version."""

from dataclasses import dataclass

import numpy as np

from serving.guard.e_process import Counts, Numbers

SCORE_BINS = 20
_EDGES = np.arange(1, SCORE_BINS) / SCORE_BINS


@dataclass(frozen=True)
class VersionCounts:
    """Hold counts of one version: scalars, or arrays of one shape [...] for several runs at once.

    Attributes:
        requests: answered or failed.
        errors: of them, those that failed or were answered by a fallback.
        slow: of them, those that took longer than the budget.
        settled: requests whose click window is over, however they were answered.
        clicked: of them, those with a click.
        scores: [..., SCORE_BINS] answered candidates by score, as `score_histogram` counts them.
    """

    requests: Numbers
    errors: Numbers
    slow: Numbers
    settled: Numbers
    clicked: Numbers
    scores: Numbers

    @classmethod
    def from_counts(
        cls, *, requests: int = 0, errors: int = 0, slow: int = 0, settled: int = 0, clicked: int = 0, scores: Numbers | None = None
    ) -> "VersionCounts":
        """Build scalar counts; no scores by default."""
        return cls(
            requests=np.asarray(requests, np.float64),
            errors=np.asarray(errors, np.float64),
            slow=np.asarray(slow, np.float64),
            settled=np.asarray(settled, np.float64),
            clicked=np.asarray(clicked, np.float64),
            scores=np.zeros(SCORE_BINS) if scores is None else scores,
        )

    def plus(self, other: "VersionCounts") -> "VersionCounts":
        """Return the sum of both."""
        names = ("requests", "errors", "slow", "settled", "clicked", "scores")
        return VersionCounts(**{name: getattr(self, name) + getattr(other, name) for name in names})


def clicks(canary: VersionCounts, stable: VersionCounts) -> Counts:
    """Return settled requests with a click, of the canary (a) and stable (b)."""
    return Counts(canary.clicked, canary.settled, stable.clicked, stable.settled)


def errors(canary: VersionCounts, stable: VersionCounts) -> Counts:
    """Return requests that failed."""
    return Counts(canary.errors, canary.requests, stable.errors, stable.requests)


def slow(canary: VersionCounts, stable: VersionCounts) -> Counts:
    """Return requests over the budget: the share above x is below 1 - p exactly where the p-quantile is below x."""
    return Counts(canary.slow, canary.requests, stable.slow, stable.requests)


def score_histogram(scores: Numbers) -> Numbers:
    """Count scores by equal bins of [0, 1], [SCORE_BINS]; outliers are in the first or last bin, NaN in none."""
    bins = _EDGES.searchsorted(scores[np.isfinite(scores)], side="right")
    return np.bincount(bins, minlength=SCORE_BINS).astype(np.float64)


def psi(canary: Numbers, stable: Numbers) -> Numbers:
    """Return the population stability index of two histograms [..., bins]: sum of (a - b) log(a / b) over bin shares.

    It is 0 where they agree; by convention 0.1 is a small shift, 0.25 a large one. Half a count is added to each bin,
    so that an empty one gives no infinity.
    """
    a, b = (counts + 0.5 for counts in (canary, stable))
    a, b = (counts / counts.sum(axis=-1, keepdims=True) for counts in (a, b))
    return np.asarray(np.sum((a - b) * np.log(a / b), axis=-1))
