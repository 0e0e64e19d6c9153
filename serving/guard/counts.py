"""What is counted of each version, and how two versions' scores are compared."""

from dataclasses import dataclass

import numpy as np

from serving.guard.e_process import Numbers, Seen

SCORE_BINS = 20
_BORDERS = np.arange(1, SCORE_BINS) / SCORE_BINS


@dataclass(frozen=True)
class Tally:
    """Counts of one version. Numbers, or arrays of one shape [...] for several runs at once.

    Attributes:
        requests: answered or failed.
        errors: of them, those that failed or were answered by a fallback.
        slow: of them, those that took longer than the budget.
        settled: requests whose time for a click is over, however they were answered.
        clicked: of them, those with a click.
        scores: [..., SCORE_BINS] answered candidates by score, as `score_counts` counts them.
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
    ) -> "Tally":
        """From whole numbers; no scores by default."""
        return cls(
            requests=np.asarray(requests, np.float64),
            errors=np.asarray(errors, np.float64),
            slow=np.asarray(slow, np.float64),
            settled=np.asarray(settled, np.float64),
            clicked=np.asarray(clicked, np.float64),
            scores=np.zeros(SCORE_BINS) if scores is None else scores,
        )

    def plus(self, more: "Tally") -> "Tally":
        """Both together."""
        names = ("requests", "errors", "slow", "settled", "clicked", "scores")
        return Tally(**{name: getattr(self, name) + getattr(more, name) for name in names})


def clicks(canary: Tally, stable: Tally) -> Seen:
    """Settled requests with a click, of the canary (a) and stable (b)."""
    return Seen(canary.clicked, canary.settled, stable.clicked, stable.settled)


def errors(canary: Tally, stable: Tally) -> Seen:
    """Requests that failed."""
    return Seen(canary.errors, canary.requests, stable.errors, stable.requests)


def slow(canary: Tally, stable: Tally) -> Seen:
    """Requests over the budget: the share above x is below 1 - p exactly where the p-quantile is below x."""
    return Seen(canary.slow, canary.requests, stable.slow, stable.requests)


def score_counts(scores: Numbers) -> Numbers:
    """[SCORE_BINS] scores by equal bins of [0, 1]; what lies outside is in the first or last, NaN nowhere."""
    places = _BORDERS.searchsorted(scores[np.isfinite(scores)], side="right")
    return np.bincount(places, minlength=SCORE_BINS).astype(np.float64)


def psi(canary: Numbers, stable: Numbers) -> Numbers:
    """Population stability index of two histograms [..., bins]: sum over bins of (a - b) log(a / b), a and b their shares.

    0 where they agree; by custom 0.1 is a little, 0.25 much. Half a count is added to each bin, so that an empty one is no infinity.
    """
    a, b = (counts + 0.5 for counts in (canary, stable))
    a, b = (counts / counts.sum(axis=-1, keepdims=True) for counts in (a, b))
    return np.asarray(np.sum((a - b) * np.log(a / b), axis=-1))
