"""Rank products by popularity within a segment of the shoppers, smoothed towards the whole shop.

With n of a product's successes and d trials in the segment, and p its expectation from the whole shop,

    (n + p strength) / (d + strength)

as `components.state.smoothing.smoothed_rate`, with p a number for each product. For a rate, p is the shop's smoothed
rate, and strength the feature's. For a count there are no trials: d is what the candidates together have in the
segment, and p is the product's share of what they have in the shop: the mean of a Dirichlet posterior, as in the
smoothing of language models (Zhai and Lafferty, 2004). With little data in a segment its order so is the shop's.
"""

from typing import final

import numpy as np
from numpy.typing import NDArray

from components.contract.dataset import Dataset
from components.contract.popularity import popularity_feature, popularity_half_life
from components.state.features import plan_of, smoothed_rate
from components.state.plan import count_index, total_index
from serving.features.request import Inputs
from serving.service.ranking.fallback_scores import Scores

STRENGTH = 20.0  # events of the segment that the shop's shares weigh as much as; not tuned


@final
class SegmentPopularity:
    """Compute popularity within segments of one dataset."""

    def __init__(self, dataset: Dataset) -> None:
        self._feature, plan = popularity_feature(dataset), plan_of(dataset, "item")
        if self._feature is None or plan is None:
            return
        feature = self._feature
        half_life_s = dataset.half_lives_of(feature)[popularity_half_life(dataset, feature)]

        def index(action: str) -> int:
            return total_index(plan, action) if feature.measure == "total" else count_index(plan, action, half_life_s=half_life_s)

        self._n = index(str(feature.action))
        self._d = None if feature.per is None else index(feature.per)

    def within(self, inputs: Inputs) -> Scores | None:
        """Return the popularity of each candidate in the request's segment, [L]; None without events there."""
        if inputs.in_segment is None or inputs.of_items is None or self._feature is None:
            return None
        shop, segment = inputs.of_items, inputs.in_segment
        n = segment[:, self._n]
        if self._d is None:
            together = max(float(shop[:, self._n].sum()), 1e-9)
            d, prior, strength = np.full_like(n, n.sum()), shop[:, self._n] / np.float32(together), STRENGTH
        else:
            feature = self._feature
            d, strength = segment[:, self._d], feature.strength
            prior = smoothed_rate(shop[:, self._n], shop[:, self._d], prior=feature.prior, strength=strength)
        return None if not (n.any() or d.any()) else smoothed_scores(n, d, prior=prior, strength=strength)


def smoothed_scores(n: NDArray[np.float32], d: NDArray[np.float32], *, prior: NDArray[np.float32], strength: float) -> Scores:
    """Return (n + prior strength) / (d + strength), [L]."""
    weight = np.float64(strength)
    return np.asarray((n.astype(np.float64) + prior.astype(np.float64) * weight) / (d.astype(np.float64) + weight))
