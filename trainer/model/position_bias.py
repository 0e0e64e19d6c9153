"""Position bias: what the place where a product stood has to do with its clicks, kept out of the score.

Throughout, P(action) = e(place) s: a product is acted on if it is looked at, which is up to its place, and then if it attracts, which isn't
(the examination hypothesis: Richardson et al. 2007; Craswell et al. 2008). A model that takes clicks for attraction learns e s, and so
favours what stood high. Here e is told apart and the score is s, for which no place is needed.

Only the product e s is seen, so e has no scale of its own: the first place is looked at for certain, and so is one that isn't known (-1).
Places beyond `PLACES` share the last one's e.
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
"""Places that are told apart; all beyond share the last."""

MAX_WEIGHT = 10.0
"""The most that an action counts for under `ips`. Clipping bounds the variance (Saito et al. 2020 clip too); what stood where less than one
in ten look is made a little too faint by it."""

PACE = 10.0
"""An e is the sigmoid of so many times its weight. Adam moves a weight by no more than the learning rate in a step: at 0.002 an e would
take some 700 steps from 1/2 to 4/5, and for so long the score would have to answer for the difference."""


class Naive(keras.layers.Layer):
    """`none`: an action is taken for attraction, wherever it happened."""

    def __init__(self) -> None:
        super().__init__(name="naive", dtype="float32")
        self.loss = cross_entropy()

    def call(self, labels: tf.Tensor, logits: tf.Tensor, position: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Labels [N], logits of s [N], positions [N] from 0 -> the targets [N] and the logits [N] that the loss compares."""
        return labels, logits

    def logged(self, logits: tf.Tensor, position: tf.Tensor) -> tf.Tensor:
        """Logits of s [N], positions [N] -> logits [N] of an action in the log, which is what a log can judge."""
        return logits


class Examination(keras.layers.Layer):
    """`examination`: e is learnt beside s, from -y log(e s) - (1 - y) log(1 - e s).

    PAL (Guo et al. 2019, https://dl.acm.org/doi/10.1145/3298689.3347033, eq. 3). It is the likelihood that regression EM climbs too (Wang
    et al. 2018, "Position bias estimation for unbiased learning to rank in personal search"), by gradients in place of EM's steps.
    """

    def __init__(self) -> None:
        super().__init__(name="examination", dtype="float32")
        self.of_place = Table("examination", PLACES, 1, initial=0.0, dtype="float32")
        self.loss = cross_entropy()

    def call(self, labels: tf.Tensor, logits: tf.Tensor, position: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """As of `Naive`: the labels as they are, against the chance of an action in the log."""
        return labels, self.logged(logits, position)

    def logged(self, logits: tf.Tensor, position: tf.Tensor) -> tf.Tensor:
        """As of `Naive`."""
        return _seen(logits, self.probability(position))

    def probability(self, position: tf.Tensor) -> tf.Tensor:
        """How likely each position is looked at, (0, 1]."""
        inside = tf.clip_by_value(position, 0, PLACES - 1)
        return tf.where(position > 0, tf.sigmoid(PACE * self.of_place(inside)[..., 0]), 1.0)


class InversePropensity(keras.layers.Layer):
    """`ips`: e is known, and an action counts for the actions that weren't, because nobody looked.

    The loss -(y / e) log s - (1 - y / e) log(1 - s) has the expectation of -r log s - (1 - r) log(1 - s) over who looks, where y = r if
    looked at and else 0 (Saito et al. 2020, "Unbiased recommender learning from missing-not-at-random implicit feedback"; earlier, for
    ranking: Joachims et al. 2017, "Unbiased learning-to-rank with biased feedback"). So the targets are y / e, with 1 / e clipped at
    `MAX_WEIGHT`. As 1 - y / e is below 0 where an action is, the loss has no lower end by itself: see `NonNegativeCrossEntropy`.

    e isn't learnt here but given by `assign`: until then it is 1 everywhere.
    """

    def __init__(self) -> None:
        super().__init__(name="inverse_propensity", dtype="float32")
        self.of_place = self.add_weight("propensity", [PLACES], initializer="ones", trainable=False)
        self.loss = NonNegativeCrossEntropy()

    def assign(self, propensities: NDArray[np.float32]) -> None:
        """Take e of each place [PLACES] as given.

        Raises:
            InputError: there aren't as many, or one isn't above 0 and at most 1.
        """
        if propensities.shape != (PLACES,) or not (propensities > 0).all() or not (propensities <= 1).all():
            raise InputError(
                f"expected a propensity above 0 and at most 1 for each of {PLACES} places, got "
                f"{np.array2string(propensities, threshold=10)}; a place that nobody looks at has no action to weigh"
            )
        self.of_place.assign(propensities)

    def call(self, labels: tf.Tensor, logits: tf.Tensor, position: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """As of `Naive`: the labels weighted, against s."""
        return labels * tf.minimum(1 / self.probability(position), MAX_WEIGHT), logits

    def logged(self, logits: tf.Tensor, position: tf.Tensor) -> tf.Tensor:
        """As of `Naive`."""
        return _seen(logits, self.probability(position))

    def probability(self, position: tf.Tensor) -> tf.Tensor:
        """How likely each position is looked at, (0, 1]."""
        return tf.where(position > 0, tf.gather(self.of_place, tf.clip_by_value(position, 0, PLACES - 1)), 1.0)


def position_bias(kind: PositionBias) -> Naive | Examination | InversePropensity:
    """What a ranker makes of positions."""
    match kind:
        case "none":
            return Naive()
        case "examination":
            return Examination()
        case "ips":
            return InversePropensity()


def curve(bias: Examination | InversePropensity) -> NDArray[np.float32]:
    """e of each place, [PLACES]."""
    propensities: NDArray[np.float32] = bias.probability(tf.range(PLACES, dtype=tf.int64)).numpy()
    return propensities


def _seen(logits: tf.Tensor, looked_at: tf.Tensor) -> tf.Tensor:
    """Logits of e s from those of s."""
    acted = tf.math.log_sigmoid(logits) + tf.math.log(looked_at)
    # 1 - e s = (1 - e) + e (1 - s), which never cancels.
    return acted - tf.math.log(1 - looked_at + looked_at * tf.sigmoid(-logits) + 1e-12)
