"""`RankingMetrics`: all ranking metrics as one TFMA metric, named in an EvalConfig by class and module.

Predictions are the scores of a request's candidates, padded at the end to any length; the labels say how many there are. With
`components.evaluation.steps` in Evaluator the metric receives ready sums of whole blocks. Without it, it receives one request at a
time from TFMA's own extractors and gives the same values, slower.
"""

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import apache_beam as beam
import numpy as np
from tensorflow_model_analysis import constants
from tensorflow_model_analysis.metrics import metric_types

from components.evaluation.sums import METRICS, NO_SUMS, RankingSums, gains_from, sums

SUMS_KEY = "ranking_sums"
"""Where an extract holds the sums of a block of requests, by model."""

GATED = "gated_"
"""Prefix of a metric as a gate sees it: 0 in a slice too small to judge, for every model alike, so that no change is found there."""


class RankingMetrics(metric_types.Metric):
    """AUC, GAUC, Precision@k, NDCG@k, MRR, log loss and counts (`components.evaluation.sums.METRICS`), under these names.

    Args:
        gains: what an action is worth, by the name of its label feature; the label itself if left out.
        gated: names of metrics to give a second time with the prefix `gated_`.
        min_requests: requests with a positive below which a slice is too small for a gate.
        name: unused, TFMA sets it.
    """

    def __init__(
        self,
        gains: Mapping[str, float] | None = None,
        gated: Iterable[str] = (),
        min_requests: int = 0,
        name: str = "ranking",
    ) -> None:
        super().__init__(_computations, gains=dict(gains or {}), gated=list(gated), min_requests=min_requests, name=name)


def _computations(
    gains: dict[str, float], gated: list[str], min_requests: int, model_names: list[str], name: str
) -> list[metric_types.MetricComputation]:
    return [
        metric_types.MetricComputation(
            keys=[_key(metric, model) for metric in (*METRICS, *(GATED + metric for metric in gated))],
            preprocessors=[_RequestSums(model, gains)],
            combiner=_Sum(model, gated, min_requests),
        )
        for model in model_names
    ]


def _key(metric: str, model: str) -> metric_types.MetricKey:
    return metric_types.MetricKey(name=metric, model_name=model, example_weighted=None)


class _RequestSums(metric_types.Preprocessor):
    """An extract to the sums of its request or requests."""

    def __init__(self, model: str, gains: dict[str, float]) -> None:
        super().__init__(name=f"request_sums_{model}")
        self._model = model
        self._gains = gains

    def process(self, extracts: Mapping[str, Any]) -> Iterator[RankingSums]:
        if SUMS_KEY in extracts:
            yield extracts[SUMS_KEY][self._model]
            return
        labels = _flat(self._of_model(extracts[constants.LABELS_KEY]))
        scores = _flat(self._of_model(extracts[constants.PREDICTIONS_KEY]))[: len(labels)]
        worth = {name: _flat(extracts[constants.FEATURES_KEY][name]) for name in self._gains}
        yield sums(labels, scores, gains=gains_from(worth, self._gains) if worth else labels, row_lengths=np.array([len(labels)]))

    def _of_model(self, values: Any) -> Any:
        """TFMA keys labels and predictions by model where there are two."""
        return values[self._model] if isinstance(values, Mapping) else values


def _flat(values: Any) -> np.ndarray[Any, np.dtype[np.float32]]:
    return np.empty(0, np.float32) if values is None else np.asarray(values, np.float32).reshape(-1)


class _Sum(beam.CombineFn):
    """Adds sums. One instance a model: TFMA tells computations apart by their keys."""

    def __init__(self, model: str, gated: list[str], min_requests: int) -> None:
        super().__init__()
        self._model = model
        self._gated = gated
        self._min_requests = min_requests

    def create_accumulator(self) -> RankingSums:
        return NO_SUMS

    def add_input(self, accumulator: RankingSums, element: RankingSums) -> RankingSums:
        return accumulator + element

    def merge_accumulators(self, accumulators: Iterable[RankingSums]) -> RankingSums:
        return sum(accumulators, start=NO_SUMS)

    def extract_output(self, accumulator: RankingSums) -> dict[metric_types.MetricKey, float]:
        values = accumulator.values()
        values |= gated_values(values, self._gated, min_requests=self._min_requests)
        return {_key(name, self._model): value for name, value in values.items()}


def gated_values(values: Mapping[str, float], metrics: Iterable[str], *, min_requests: int) -> dict[str, float]:
    """The metrics under their gated names: 0 where fewer than min_requests requests have a positive, or where the slice defines none."""
    judged = values["requests"] - values["requests_without_positive"] >= min_requests
    return {GATED + name: values[name] if judged and not math.isnan(values[name]) else 0.0 for name in metrics}
