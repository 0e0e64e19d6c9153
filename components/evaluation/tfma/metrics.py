"""Ranking metrics for TFMA, named in an EvalConfig by class and module, for examples that are requests.

Predictions are the scores of a request's candidates, padded at the end to any length; the labels say how many there
are. `RankingMetrics` computes all metrics; the other classes one each:

    MetricConfig(class_name="NDCGAtK", module="components.evaluation.tfma.metrics", config='{"k": 10}')

With `components.evaluation.tfma.steps` in Evaluator, RankingMetrics receives sums of whole blocks. Without it, it
receives one request at a time from TFMA's own extractors and computes the same values, slower.
"""

import functools
import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar

import apache_beam as beam
import numpy as np
import pyarrow as pa
from tensorflow_model_analysis import constants
from tensorflow_model_analysis.metrics import metric_types
from tensorflow_model_analysis.proto import config_pb2

from components.contract.sources import AMOUNTS
from components.evaluation.metrics.curves import CURVES, curves
from components.evaluation.metrics.id_hashes import hashed
from components.evaluation.metrics.metric_accumulator import (
    AMOUNT_METRICS,
    ESTIMATED,
    LISTWISE,
    METRICS,
    RankingSums,
    Requests,
    gains_from,
    listwise_of,
    no_sums,
    request_sums,
)
from components.evaluation.metrics.standard_errors import ESTIMATES, change_error_of, error_of, estimates

SUMS_KEY = "ranking_sums"
"""The key under which an extract holds the sums of a block of requests, by model."""

ByModel = dict[str, RankingSums]
Keyed = dict[metric_types.MetricKey, float | str]


class RankingMetrics(metric_types.Metric):
    """All ranking metrics and counts, under the names of `components.evaluation.metrics.standard_errors.ESTIMATES`.

    With `user` there are standard errors, `auc_se`, and beside a baseline model those of the change, `auc_change_se`.

    Args:
        gains: the gain of an action, by the name of its label feature; the label itself if left out.
        user: the feature with the shopper's id, for metrics by shopper.
        request: the feature that identifies the shopper where `user` is empty.
        item: the feature with each candidate's id, for metrics of items.
        gain_amounts: by the name of a label feature, the feature of the amount that its gain is multiplied by.
        amounts: features of a candidate's amount (revenue, quantity, margin), for the share captured in the top k.
        bands, item_slices: read by `components.evaluation.tfma.steps`, which makes the slices.
        gates: read by `components.evaluation.component.Evaluator`.
        name: unused, TFMA sets it.
    """

    def __init__(
        self,
        gains: Mapping[str, float] | None = None,
        user: str | None = None,
        request: str | None = None,
        item: str | None = None,
        bands: Mapping[str, Sequence[float]] | None = None,
        item_slices: Sequence[str] = (),
        gates: Mapping[str, Any] | None = None,
        gain_amounts: Mapping[str, str] | None = None,
        amounts: Sequence[str] = (),
        name: str = "ranking",
    ) -> None:
        super().__init__(
            _all_metrics,
            gains=dict(gains or {}),
            user=user,
            request=request,
            item=item,
            bands=dict(bands or {}),
            item_slices=list(item_slices),
            gates=dict(gates or {}),
            gain_amounts=dict(gain_amounts or {}),
            amounts=list(amounts),
            name=name,
        )


class RankingMetric(metric_types.Metric):
    """One metric of `metric_accumulator.METRICS`, such as `pr_auc`; listwise ones at any k, such as `recall_at_20`."""

    def __init__(
        self,
        metric: str,
        gains: Mapping[str, float] | None = None,
        user: str | None = None,
        item: str | None = None,
        name: str | None = None,
    ) -> None:
        super().__init__(_one_metric, metric=metric, gains=dict(gains or {}), user=user, item=item, name=name or metric)


class _AtK(metric_types.Metric):
    metric: ClassVar[str]

    def __init__(self, k: int = 5, gains: Mapping[str, float] | None = None, name: str | None = None) -> None:
        super().__init__(functools.partial(_at_k, self.metric), k=k, gains=dict(gains or {}), name=name or f"{self.metric}_at_{k}")


