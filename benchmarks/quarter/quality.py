"""The true ranking quality of a day: the clicks expected of a policy's lists, against those of the best order."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.quality.split_data import CONFIDENCE_95
from benchmarks.quarter.shop import Truth
from components.evaluation.metrics.bootstrap import poisson_counts, standard_error
from components.simulator import ShopConfig
from components.simulator.behaviour import examination

Floats = NDArray[np.float64]


def expected_clicks(truth: Truth, scores: Floats | NDArray[np.float32]) -> Floats:
    """Return the clicks [R] expected of the lists in the order of the scores [N]; tied candidates stay as they are."""
    row = np.repeat(np.arange(len(truth.row_lengths)), truth.row_lengths)
    order = np.lexsort((-scores, row))
    position = np.arange(len(row)) - np.repeat(np.cumsum(truth.row_lengths) - truth.row_lengths, truth.row_lengths)
    clicks = examination(position, ShopConfig.examination_decay) * truth.relevance[order]
    return np.bincount(row, weights=clicks, minlength=len(truth.row_lengths)).astype(np.float64)


@dataclass(frozen=True)
class Served:
    """Expected clicks of R requests: of a policy's lists, and of the best order; users [R] are hashes."""

    clicks: Floats
    best: Floats
    users: NDArray[np.uint64]

    @property
    def quality(self) -> float:
        """Share of the best order's clicks."""
        return float(self.clicks.sum() / self.best.sum())

    def replicated(self) -> Floats:
        """Return the quality in each bootstrap replicate [B]; a shopper's requests are drawn together."""
        counts = poisson_counts(self.users).astype(np.float32)
        replicates: Floats = (self.clicks @ counts) / (self.best @ counts)
        return replicates


def joined(days: Sequence[Served]) -> Served:
    """Return all requests of some days."""
    return Served(*(np.concatenate([getattr(day, name) for day in days]) for name in ("clicks", "best", "users")))


def difference(policy: Sequence[Served], other: Sequence[Served]) -> tuple[float, float]:
    """Return the mean difference in quality over shops, and half its 95 % interval: paired, over shoppers and shops."""
    apart = [a.quality - b.quality for a, b in zip(policy, other, strict=True)]
    replicates = np.mean([a.replicated() - b.replicated() for a, b in zip(policy, other, strict=True)], axis=0)
    between = float(np.var(apart, ddof=1)) / len(apart) if len(apart) > 1 else 0.0
    return float(np.mean(apart)), CONFIDENCE_95 * float(np.sqrt(standard_error(replicates) ** 2 + between))
