"""Target attention: how much each past event matters for this candidate."""

import tensorflow as tf
import tf_keras as keras


class TargetAttention(keras.layers.Layer):
    """Local activation unit of the Deep Interest Network (Zhou et al. 2018, https://arxiv.org/abs/1706.06978, section 4.3, eq. 3).

    Weights are a small network of [h, c, h - c, h * c] and aren't normalised over the history, so that the sum also tells how much of the
    history speaks for the candidate. The first layer is linear in h, c and h - c: those parts are computed once an event and once a
    candidate, and only the product needs all pairs; W1 h + W2 c + W3 (h - c) = (W1 + W3) h + (W2 - W3) c, so nothing is lost.

    Args:
        units: hidden units of the activation unit.
        heads: sets of weights; the results are put side by side.
    """

    def __init__(self, units: int, heads: int) -> None:
        super().__init__(name="target_attention")
        self.heads = heads
        self.of_event = keras.layers.Dense(units)
        self.of_candidate = keras.layers.Dense(units, use_bias=False)
        self.of_product = keras.layers.Dense(units, use_bias=False)
        self.weight = keras.layers.Dense(heads)

    def call(self, candidates: tf.Tensor, events: tf.Tensor, lengths: tf.Tensor, rows: tf.Tensor) -> tf.Tensor:
        """Candidates [N, D] of the requests `rows` [N], events [B, H, D] of which the first `lengths` [B] count -> [N, heads * D]."""
        width = events.shape[-1]
        both = tf.gather(tf.concat([events, self.of_event(events)], axis=-1), rows)  # (candidates, events, width + units)
        event, linear = tf.split(both, [width, both.shape[-1] - width], axis=-1)
        hidden = tf.nn.relu(linear + self.of_candidate(candidates)[:, None, :] + self.of_product(event * candidates[:, None, :]))
        counts = tf.gather(tf.sequence_mask(lengths, tf.shape(events)[1], dtype=tf.float32), rows)
        weights = tf.sigmoid(self.weight(hidden)) * counts[..., None]  # (candidates, events, heads)
        interest = tf.matmul(weights, event, transpose_a=True)  # (candidates, heads, width)
        return tf.reshape(interest, [-1, self.heads * width])
