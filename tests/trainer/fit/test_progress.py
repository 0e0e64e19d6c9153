"""Which epoch is kept, when training ends, and what is told meanwhile."""

import logging
from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf

from tests.components.evaluation.metrics_by_definition import ndcg_at_k
from trainer.data.input_pipeline import SHOWN_GAIN
from trainer.fit.auc import auc
from trainer.fit.early_stopping import EarlyStopping, EvalMetrics, evaluate
from trainer.fit.progress_log import ProgressLog
from trainer.model.running_auc import RunningAuc

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


def test_a_judgement_is_the_exact_auc_and_evaluators_ndcg():
    rows = [([1.0, 0.0, 1.0], [4.0, 0.0, 1.0], [0.1, 0.7, 0.3]), ([0.0], [0.0], [0.9]), ([0.0, 1.0], [0.0, 2.0], [0.2, 0.5])]
    batches = [
        ({SHOWN_GAIN: tf.ragged.constant([gains]), "logits": tf.constant(logits)}, tf.ragged.constant([labels]))
        for labels, gains, logits in rows
    ]
    found = evaluate(SimpleNamespace(action_weights=(1.0,), logged_logits=lambda features: features["logits"]), batches)
    assert found.auc == auc(np.concatenate([row[0] for row in rows]), np.concatenate([row[2] for row in rows]))
    assert found.ndcg == pytest.approx((ndcg_at_k(rows[0][1], rows[0][2], k=10) + 1) / 2)  # the middle one has nothing to gain


def progress(told, times, **given):
    metric = lambda value: SimpleNamespace(result=lambda: value())  # noqa: E731
    seen = iter(range(0, 10_000, 100))
    model = SimpleNamespace(mean_loss=metric(lambda: 0.5), running_auc=metric(lambda: 0.75), requests_seen=metric(lambda: next(seen)))
    made = ProgressLog(model, log_steps=3, write_row=told.append, clock=iter(times).__next__, **given)
    made.begin_epoch(1)
    return made


def test_a_line_comes_every_ten_seconds_and_a_row_every_so_many_steps(caplog):
    told = []
    made = progress(told, [0.0, 4.0, 8.0, 12.0, 13.0, 16.0, 24.0])
    made.epoch_steps = 8
    with caplog.at_level(logging.INFO, "shelfrank.progress"):
        for step in range(4, 10):
            made.end_step(step, learning_rate=lambda: 0.01)
    assert [(row["step"], row["loss"], row["auc"], row["learning_rate"]) for row in told] == [(6, 0.5, 0.75, 0.01), (9, 0.5, 0.75, 0.01)]
    assert caplog.messages[0] == "epoch 2  38%  step 6  loss 0.5000  AUC 0.7500  0 requests/s"
    assert caplog.messages[1].startswith("epoch 2  75%  step 9")
    assert told[1]["requests_per_s"] == pytest.approx(100 / 12, abs=0.1)


def test_among_several_workers_no_clock_decides_when_metrics_are_read(caplog):
    told = []
    made = progress(told, [0.0, 40.0, 80.0, 81.0], in_step=True)
    with caplog.at_level(logging.INFO, "shelfrank.progress"):
        for step in (1, 2, 3):
            made.end_step(step, learning_rate=lambda: 0.01)
    assert [row["step"] for row in told] == [3]
    assert len(caplog.messages) == 1


def test_the_running_auc_is_that_of_all_candidates_so_far():
    random = np.random.default_rng(0)
    logits = random.normal(size=400).astype(np.float32)
    labels = (random.random(400) < 1 / (1 + np.exp(-logits))).astype(np.float32)
    metric = RunningAuc()
    for half in (slice(0, 150), slice(150, 400)):
        metric.update_state(tf.constant(labels[half]), tf.constant(logits[half]))
    assert float(metric.result()) == pytest.approx(auc(labels, logits), abs=2e-3)
    metric.reset_state()
    metric.update_state(tf.constant([1.0, 0.0, 1.0, 0.0]), tf.constant([2.0, 1.0, 1.0, -90.0]))
    assert float(metric.result()) == 3.5 / 4
