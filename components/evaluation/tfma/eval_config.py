"""The dataset file's slices and gates as TFMA's EvalConfig, and back."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from tensorflow_model_analysis.proto import config_pb2

from components.contract.dataset import Gates
from components.evaluation.gates.metric_names import check_metric_names
from components.evaluation.results import CHALLENGER, CHAMPION
from components.evaluation.tfma.metrics import RankingMetrics

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

    A candidate is positive where the feature `label` is; both models score by their signature `examples`, output
    `scores`. TFMA holds the floors, and refuses a score that is no finite number. A change against the champion is
    judged over all slices together, which none of TFMA's thresholds can: `components.evaluation.component.Evaluator`
    does it, by the gates that the config carries.

    Args:
        slices: columns of the examples, or crosses of them, beside all requests together.
        gates: what a model must reach (`verdict`).
        gains: label features and what their action is worth.
        bands: where columns of numbers are cut.
        item_slices: columns that have a value for each candidate; a slice by one of them holds candidates, not
            requests.
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
        "gates": gates.model_dump(),
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
    for metric, floor in sorted(gates.floor.items()):
        metrics.per_slice_thresholds[metric].thresholds.add(slicing_specs=[OVERALL], threshold=_threshold(at_least=floor))
    metrics.per_slice_thresholds["invalid_scores"].thresholds.add(slicing_specs=[OVERALL], threshold=_threshold(at_most=0))
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


def gates_of(config: config_pb2.EvalConfig) -> tuple[Gates, list[list[str]]]:
    """The gates that a config carries, and the slices that are asked for."""
    return Gates.model_validate(settings_of(config)["gates"]), [
        list(spec.feature_keys) for spec in config.slicing_specs if spec.feature_keys
    ]


def _threshold(*, at_least: float | None = None, at_most: float | None = None) -> config_pb2.MetricThreshold:
    threshold = config_pb2.MetricThreshold()
    if at_least is not None:
        threshold.value_threshold.lower_bound.value = at_least
    if at_most is not None:
        threshold.value_threshold.upper_bound.value = at_most
    return threshold
