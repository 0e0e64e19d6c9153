"""Export the distribution of the model's scores to Prometheus, in the bins by which the guard compares two versions."""

from collections import OrderedDict
from collections.abc import Iterator
from typing import final

import numpy as np
from numpy.typing import NDArray
from prometheus_client.core import CounterMetricFamily
from prometheus_client.registry import Collector

from serving.guard.counts import SCORE_BINS, score_histogram
from serving.service.ranking.fallback_scores import Scores

MAX_SERIES = 6  # pairs of label and version: over months a service sees many versions
BINS = tuple(f"{index / SCORE_BINS:.2f}" for index in range(SCORE_BINS))  # lower bounds


@final
class ScoreMetrics(Collector):
    """Count scores by bin, not cumulatively as a histogram does: a PSI needs each bin by itself.

    Beyond MAX_SERIES pairs of label and version the least recently updated is dropped.
    """

    def __init__(self) -> None:
        self._counts: OrderedDict[tuple[str, int], NDArray[np.float64]] = OrderedDict()

    def add(self, label: str, version: int, scores: Scores) -> None:
        """Add scores [L] of a version called by a label."""
        key = (label, version)
        counts = self._counts.get(key)
        if counts is None:
            counts = self._counts[key] = np.zeros(SCORE_BINS)
            if len(self._counts) > MAX_SERIES:
                self._counts.popitem(last=False)
        self._counts.move_to_end(key)
        counts += score_histogram(scores)

    def collect(self) -> Iterator[CounterMetricFamily]:
        """See prometheus_client."""
        family = CounterMetricFamily(
            "shelfrank_scores", "Candidates scored, by the bin of [0, 1] in which their score lies", labels=["label", "version", "bin"]
        )
        for (label, version), counts in self._counts.items():
            for begin, count in zip(BINS, counts.tolist(), strict=True):
                family.add_metric([label, str(version), begin], count)
        yield family
