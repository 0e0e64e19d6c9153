"""Check the running AUC against the exact one."""

import numpy as np
import pytest
import tensorflow as tf

from trainer.fit.auc import auc
from trainer.model.running_auc import RunningAuc


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
