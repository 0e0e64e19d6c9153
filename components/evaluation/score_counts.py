"""How many positives and negatives had each score: all that AUC needs, in bounded memory."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

MAX_LEVELS = 65_536  # 1.6 MB at most for a slice; the bound of the AUC error is then about 1e-5


@dataclass(frozen=True, slots=True)
class ScoreCounts:
    """Counts of negatives and positives by score level, levels ascending.

    A level is a float32 score mapped to an integer that sorts alike, without its lowest `dropped_bits` bits. Nothing is dropped while at
    most `MAX_LEVELS` distinct scores have been seen: AUC is then exact. Beyond, bits are dropped until the levels fit, which is a
    relative precision of the score, near 0 as well as near 1/2. The bits dropped depend on the set of scores alone, so merging is
    associative and commutative.
    """

    levels: NDArray[np.int64]  # [D], ascending
    negatives: NDArray[np.int64]  # [D]
    positives: NDArray[np.int64]  # [D]
    dropped_bits: int = 0

    @classmethod
    def of(cls, scores: NDArray[np.float32], positive: NDArray[np.bool_]) -> "ScoreCounts":
        """Counts the scores [N] of candidates that are positive [N] or not. NaN counts as the lowest score."""
        return _counted(np.sort(sortable(scores) * 2 + positive), 0)

    def __add__(self, other: "ScoreCounts") -> "ScoreCounts":
        """Counts of both; exact as long as the distinct scores fit."""
        bits = max(self.dropped_bits, other.dropped_bits)
        levels = np.concatenate([self.levels >> (bits - self.dropped_bits), other.levels >> (bits - other.dropped_bits)])
        order = np.argsort(levels, kind="stable")  # both halves are sorted: a merge
        return _fitted(
            levels[order],
            np.concatenate([self.negatives, other.negatives])[order],
            np.concatenate([self.positives, other.positives])[order],
            bits,
        )

    @property
    def auc(self) -> float:
        """Probability that a positive scores above a negative, ties (of level) counting one half; NaN if either class is missing."""
        pairs = float(self.positives.sum()) * float(self.negatives.sum())
        if not pairs:
            return float("nan")
        below = np.cumsum(self.negatives) - self.negatives
        return float(self.positives @ (below + 0.5 * self.negatives)) / pairs

    @property
    def auc_error(self) -> float:
        """Upper bound of |auc - exact AUC|: half the share of pairs that meet in one level; 0 if no bit was dropped."""
        pairs = float(self.positives.sum()) * float(self.negatives.sum())
        return 0.5 * float(self.positives @ self.negatives.astype(np.float64)) / pairs if self.dropped_bits and pairs else 0.0


NO_SCORES = ScoreCounts(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.int64))


def sortable(scores: NDArray[np.float32]) -> NDArray[np.int64]:
    """Integers in [0, 2^32) in the order of the scores (IEEE 754: the bits of positive floats ascend, those of negative ones descend).

    Equal scores have equal integers: -0.0 is 0.0. NaN, which has no order, becomes the lowest of all: a candidate that can't be scored is
    last.
    """
    clean = np.where(np.isnan(scores), np.float32(-np.inf), scores).astype(np.float32) + np.float32(0.0)
    bits = clean.view(np.int32).astype(np.int64)
    return np.where(bits >= 0, bits + 2**31, 2**31 - 1 - (bits + 2**31))


def _counted(keys: NDArray[np.int64], dropped_bits: int) -> ScoreCounts:
    """Counts of sorted keys 2 * level + label."""
    starts = _starts(keys)
    counts = np.diff(starts, append=len(keys))
    distinct = keys[starts]
    is_positive = (distinct & 1).astype(bool)
    return _fitted(distinct >> 1, np.where(is_positive, 0, counts), np.where(is_positive, counts, 0), dropped_bits)


def _fitted(levels: NDArray[np.int64], negatives: NDArray[np.int64], positives: NDArray[np.int64], dropped_bits: int) -> ScoreCounts:
    """Joins equal levels, then drops as few bits as make them fit."""
    starts = _starts(levels)
    while len(starts) > MAX_LEVELS:
        levels, dropped_bits = levels >> 1, dropped_bits + 1
        starts = _starts(levels)
    if not len(starts):
        return NO_SCORES
    return ScoreCounts(levels[starts], np.add.reduceat(negatives, starts), np.add.reduceat(positives, starts), dropped_bits)


def _starts(ascending: NDArray[np.int64]) -> NDArray[np.intp]:
    """Where each run of equal values begins."""
    return np.flatnonzero(np.diff(ascending, prepend=-1))
