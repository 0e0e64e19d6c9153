"""Calibration after training: a map of the logits, fitted on the eval split, that is part of the exported graph.

Both maps rise strictly, so no order within a list changes.
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
"""Of an isotonic map: more would follow the eval split's noise."""

_NEWTON_STEPS = 50
_LEAST_RISE = 1e-3
"""Of an isotonic map between two knots, in logits: what isotonic regression takes for a tie keeps its order."""


class Calibration(keras.layers.Layer):
    """Maps each action's logit by straight lines through knots, and beyond the first and the last knot at a slope.

    Before it is fitted nothing changes. A Platt scaling is the map with one knot.

    Args:
        actions: how many actions have a logit.
    """

    def __init__(self, actions: int) -> None:
        super().__init__(name="calibration", dtype="float32")
        weight = {"shape": [actions, KNOTS], "initializer": "zeros", "trainable": False}
        self.given = self.add_weight("given", **weight)
        self.told = self.add_weight("told", **weight)
        self.slope = self.add_weight("slope", [actions], initializer="ones", trainable=False)

    def call(self, logits: tf.Tensor) -> tf.Tensor:
        """Logits [N, A] to [N, A]."""
        return tf.stack([self._mapped(each, at) for at, each in enumerate(tf.unstack(logits, axis=1))], axis=1)

    def fit(self, logits: Logits, labels: Logits, form: Form) -> None:
        """Fit the map of each action by logits and labels (0 or 1) [N, A]; an action that never or always happens keeps its own."""
        for at in range(logits.shape[1]):
            given, told, slope = fitted(logits[:, at], labels[:, at], form)
            for weight, value in ((self.given, given), (self.told, told), (self.slope, slope)):
                weight.assign(tf.tensor_scatter_nd_update(weight, [[at]], [tf.cast(value, weight.dtype)]))

    def _mapped(self, logits: tf.Tensor, at: int) -> tf.Tensor:
        given, told = self.given[at], self.told[at]
        after = tf.clip_by_value(tf.searchsorted(given, logits, side="right"), 1, KNOTS - 1)
        left, right = tf.gather(given, after - 1), tf.gather(given, after)
        low, high = tf.gather(told, after - 1), tf.gather(told, after)
        between = low + (high - low) * tf.math.divide_no_nan(logits - left, right - left)
        below, above = told[0] + self.slope[at] * (logits - given[0]), told[-1] + self.slope[at] * (logits - given[-1])
        return tf.where(logits < given[0], below, tf.where(logits >= given[-1], above, between))


def fitted(logits: Logits, labels: Logits, form: Form) -> tuple[Logits, Logits, float]:
    """Knots [KNOTS], what the map says at them [KNOTS], and the slope beyond them, of logits and labels [N]."""
    unchanged = (np.zeros(KNOTS), np.zeros(KNOTS), 1.0)
    if form == "none" or labels.min() == labels.max():
        return unchanged
    slope, offset = platt(logits, labels)
    if not slope > 0:
        return unchanged  # the ranker knows nothing, and turning its order round isn't calibration's to decide
    if form == "platt":
        return np.zeros(KNOTS), np.full(KNOTS, offset), slope
    given, told = isotonic(logits, labels)
    return np.pad(given, (0, KNOTS - len(given)), mode="edge"), np.pad(told, (0, KNOTS - len(told)), mode="edge"), slope


def platt(logits: Logits, labels: Logits) -> tuple[float, float]:
    """a and b of P = sigmoid(a logit + b) by maximum likelihood (Platt 1999); temperature scaling (Guo et al. 2017) is the case b = 0.

    Against targets (N+ + 1) / (N+ + 2) and 1 / (N- + 2), as Platt has them: labels that the logits tell apart altogether would have no end.
    """
    positives = labels.sum()
    labels = np.where(labels > 0, (positives + 1) / (positives + 2), 1 / (len(labels) - positives + 2))
    inputs, weights = np.stack([logits, np.ones_like(logits)], axis=1), np.array([1.0, 0.0])
    for _ in range(_NEWTON_STEPS):
        chance = expit(inputs @ weights)
        hessian = (inputs * (chance * (1 - chance))[:, None]).T @ inputs + 1e-9 * np.eye(2)
        step = np.linalg.solve(hessian, inputs.T @ (chance - labels))
        weights = weights - step * min(1.0, 1.0 / float(np.abs(step).max()))
        if np.abs(step).max() < 1e-9:
            break
    return float(weights[0]), float(weights[1])


def isotonic(logits: Logits, labels: Logits) -> tuple[Logits, Logits]:
    """Knots, at most `KNOTS`, and logits of the chance at them (Zadrozny and Elkan 2002).

    The least-squares rising step function (pool adjacent violators) over groups of equal size; a knot is a step's mean logit, and with
    half a positive more and half a negative more than it has, its chance is never 0 or 1.
    """
    groups = np.array_split(np.argsort(logits, kind="stable"), min(len(logits), KNOTS))
    size, clicked, total = (
        np.array([float(each) for each in of]) for of in zip(*((len(g), labels[g].sum(), logits[g].sum()) for g in groups), strict=True)
    )
    steps = IsotonicRegression().fit_transform(total / size, clicked / size, sample_weight=size)
    _, step = np.unique(steps, return_inverse=True)
    sizes, positives, totals = (np.bincount(step, each) for each in (size, clicked, total))
    told = logit((positives + 0.5) / (sizes + 1))
    rising = np.maximum.accumulate(told) + _LEAST_RISE * np.arange(len(told))
    return totals / sizes, rising
