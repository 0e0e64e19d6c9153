"""Count positives and negatives by score, in bounded memory, to compute AUC, PR-AUC and calibration."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

MAX_LEVELS = 65_536  # 1.6 MB at most for a slice; the bound of the AUC error is then about 1e-5
CALIBRATION_BINS = 10


@dataclass(frozen=True, slots=True)
class ScoreHistogram:
    """Counts of negatives and positives by score level, levels ascending.

    A level is a float32 score mapped to an integer of the same order, without its lowest `dropped_bits` bits. Nothing
    is dropped while there are at most `max_levels` distinct scores: AUC is then exact. Beyond, bits are dropped until
    the levels fit, which leaves the same relative precision near 0 as near 1/2. The bits dropped depend on the set of
    scores alone, so merging is associative and commutative.

    Counts may have a second axis of B weightings of the same candidates, [D, B]; every property then has the shape [B].
    """

    levels: NDArray[np.int64]  # [D], ascending
    negatives: NDArray[np.integer]  # [D] or [D, B]
    positives: NDArray[np.integer]  # the same
    dropped_bits: int = 0
    max_levels: int = MAX_LEVELS

    @classmethod
    def from_scores(cls, scores: NDArray[np.float32], positive: NDArray[np.bool_], *, max_levels: int = MAX_LEVELS) -> "ScoreHistogram":
        """Count the scores [N] of candidates that are positive [N] or not. NaN counts as the lowest score."""
        ascending = np.sort(sortable(scores) * 2 + positive)
        positives = ascending & 1
        return _fitted(ascending >> 1, 1 - positives, positives, 0, max_levels)

    @classmethod
    def weighted(
        cls,
        scores: NDArray[np.float32],
        positive: NDArray[np.bool_],
        *,
        row: NDArray[np.int64],
        weights: NDArray[np.float32],
        counts: "ScoreHistogram",
        max_levels: int,
    ) -> "ScoreHistogram":
        """Count with weights, [D, B]: candidate i of N counts weights[row[i]] times, weights [R, B].

        `counts` is the candidates' unweighted histogram.
        """
        levels, starts, bits = _coarsened(counts.levels, counts.dropped_bits, max_levels)
        levels = levels[starts]
        slot = 2 * np.searchsorted(levels, sortable(scores) >> bits) + positive
        chosen = sparse.csr_array((np.ones(len(scores), np.float32), (slot, row)), shape=(2 * len(levels), len(weights)))
        weighted = (chosen @ weights).astype(np.int32).reshape(len(levels), 2, weights.shape[1])
        return cls(levels, weighted[:, 0], weighted[:, 1], bits, max_levels)

    def __add__(self, other: "ScoreHistogram") -> "ScoreHistogram":
        """Add both counts; exact as long as the distinct scores fit."""
        bits = max(self.dropped_bits, other.dropped_bits)
        levels = np.concatenate([self.levels >> (bits - self.dropped_bits), other.levels >> (bits - other.dropped_bits)])
        order = np.argsort(levels, kind="stable")  # both halves are sorted: a merge
        return _fitted(
            levels[order],
            np.concatenate([self.negatives, other.negatives])[order],
            np.concatenate([self.positives, other.positives])[order],
            bits,
            min(self.max_levels, other.max_levels),
        )

    @property
    def auc(self) -> NDArray[np.float64]:
        """Probability that a positive scores above a negative, ties (of level) one half; NaN if a class is missing."""
        below = np.cumsum(self.negatives, axis=0) - self.negatives
        return _ratio((self.positives * (below + 0.5 * self.negatives)).sum(axis=0), self._pairs)

    @property
    def auc_error(self) -> NDArray[np.float64]:
        """Upper bound of |auc - exact AUC|: half the share of pairs that meet in one level; 0 if no bit was dropped."""
        in_one_level = (self.positives * self.negatives.astype(np.float64)).sum(axis=0)
        return 0.5 * _ratio(in_one_level, self._pairs) if self.dropped_bits else np.zeros(self.negatives.shape[1:])

    @property
    def pr_auc(self) -> NDArray[np.float64]:
        """Average precision, the area under the precision-recall curve as a step function; NaN if there is no positive.

        The sum over the distinct scores, from the best, of the increase in recall times the precision from there up:
        tied candidates enter together. That is scikit-learn's `average_precision_score`. At random: the share of
        positives.
        """
        positives, negatives = self.positives[::-1], self.negatives[::-1]
        recovered = np.cumsum(positives, axis=0, dtype=np.float64)
        taken = recovered + np.cumsum(negatives, axis=0)
        return _ratio((positives * recovered / np.maximum(taken, 1)).sum(axis=0), self.positives.sum(axis=0))

    @property
    def ece(self) -> NDArray[np.float64]:
        """Expected calibration error (Naeini et al. 2015) over `CALIBRATION_BINS` bins; NaN if a score is no
        probability.

        The impression-weighted mean over the bins of |mean score - share of positives|. Noise counts as error: in a bin
        of n impressions with a share p of positives a perfect score is off by sqrt(2 p (1 - p) / (pi n)) on average.
        """
        count, score_sum, positives = self.calibration()
        return _ratio(np.abs(score_sum - positives).sum(axis=0), count.sum(axis=0))

    def calibration(self) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """Return impressions, sum of scores and positives by bin, from the lowest scores, each [bins] or [bins, B].

        The bins hold equally many impressions, except that levels are never split: a level goes to the bin of its
        middle impression, and an empty bin is left out.
        """
        count = (self.negatives + self.positives).astype(np.float64)
        mass = count.sum(axis=1) if count.ndim > 1 else count
        middle = (np.cumsum(mass) - mass / 2) / max(float(mass.sum()), 1.0)
        start = _starts((middle * CALIBRATION_BINS).astype(np.int64))
        if not len(start):
            return count, count, count
        scores = self.scores if count.ndim == 1 else self.scores[:, None]
        of_bins = (np.add.reduceat(values, start, axis=0) for values in (count, count * scores, self.positives.astype(np.float64)))
        return next(of_bins), next(of_bins), next(of_bins)

    @property
    def scores(self) -> NDArray[np.float64]:
        """The score in the middle of each level [D]; NaN for a score that is no probability."""
        first = self.levels << self.dropped_bits
        with np.errstate(invalid="ignore"):  # the middle of a level of infinities is no number
            lowest, middle = (_unsorted(level).astype(np.float64) for level in (first, first + (1 << self.dropped_bits) // 2))
        probable = (lowest >= 0) & (lowest <= 1)
        return np.where(probable, np.minimum(middle, 1.0), np.nan)

    @property
    def _pairs(self) -> NDArray[np.float64]:
        pairs: NDArray[np.float64] = self.positives.sum(axis=0).astype(np.float64) * self.negatives.sum(axis=0)
        return pairs


NO_SCORES = ScoreHistogram(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.int64))


def sortable(scores: NDArray[np.float32]) -> NDArray[np.int64]:
    """Map scores to integers in [0, 2^32) of the same order, by their bits (IEEE 754).

    Equal scores have equal integers: -0.0 is 0.0. NaN, which has no order, becomes the lowest: it ranks last.
    """
    clean = np.where(np.isnan(scores), np.float32(-np.inf), scores).astype(np.float32) + np.float32(0.0)
    bits = clean.view(np.int32).astype(np.int64)
    return np.where(bits >= 0, bits + 2**31, 2**31 - 1 - (bits + 2**31))


def _unsorted(ordered: NDArray[np.int64]) -> NDArray[np.float32]:
    """Invert `sortable`."""
    return np.where(ordered >= 2**31, ordered - 2**31, -1 - ordered).astype(np.int32).view(np.float32)


def _ratio(above: NDArray[np.float64], below: NDArray[np.float64]) -> NDArray[np.float64]:
    """Divide; NaN where the divisor is 0."""
    return np.where(below > 0, above / np.where(below > 0, below, 1), np.nan)


def _fitted(
    levels: NDArray[np.int64], negatives: NDArray[np.integer], positives: NDArray[np.integer], dropped_bits: int, max_levels: int
) -> ScoreHistogram:
    """Coarsen the levels until they fit, and merge equal ones."""
    levels, starts, dropped_bits = _coarsened(levels, dropped_bits, max_levels)
    if len(starts):
        negatives, positives = np.add.reduceat(negatives, starts, axis=0), np.add.reduceat(positives, starts, axis=0)
    return ScoreHistogram(levels[starts], negatives, positives, dropped_bits, max_levels)


def _coarsened(levels: NDArray[np.int64], dropped_bits: int, max_levels: int) -> tuple[NDArray[np.int64], NDArray[np.intp], int]:
    """Drop as few bits as leave at most `max_levels` levels: these, the first index of each, and all bits dropped."""
    starts = _starts(levels)
    while len(starts) > max_levels:
        levels, dropped_bits = levels >> 1, dropped_bits + 1
        starts = _starts(levels)
    return levels, starts, dropped_bits


def _starts(ascending: NDArray[np.int64]) -> NDArray[np.intp]:
    """Return the first index of each run of equal values."""
    return np.flatnonzero(np.diff(ascending, prepend=-1))
