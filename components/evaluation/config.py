"""The dataset file's slices and gates as TFMA's EvalConfig."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from tensorflow_model_analysis.proto import config_pb2

from components.contract.dataset import Gates
from components.evaluation.gates import at_best, check_metric_names
from components.evaluation.results import CHALLENGER, CHAMPION
from components.evaluation.tfma_metrics import RankingMetrics

OVERALL = config_pb2.SlicingSpec()


def eval_config(
    slices: Iterable[Sequence[str]],
    gates: Gates,
    *,
    gains: Mapping[str, float],
    bands: Mapping[str, Sequence[float]] | None = None,
    item_slices: Sequence[str] = (),
    amounts: Sequence[str] = (),
    gain_amounts: Mapping[str, str] | None = None,
) -> config_pb2.EvalConfig:
    """What Evaluator computes and when it blesses.

    A candidate is positive where the feature `label` is; both models score by their signature `examples`, output `scores`.

    Args:
        slices: columns of the examples, or crosses of them, beside all requests together.
        gates: floors and drops hold over all requests, slice drops in every slice that has `min_requests` requests with a positive, at the
            upper end of the change's interval. A score that is no finite number always refuses.
        gains: label features and what their action is worth.
        bands: where columns of numbers are cut.
        item_slices: columns that have a value for each candidate; a slice by one of them holds candidates, not requests.
        amounts: columns of what each candidate brought in, of which the share among the first places is told.
        gain_amounts: label features to the amount that their gain is multiplied by.

    Raises:
        DatasetFileError: if a gate names a metric that doesn't exist or isn't better when higher.
    """
    check_metric_names(gates, amounts=amounts)
    slicing = [config_pb2.SlicingSpec(feature_keys=names) for names in slices]
    models = [
        config_pb2.ModelSpec(name=name, signature_name="examples", label_key="label", prediction_key="scores", is_baseline=name == CHAMPION)
        for name in (CHALLENGER, CHAMPION)
    ]
    settings = {
        "gains": dict(gains),
        "gain_amounts": dict(gain_amounts or {}),
        "amounts": list(amounts),
        "gated": sorted(gates.slice_drop),
        "min_requests": gates.min_requests,
        "user": "user",
        "request": "request",
        "item": "item",
        "bands": {name: list(cuts) for name, cuts in (bands or {}).items()},
        "item_slices": list(item_slices),
    }
    metrics = config_pb2.MetricsSpec(
        model_names=[CHALLENGER, CHAMPION],
        metrics=[
            config_pb2.MetricConfig(class_name=RankingMetrics.__name__, module=RankingMetrics.__module__, config=json.dumps(settings))
        ],
    )
    for metric in sorted({*gates.floor, *gates.drop}):
        threshold = _threshold(at_least=gates.floor.get(metric), drop=gates.drop.get(metric))
        metrics.per_slice_thresholds[metric].thresholds.add(slicing_specs=[OVERALL], threshold=threshold)
    metrics.per_slice_thresholds["invalid_scores"].thresholds.add(slicing_specs=[OVERALL], threshold=_threshold(at_most=0))
    if slicing:
        for metric, drop in gates.slice_drop.items():
            metrics.per_slice_thresholds[at_best(metric)].thresholds.add(slicing_specs=slicing, threshold=_threshold(at_least=-drop))
    config = config_pb2.EvalConfig(model_specs=models, slicing_specs=[OVERALL, *slicing], metrics_specs=[metrics])
    config.options.include_default_metrics.value = False
    return config


def settings_of(config: config_pb2.EvalConfig) -> dict[str, Any]:
    """The settings of `RankingMetrics` in a config."""
    for spec in config.metrics_specs:
        for metric in spec.metrics:
            if metric.class_name == RankingMetrics.__name__ and metric.config:
                return dict(json.loads(metric.config))
    return {}


def _threshold(*, at_least: float | None = None, at_most: float | None = None, drop: float | None = None) -> config_pb2.MetricThreshold:
    threshold = config_pb2.MetricThreshold()
    if at_least is not None:
        threshold.value_threshold.lower_bound.value = at_least
    if at_most is not None:
        threshold.value_threshold.upper_bound.value = at_most
    if drop is not None:
        threshold.change_threshold.absolute.value = -drop
        threshold.change_threshold.direction = config_pb2.MetricDirection.HIGHER_IS_BETTER
    return threshold
