"""Check early stopping, the epoch that is kept, and the metrics that decide."""

from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf

from tests.components.evaluation.metrics_by_definition import ndcg_at_k
from trainer.data.input_pipeline import SHOWN_GAIN
from trainer.fit.auc import auc
from trainer.fit.early_stopping import EarlyStopping, EvalMetrics, evaluate

ROW = {"step": 1, "loss": 0.5, "requests_per_s": 9.0}


def judged(judged_by, areas, ndcgs, patience=2):
    stopping, ended = EarlyStopping(judged_by, patience=patience), None
    for epoch, (area, ndcg) in enumerate(zip(areas, ndcgs, strict=True), start=1):
        stopping.add_epoch({"epoch": epoch, **ROW}, EvalMetrics(area, ndcg), [np.array(epoch)])
        if stopping.should_stop and ended is None:
            ended = epoch
    return int(stopping.best[1][0]), ended


@pytest.mark.parametrize(("judged_by", "best"), [("auc", 2), ("ndcg", 3)])
def test_the_setting_says_which_number_decides(judged_by, best):
    assert judged(judged_by, [0.6, 0.9, 0.7], [0.3, 0.2, 0.4])[0] == best


def test_training_ends_after_so_many_epochs_without_a_better_one():
    assert judged("auc", [0.5, 0.7, 0.7, 0.6, 0.9], [0] * 5) == (5, 4)
    assert judged("auc", [0.5, 0.7, 0.6, 0.8, 0.7], [0] * 5) == (4, None)
    assert judged("ndcg", [0.1, 0.2, 0.3], [0.5, 0.4, 0.6], patience=1) == (3, 2)


@pytest.mark.parametrize(("areas", "best"), [([0.6, 0.7], -1), ([0.7, 0.81], 1), ([0.8, 0.7], -1)])
def test_the_initial_weights_stay_unless_an_epoch_is_better(areas, best):
    stopping = EarlyStopping("auc", patience=2)
    stopping.begin(EvalMetrics(0.8, 0.1), [np.array(0)])
    assert not stopping.should_stop
    for epoch, area in enumerate(areas, start=1):
        stopping.add_epoch({"epoch": epoch, **ROW}, EvalMetrics(area, 0.5), [np.array(epoch)])
    assert stopping.best == (best, [best + 1])
    assert stopping.should_stop == (best < 0)
    assert [row["epoch"] for row in stopping.curve] == [1, 2]


def test_eval_metrics_are_the_exact_auc_and_evaluators_ndcg():
    rows = [([1.0, 0.0, 1.0], [4.0, 0.0, 1.0], [0.1, 0.7, 0.3]), ([0.0], [0.0], [0.9]), ([0.0, 1.0], [0.0, 2.0], [0.2, 0.5])]
    batches = [
        ({SHOWN_GAIN: tf.ragged.constant([gains]), "logits": tf.constant(logits)}, tf.ragged.constant([labels]))
        for labels, gains, logits in rows
    ]
    dataset = tf.data.Dataset.from_generator(
        lambda: iter(batches),
        output_signature=(
            {SHOWN_GAIN: tf.RaggedTensorSpec([None, None], tf.float32), "logits": tf.TensorSpec([None], tf.float32)},
            tf.RaggedTensorSpec([None, None], tf.float32),
        ),
    )
    evaluated = evaluate(SimpleNamespace(action_weights=(1.0,), logged_logits=tf.function(lambda features: features["logits"])), dataset)
    assert evaluated.auc == auc(np.concatenate([row[0] for row in rows]), np.concatenate([row[2] for row in rows]))
    assert evaluated.ndcg == pytest.approx((ndcg_at_k(rows[0][1], rows[0][2], k=10) + 1) / 2)  # the middle one has nothing to gain
