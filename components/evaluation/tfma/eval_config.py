"""Convert the dataset file's slices and gates to TFMA's EvalConfig, and back."""

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
    """Build the config of Evaluator: what it computes, and when it blesses.

    A candidate is positive where the feature `label` is; both models score by their signature `examples`, output
    `scores`. TFMA's thresholds check the floors and that every score is finite. Changes against the champion are tested
    over all slices together, which TFMA's thresholds can't do: `components.evaluation.component.Evaluator` does, by the
    gates that the config carries.

    Args:
        slices: columns of the examples, or crosses of them, beside all requests together.
        gates: what a model must reach (`check_gates`).
        gains: gain of each label feature's action.
        bands: boundaries by numeric column.
        item_slices: columns that have a value for each candidate; their slices hold candidates, not requests.
        amounts: columns of each candidate's amount (revenue, quantity, margin), for the share captured in the top k.
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
    """Read the settings of `RankingMetrics` from a config."""
    for spec in config.metrics_specs:
        for metric in spec.metrics:
            if metric.class_name == RankingMetrics.__name__ and metric.config:
                return dict(json.loads(metric.config))
    return {}


def gates_of(config: config_pb2.EvalConfig) -> tuple[Gates, list[list[str]]]:
    """Read the gates and the slices from a config."""
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
