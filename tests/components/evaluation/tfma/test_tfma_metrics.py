"""The metrics that any TFX pipeline can name, one at a time, over requests as TFMA hands them out."""

import json
import math

import numpy as np
import pytest
from tensorflow_model_analysis import constants
from tensorflow_model_analysis.metrics import metric_specs
from tensorflow_model_analysis.proto import config_pb2

from components.contract.errors import InputError
from components.evaluation.metrics.metric_accumulator import AMOUNT_METRICS, ESTIMATED
from components.evaluation.metrics.standard_errors import ESTIMATES
from components.evaluation.tfma import metrics

# Two requests: positives at the 2nd and 3rd of three places, and at the 1st of two.
EXTRACTS = [
    {
        constants.LABELS_KEY: np.array([0, 1, 1], np.float32),
        constants.PREDICTIONS_KEY: np.array([0.9, 0.8, 0.1, -1], np.float32),
        constants.FEATURES_KEY: {
            "worth": np.array([0, 1, 3], np.float32),
            "revenue": np.array([0, 5, 15], np.float32),
            "who": np.array([b"ann"]),
            "sku": np.array([b"a", b"b", b"c"]),
        },
    },
    {
        constants.LABELS_KEY: np.array([1, 0], np.float32),
        constants.PREDICTIONS_KEY: np.array([0.6, 0.5, -1, -1], np.float32),
        constants.FEATURES_KEY: {
            "worth": np.array([1, 0], np.float32),
            "revenue": np.array([20, 0], np.float32),
            "who": np.array([b"ann"]),
            "sku": np.array([b"a", b"d"]),
        },
    },
]


def computed(class_name: str, **settings: object) -> dict[str, float]:
    """The metric as an EvalConfig names it, over the extracts."""
    metric = config_pb2.MetricConfig(class_name=class_name, module=metrics.__name__, config=json.dumps(settings))
    config = config_pb2.EvalConfig(model_specs=[config_pb2.ModelSpec()], metrics_specs=[config_pb2.MetricsSpec(metrics=[metric])])
    values = {}
    for computation in metric_specs.to_computations(config.metrics_specs, eval_config=config):
        sums = computation.combiner.create_accumulator()
        for extract in EXTRACTS:
            for element in computation.preprocessors[0].process(extract):
                sums = computation.combiner.add_input(sums, element)
        values |= {key.name: value for key, value in computation.combiner.extract_output(sums).items()}
    return values


@pytest.mark.parametrize(
    ("class_name", "settings", "name", "value"),
    [
        ("PrecisionAtK", {"k": 2}, "precision_at_2", (1 / 2 + 1 / 2) / 2),
        ("RecallAtK", {"k": 2}, "recall_at_2", (1 / 2 + 1) / 2),
        ("HitRateAtK", {"k": 1}, "hit_rate_at_1", 1 / 2),
        ("NDCGAtK", {"k": 1, "gains": {"worth": 3}}, "ndcg_at_1", 1 / 2),
        ("RankingMetric", {"metric": "revenue_at_2"}, "revenue_at_2", (5 + 20) / 40),
        ("MAP", {}, "map", ((1 / 2 + 2 / 3) / 2 + 1) / 2),
        ("MRR", {}, "mrr", (1 / 2 + 1) / 2),
        ("GAUC", {}, "gauc", (3 * 0 + 2 * 1) / 5),
        ("GAUC", {"user": "who"}, "gauc", 2 / 6),  # 0.8 and 0.6 win over 0.5, nothing over 0.9
        ("RankingMetric", {"metric": "auc"}, "auc", (1 + 0 + 1) / 6),
        ("RankingMetric", {"metric": "coverage_at_5", "item": "sku"}, "coverage_at_5", 1),
        ("RankingMetric", {"metric": "recall_at_3"}, "recall_at_3", 1),
    ],
)
def test_a_metric_stands_alone(class_name: str, settings: dict[str, object], name: str, value: float) -> None:
    assert computed(class_name, **settings) == {name: pytest.approx(value)}


def test_all_metrics_come_as_one() -> None:
    values = computed("RankingMetrics", user="who", item="sku")
    changes, of_amounts = {f"{name}_change_se" for name in ESTIMATED}, {f"{name}{end}" for name in AMOUNT_METRICS for end in ("", "_se")}
    assert set(values) == {"curves"} | set(ESTIMATES) - changes - of_amounts
    assert values["requests"] == 2
    assert not math.isnan(values["gauc_by_user"])


def test_amounts_come_with_the_others_and_gains_are_multiplied_by_them() -> None:
    values = computed("RankingMetrics", user="who", amounts=["revenue"], gains={"worth": 4}, gain_amounts={"worth": "revenue"})
    assert values["revenue_at_1"] == pytest.approx(20 / 40)
    assert values["revenue_at_5"] == 1
    assert values["revenue_at_1_se"] >= 0
    # Gains 0, 4 x 5 and 4 x 15 in this order; the second request has all of its own at the first place.
    first = (20 / math.log2(3) + 60 / math.log2(4)) / (60 + 20 / math.log2(3))
    assert values["ndcg_at_5"] == pytest.approx((first + 1) / 2)
    assert not {name for name in values if name.startswith(("margin", "quantity"))}


def test_a_metric_that_is_none_names_the_closest() -> None:
    with pytest.raises(InputError, match="ndcg_at_5"):
        computed("RankingMetric", metric="ndgc_at_5")