class PrecisionAtK(_AtK):
    """Share of positives among the first k positions, mean over the requests with a positive."""

    metric = "precision"


class RecallAtK(_AtK):
    """Share of the positives among the first k positions, mean over the requests with a positive."""

    metric = "recall"


class HitRateAtK(_AtK):
    """Whether a positive stands among the first k positions, mean over the requests with a positive."""

    metric = "hit_rate"


class NDCGAtK(_AtK):
    """Gains discounted by log2(position + 1) over the best possible, mean over the requests with a gain."""

    metric = "ndcg"


class _OfList(metric_types.Metric):
    metric: ClassVar[str]

    def __init__(self, name: str | None = None) -> None:
        super().__init__(functools.partial(_one_metric, self.metric), name=name or self.metric)


class MAP(_OfList):
    """Precision at each positive, averaged; mean over the requests with a positive."""

    metric = "map"


class MRR(_OfList):
    """1 / position of the first positive, mean over the requests with a positive."""

    metric = "mrr"


class GAUC(metric_types.Metric):
    """Impression-weighted mean of the AUC within each request, or within each shopper by the feature `user`."""

    def __init__(self, user: str | None = None, name: str | None = None) -> None:
        super().__init__(_gauc, user=user, name=name or "gauc")


def _all_metrics(
    gains: dict[str, float],
    user: str | None,
    request: str | None,
    item: str | None,
    gain_amounts: dict[str, str],
    amounts: list[str],
    eval_config: config_pb2.EvalConfig,
    model_names: list[str],
    **read_elsewhere: object,
) -> list[metric_types.MetricComputation]:
    del read_elsewhere  # bands, item_slices, gates: see `RankingMetrics`
    baseline = next((spec.name for spec in eval_config.model_specs if spec.is_baseline), None)
    listwise = listwise_of(amounts)
    keys = [_key(name, model) for model in model_names for name in (*_names(model, baseline, listwise), CURVES)]
    sums = _RequestSums(model_names, listwise, gains, (user, request), item, gain_amounts, amounts)
    return [metric_types.MetricComputation(keys, [sums], _Sum(model_names, listwise, baseline))]


def _one_metric(
    metric: str,
    model_names: list[str],
    name: str,
    gains: dict[str, float] | None = None,
    user: str | None = None,
    item: str | None = None,
) -> list[metric_types.MetricComputation]:
    listwise = [] if metric in METRICS and metric not in (*LISTWISE, *AMOUNT_METRICS) else [metric]
    amounts = [amount for amount in AMOUNTS if re.fullmatch(rf"{amount}_at_\d+", metric)]
    sums = _RequestSums(model_names, listwise, gains or {}, (user, None), item, amounts=amounts)
    keys = [_key(name, model) for model in model_names]
    return [metric_types.MetricComputation(keys, [sums], _Only(metric, name, model_names, listwise))]


def _at_k(metric: str, k: int, gains: dict[str, float], model_names: list[str], name: str) -> list[metric_types.MetricComputation]:
    return _one_metric(f"{metric}_at_{k}", model_names, name, gains)


def _gauc(user: str | None, model_names: list[str], name: str) -> list[metric_types.MetricComputation]:
    return _one_metric("gauc_by_user" if user else "gauc", model_names, name, user=user)


def _names(model: str, baseline: str | None, listwise: Sequence[str]) -> tuple[str, ...]:
    """Name the values of a model: changes only beside a baseline, metrics of amounts only if known."""
    left_out = set(map(change_error_of, ESTIMATED)) if baseline in (None, model) else set()
    for metric in set(AMOUNT_METRICS) - set(listwise):
        left_out |= {metric, error_of(metric), change_error_of(metric)}
    return tuple(name for name in ESTIMATES if name not in left_out)


def _key(metric: str, model: str) -> metric_types.MetricKey:
    return metric_types.MetricKey(name=metric, model_name=model, example_weighted=None)


