"""Calibrate scores: map logits by Platt scaling or isotonic regression, fitted on the eval split.

The map is part of the exported graph. Both are strictly increasing, so no order within a list changes.
"""

from typing import Literal

import numpy as np
import tensorflow as tf
import tf_keras as keras
from numpy.typing import NDArray
from scipy.special import expit, logit
from sklearn.isotonic import IsotonicRegression

Form = Literal["none", "platt", "isotonic"]
Logits = NDArray[np.float64]

KNOTS = 32
"""Number of knots of an isotonic map; more would fit the eval split's noise."""

_NEWTON_STEPS = 50
_LEAST_RISE = 1e-3
"""Least increase of an isotonic map between knots, in logits, so that tied candidates keep their order."""


class Calibration(keras.layers.Layer):
    """Map each action's logit piecewise linearly through knots, and beyond the first and the last knot at a slope.

    Before it is fitted the map is the identity. Platt scaling is the map with one knot.

    Args:
        actions: number of actions, each with a logit of its own.
    """

    def __init__(self, actions: int) -> None:
        super().__init__(name="calibration", dtype="float32")
        weight = {"shape": [actions, KNOTS], "initializer": "zeros", "trainable": False}
        self.knots = self.add_weight("given", **weight)
        self.calibrated = self.add_weight("told", **weight)
        self.slope = self.add_weight("slope", [actions], initializer="ones", trainable=False)

    def call(self, logits: tf.Tensor) -> tf.Tensor:
        """Map logits [N, A] to calibrated logits [N, A]."""
        return tf.stack([self._mapped(each, at) for at, each in enumerate(tf.unstack(logits, axis=1))], axis=1)

    def fit(self, logits: Logits, labels: Logits, form: Form) -> None:
        """Fit each action's map to logits and labels (0 or 1) [N, A]; the identity without both labels."""
        for at in range(logits.shape[1]):
            knots, values, slope = fit_map(logits[:, at], labels[:, at], form)
            for weight, value in ((self.knots, knots), (self.calibrated, values), (self.slope, slope)):
                weight.assign(tf.tensor_scatter_nd_update(weight, [[at]], [tf.cast(value, weight.dtype)]))

    def _mapped(self, logits: tf.Tensor, at: int) -> tf.Tensor:
        knots, values = self.knots[at], self.calibrated[at]
        after = tf.clip_by_value(tf.searchsorted(knots, logits, side="right"), 1, KNOTS - 1)
        left, right = tf.gather(knots, after - 1), tf.gather(knots, after)
        low, high = tf.gather(values, after - 1), tf.gather(values, after)
        between = low + (high - low) * tf.math.divide_no_nan(logits - left, right - left)
        below, above = values[0] + self.slope[at] * (logits - knots[0]), values[-1] + self.slope[at] * (logits - knots[-1])
        return tf.where(logits < knots[0], below, tf.where(logits >= knots[-1], above, between))


def fit_map(logits: Logits, labels: Logits, form: Form) -> tuple[Logits, Logits, float]:
    """Fit a map to logits and labels [N]; return knots [KNOTS], values at them [KNOTS], and the slope beyond."""
    identity = (np.zeros(KNOTS), np.zeros(KNOTS), 1.0)
    if form == "none" or labels.min() == labels.max():
        return identity
    slope, offset = platt(logits, labels)
    if not slope > 0:
        return identity  # the ranker is no better than chance, and calibration must not reverse its order
    if form == "platt":
        return np.zeros(KNOTS), np.full(KNOTS, offset), slope
    knots, values = isotonic(logits, labels)
    padding = (0, KNOTS - len(knots))
    return np.pad(knots, padding, mode="edge"), np.pad(values, padding, mode="edge"), slope


def platt(logits: Logits, labels: Logits) -> tuple[float, float]:
    """Fit a and b of P = sigmoid(a logit + b) by maximum likelihood (Platt 1999; Guo et al. 2017 for b = 0).

    Targets are (N+ + 1) / (N+ + 2) and 1 / (N- + 2), as Platt has them: for labels that the logits separate perfectly,
    a would diverge.
    """
    positives = labels.sum()
    labels = np.where(labels > 0, (positives + 1) / (positives + 2), 1 / (len(labels) - positives + 2))
    inputs, weights = np.stack([logits, np.ones_like(logits)], axis=1), np.array([1.0, 0.0])
    for _ in range(_NEWTON_STEPS):
        probability = expit(inputs @ weights)
        hessian = (inputs * (probability * (1 - probability))[:, None]).T @ inputs + 1e-9 * np.eye(2)
        step = np.linalg.solve(hessian, inputs.T @ (probability - labels))
        weights = weights - step * min(1.0, 1.0 / float(np.abs(step).max()))
        if np.abs(step).max() < 1e-9:
            break
    return float(weights[0]), float(weights[1])


def isotonic(logits: Logits, labels: Logits) -> tuple[Logits, Logits]:
    """Fit an isotonic map; return at most `KNOTS` knots and the calibrated logits at them (Zadrozny and Elkan 2002).

    The least-squares increasing step function (pool adjacent violators) over groups of equal size. A knot is a step's
    mean logit; half a positive and half a negative are added to each step, so that its probability is never 0 or 1.
    """
    groups = np.array_split(np.argsort(logits, kind="stable"), min(len(logits), KNOTS))
    sizes = np.array([float(len(group)) for group in groups])
    positives = np.array([float(labels[group].sum()) for group in groups])
    totals = np.array([float(logits[group].sum()) for group in groups])
    steps = IsotonicRegression().fit_transform(totals / sizes, positives / sizes, sample_weight=sizes)
    _, step = np.unique(steps, return_inverse=True)
    step_sizes, step_positives, step_totals = (np.bincount(step, each) for each in (sizes, positives, totals))
    values = logit((step_positives + 0.5) / (step_sizes + 1))
    return step_totals / step_sizes, np.maximum.accumulate(values) + _LEAST_RISE * np.arange(len(values))
