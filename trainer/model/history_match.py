"""Compute features of exact matches of a candidate in the history: "seen just now", "bought four times", ..."""

import tensorflow as tf
import tf_keras as keras

from trainer.model.candidate_blocks import Blocks
from trainer.model.embedding import Table
from trainer.model.network_inputs import AGE_BUCKETS


class HistoryMatch(keras.layers.Layer):
    """Compute features of the events that share an id with the candidate, for one field (the item, its brand, ...).

    Embeddings learn similarity slowly and item by item; that it is the very same item is the stronger signal, and needs
    no training.
    """

    def __init__(self, field: str, actions: int, *, dim: int = 4) -> None:
        super().__init__(name=f"matches_{field}")
        self.actions = actions
        self.action = Table("last_action", actions + 1, dim)
        self.age = Table("last_age", AGE_BUCKETS + 1, dim)

    def call(
        self, candidates: tf.Tensor, events: tf.Tensor, lengths: tf.Tensor, blocks: Blocks, action: tf.Tensor, age: tf.Tensor
    ) -> tf.Tensor:
        """Map candidates' ids [N], and events' ids, `action` and `age` buckets [B, H] of `lengths` [B], to [N, F].

        By column: any match; 1 / (1 + events since the last match); the last event matches; log(1 + matches), of all
        actions and for each action; action and age of the last match, embedded. All zero without a match, but for the
        embeddings, which then are those of "none".
        """
        # int32 is wide enough for all that is compared below except ids.
        action, age = (tf.cast(tf.gather(each, blocks.request), tf.int32)[:, None] for each in (action, age))  # (blocks, 1, events)
        length = tf.cast(tf.gather(lengths, blocks.request), tf.int32)[:, None, None]
        candidate = blocks.scatter(candidates[:, None])  # (blocks, candidates, 1)
        index = tf.range(1, tf.shape(events)[1] + 1)  # 1 is the oldest
        event = tf.gather(events, blocks.request)[:, None]
        same = (event == candidate) & (candidate > 0) & (index <= length)  # (blocks, candidates, events)
        # One maximum yields both the last match and its action. Of an empty history it is the least int32, hence the
        # outer maximum.
        code = tf.maximum(tf.reduce_max(tf.where(same, index * (self.actions + 1) + action, 0), axis=-1), 0)  # (blocks, candidates)
        last = code // (self.actions + 1)
        since = tf.cast(length[:, :, 0] - last, tf.float32)
        matched = tf.cast(last > 0, tf.float32)
        of_action = [same, *(same & (action == each) for each in range(1, self.actions + 1))]
        counts = [tf.reduce_sum(tf.cast(each, tf.float32), axis=-1) for each in of_action]
        youngest = tf.minimum(tf.reduce_min(tf.where(same, age, AGE_BUCKETS), axis=-1), AGE_BUCKETS)
        numbers = [matched, matched / (1 + since), matched * tf.cast(since < 1, tf.float32), *(tf.math.log1p(count) for count in counts)]
        of_last = [self.action(code % (self.actions + 1)), self.age(youngest)]
        return blocks.gather(tf.concat([tf.cast(tf.stack(numbers, axis=-1), self.compute_dtype), *of_last], axis=-1))
