"""How the model's scores are distributed, for Prometheus: candidates by score, in the bins by which the guard compares two versions."""

from collections import OrderedDict
from collections.abc import Iterator
from typing import final

import numpy as np
from numpy.typing import NDArray
from prometheus_client.core import CounterMetricFamily
from prometheus_client.registry import Collector

from serving.guard.counts import SCORE_BINS, score_histogram
from serving.service.ranking.fallback_scores import Scores

MOST = 6  # labels with their versions that are kept: a service that runs for months sees many versions come and go
BINS = tuple(f"{place / SCORE_BINS:.2f}" for place in range(SCORE_BINS))  # by where they begin


@final
class ScoreMetrics(Collector):
    """Counts that aren't cumulative, unlike a histogram's: a PSI needs each bin by itself.

    Of more than MOST labels with versions the one that has answered nothing for longest is let go of.
    """

    def __init__(self) -> None:
        self._counts: OrderedDict[tuple[str, int], NDArray[np.float64]] = OrderedDict()

    def add(self, label: str, version: int, scores: Scores) -> None:
        """A version, asked by a label, gave these scores, [L]."""
        key = (label, version)
        counts = self._counts.get(key)
        if counts is None:
            counts = self._counts[key] = np.zeros(SCORE_BINS)
            if len(self._counts) > MOST:
                self._counts.popitem(last=False)
        self._counts.move_to_end(key)
        counts += score_histogram(scores)

    def collect(self) -> Iterator[CounterMetricFamily]:
        """See prometheus_client."""
        told = CounterMetricFamily(
            "shelfrank_scores", "Candidates scored, by the bin of [0, 1] in which their score lies", labels=["label", "version", "bin"]
        )
        for (label, version), counts in self._counts.items():
            for begin, count in zip(BINS, counts.tolist(), strict=True):
                told.add_metric([label, str(version), begin], count)
        yield told