class _RequestSums(metric_types.Preprocessor):
    """Convert an extract to the sums of its request or requests, by model."""

    def __init__(
        self,
        models: Sequence[str],
        listwise: Sequence[str],
        gains: dict[str, float],
        shopper: Sequence[str | None],
        item: str | None,
        gain_amounts: Mapping[str, str] | None = None,
        amounts: Iterable[str] = (),
    ) -> None:
        super().__init__(name=f"request_sums_{'_'.join(listwise)}")
        self._models = models
        self._listwise = listwise
        self._gains = gains
        self._shopper = [name for name in shopper if name]
        self._item = item
        self._gain_amounts = dict(gain_amounts or {})
        self._amounts = sorted({*amounts, *self._gain_amounts.values()})

    def process(self, extracts: Mapping[str, Any]) -> Iterator[ByModel]:
        if SUMS_KEY in extracts:
            yield extracts[SUMS_KEY]
            return
        features = extracts.get(constants.FEATURES_KEY, {})
        gain_table = {name: _flat(features[name]) for name in self._gains}
        amounts = {name: _flat(features[name]) for name in self._amounts}
        of_gain = {name: amounts[amount] for name, amount in self._gain_amounts.items()}
        users = hashed(pa.array([self._named(features)])) if self._shopper else None
        items = hashed(pa.array(_list(features[self._item]))) if self._item else None
        results = {}
        for model in self._models:
            labels = _flat(_model_values(model, extracts[constants.LABELS_KEY]))
            scores = _flat(_model_values(model, extracts[constants.PREDICTIONS_KEY]))[: len(labels)]
            gains = gains_from(gain_table, self._gains, of_gain) if gain_table else labels
            request = Requests(labels, scores, gains, row_lengths=np.array([len(labels)]), users=users, items=items, amounts=amounts)
            results[model] = request_sums(request, self._listwise).total()
        yield results

    def _named(self, features: Mapping[str, Any]) -> Any:
        """Return the shopper's id: that of the first feature that has one."""
        return next((value for name in self._shopper for value in _list(features[name]) if value), b"")


def _model_values(model: str, values: Any) -> Any:
    """Return a model's values; TFMA keys labels and predictions by model where there are two."""
    return values[model] if isinstance(values, Mapping) else values


def _flat(values: Any) -> np.ndarray[Any, np.dtype[np.float32]]:
    return np.empty(0, np.float32) if values is None else np.asarray(values, np.float32).reshape(-1)


def _list(values: Any) -> list[Any]:
    return [] if values is None else list(np.asarray(values).reshape(-1).tolist())


class _Sum(beam.CombineFn):
    """Add sums, model by model. All models go together, as the error of a change is computed from both models' sums."""

    def __init__(self, models: Sequence[str], listwise: Sequence[str], baseline: str | None = None) -> None:
        super().__init__()
        self._models = models
        self._listwise = listwise
        self._baseline = baseline

    def create_accumulator(self) -> ByModel:
        return dict.fromkeys(self._models, no_sums(self._listwise))

    def add_input(self, accumulator: ByModel, element: ByModel) -> ByModel:
        return {model: accumulator[model] + element[model] for model in self._models}

    def merge_accumulators(self, accumulators: Iterable[ByModel]) -> ByModel:
        return functools.reduce(self.add_input, accumulators, self.create_accumulator())

    def extract_output(self, accumulator: ByModel) -> Keyed:
        keyed: Keyed = {}
        for model, values in estimates(accumulator, baseline=self._baseline, listwise=self._listwise).items():
            undefined = dict.fromkeys(_names(model, self._baseline, self._listwise), math.nan)
            keyed |= {_key(name, model): value for name, value in (undefined | values).items()}
            keyed[_key(CURVES, model)] = json.dumps(curves(accumulator[model]))
        return keyed


class _Only(_Sum):
    """Compute one metric of the sums, under a name."""

    def __init__(self, metric: str, name: str, models: Sequence[str], listwise: Sequence[str]) -> None:
        super().__init__(models, listwise)
        self._metric = metric
        self._name = name

    def extract_output(self, accumulator: ByModel) -> Keyed:
        return {_key(self._name, model): sums.values(self._listwise)[self._metric] for model, sums in accumulator.items()}
