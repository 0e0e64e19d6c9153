"""Model position bias: separate the probability that a position is examined from the score.

The examination hypothesis (Richardson et al. 2007; Craswell et al. 2008): P(action) = e(position) s. A candidate is
acted on if it is examined, with probability e, which depends on its position alone, and then if it attracts, with
probability s, which doesn't. A model that takes every action for attraction learns e s, and so favours candidates that
were shown high up. Here e is estimated apart, and the score is s, for which no position is needed.

Only the product e s is observed, so e has no scale of its own: that of the first position is set to 1, and so is that
of an unknown one (-1). Positions from `PLACES` on share the last one's e.
"""

from typing import Literal, TypeAlias

import numpy as np
import tensorflow as tf
import tf_keras as keras
from numpy.typing import NDArray

from components.contract.errors import InputError
from trainer.model.embedding import Table
from trainer.model.losses import NonNegativeCrossEntropy, cross_entropy

PositionBias: TypeAlias = Literal["none", "examination", "ips"]

PLACES = 100
"""Number of positions with an e of their own; all beyond share the last."""

MAX_WEIGHT = 10.0
"""Greatest inverse-propensity weight of an action. Clipping bounds the variance (as in Saito et al. 2020), at the cost
of a bias against candidates at positions that fewer than one in ten examine."""

PACE = 10.0
"""Factor between an e's weight and its logit. Adam moves a weight by at most the learning rate in a step: at 0.002 and
without the factor an e would take some 700 steps from 1/2 to 4/5, in which the score would absorb the difference."""


class Naive(keras.layers.Layer):
    """Ignore the position (`none`): e is 1 everywhere."""

    def __init__(self) -> None:
        super().__init__(name="naive", dtype="float32")
        self.loss = cross_entropy()

    def call(self, labels: tf.Tensor, logits: tf.Tensor, position: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Map labels [N], logits of s [N], positions [N] from 0 to the targets [N] and logits [N] of the loss."""
        return labels, logits

    def logged(self, logits: tf.Tensor, position: tf.Tensor) -> tf.Tensor:
        """Map logits of s [N] and positions [N] to logits of e s [N], the probability of an action in the log."""
        return logits


class Examination(keras.layers.Layer):
    """Learn e together with s (`examination`), by the loss -y log(e s) - (1 - y) log(1 - e s).

    PAL (Guo et al. 2019, https://dl.acm.org/doi/10.1145/3298689.3347033, eq. 3). Regression EM maximizes the same
    likelihood (Wang et al. 2018, "Position bias estimation for unbiased learning to rank in personal search"); here it
    is done by gradients.
    """

    def __init__(self) -> None:
        super().__init__(name="examination", dtype="float32")
        self.of_place = Table("examination", PLACES, 1, initial=0.0, dtype="float32")
        self.loss = cross_entropy()

    def call(self, labels: tf.Tensor, logits: tf.Tensor, position: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Return the labels unchanged and the logits of an action in the log; arguments as of `Naive`."""
        return labels, self.logged(logits, position)

    def logged(self, logits: tf.Tensor, position: tf.Tensor) -> tf.Tensor:
        """Return the logits of an action in the log; arguments as of `Naive`."""
        return _logged_logits(logits, self.probability(position))

    def probability(self, position: tf.Tensor) -> tf.Tensor:
        """Return e of each position, (0, 1]."""
        inside = tf.clip_by_value(position, 0, PLACES - 1)
        return tf.where(position > 0, tf.sigmoid(PACE * self.of_place(inside)[..., 0]), 1.0)


class InversePropensity(keras.layers.Layer):
    """Weigh actions by the inverse of a known e (`ips`), to make up for positions that nobody examined.

    The loss -(y / e) log s - (1 - y / e) log(1 - s) has the expectation of -r log s - (1 - r) log(1 - s) over
    examination, where y = r if examined and else 0 (Saito et al. 2020, "Unbiased recommender learning from
    missing-not-at-random implicit feedback"; earlier, for
    ranking: Joachims et al. 2017, "Unbiased learning-to-rank with biased feedback"). So the targets are y / e, with 1 /
    e clipped at `MAX_WEIGHT`. As 1 - y / e is negative for an action, the loss has no lower bound by itself: see
    `NonNegativeCrossEntropy`.

    e isn't learnt here but set by `assign`; before that it is 1 everywhere.
    """

    def __init__(self) -> None:
        super().__init__(name="inverse_propensity", dtype="float32")
        self.of_place = self.add_weight("propensity", [PLACES], initializer="ones", trainable=False)
        self.loss = NonNegativeCrossEntropy()

    def assign(self, propensities: NDArray[np.float32]) -> None:
        """Set e of each position [PLACES].

        Raises:
            InputError: their number is another, or one isn't above 0 and at most 1.
        """
        if propensities.shape != (PLACES,) or not (propensities > 0).all() or not (propensities <= 1).all():
            raise InputError(
                f"expected a propensity above 0 and at most 1 for each of {PLACES} places, got "
                f"{np.array2string(propensities, threshold=10)}; a place that nobody looks at has no action to weigh"
            )
        self.of_place.assign(propensities)

    def call(self, labels: tf.Tensor, logits: tf.Tensor, position: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Return the weighted labels and the logits of s; arguments as of `Naive`."""
        return labels * tf.minimum(1 / self.probability(position), MAX_WEIGHT), logits

    def logged(self, logits: tf.Tensor, position: tf.Tensor) -> tf.Tensor:
        """Return the logits of an action in the log; arguments as of `Naive`."""
        return _logged_logits(logits, self.probability(position))

    def probability(self, position: tf.Tensor) -> tf.Tensor:
        """Return e of each position, (0, 1]."""
        return tf.where(position > 0, tf.gather(self.of_place, tf.clip_by_value(position, 0, PLACES - 1)), 1.0)


def position_bias(kind: PositionBias) -> Naive | Examination | InversePropensity:
    """Make the layer of a kind of position bias."""
    match kind:
        case "none":
            return Naive()
        case "examination":
            return Examination()
        case "ips":
            return InversePropensity()


def curve(bias: Examination | InversePropensity) -> NDArray[np.float32]:
    """Return e of each position, [PLACES]."""
    propensities: NDArray[np.float32] = bias.probability(tf.range(PLACES, dtype=tf.int64)).numpy()
    return propensities


def _logged_logits(logits: tf.Tensor, examined: tf.Tensor) -> tf.Tensor:
    """Return the logits of e s, given those of s and e."""
    log_acted = tf.math.log_sigmoid(logits) + tf.math.log(examined)
    # 1 - e s = (1 - e) + e (1 - s), without cancellation.
    return log_acted - tf.math.log(1 - examined + examined * tf.sigmoid(-logits) + 1e-12)
