"""What an exact match between a candidate and the history says: "seen just now", "bought four times", "last seen a week ago"."""

import tensorflow as tf
import tf_keras as keras

from trainer.embedding import Table
from trainer.layout import AGE_BUCKETS


class Matches(keras.layers.Layer):
    """Features of the events that share an id with the candidate, for one field (the item, its brand, ...).

    Embeddings learn likeness slowly and item by item; that it is the very same item is worth more than all of it, and needs no training.
    """

    def __init__(self, field: str, actions: int, *, dim: int = 4) -> None:
        super().__init__(name=f"matches_{field}")
        self.actions = actions
        self.action = Table("last_action", actions + 1, dim)
        self.age = Table("last_age", AGE_BUCKETS + 1, dim)

    def call(
        self, candidates: tf.Tensor, events: tf.Tensor, lengths: tf.Tensor, rows: tf.Tensor, action: tf.Tensor, age: tf.Tensor
    ) -> tf.Tensor:
        """Candidates' ids [N]; events' ids, `action` and `age` buckets [B, H], `lengths` [B]; `rows` [N] -> [N, F].

        By column: any match; log(1 + matches); 1 / (1 + events since the last match); the last event matches; log(1 + matches) for each
        action; action and age of the last match, embedded. All zero without a match, but for the embeddings, which then are those of
        "none".
        """
        events, action, age, length = (tf.gather(each, rows) for each in (events, action, age, lengths))
        place = tf.range(1, tf.shape(events, out_type=tf.int64)[1] + 1)[None, :]  # 1 is the oldest
        same = (events == candidates[:, None]) & (candidates[:, None] > 0) & (place <= length[:, None])  # (candidates, events)
        # One maximum finds the last match and carries its action along. Of an empty history it is the least int64, hence the outer maximum.
        code = tf.reduce_max(tf.where(same, place * (self.actions + 1) + action, 0), axis=1)
        code = tf.maximum(code, 0)
        last = code // (self.actions + 1)
        since = tf.cast(length - last, tf.float32)
        found = tf.cast(last > 0, tf.float32)
        counts = [tf.reduce_sum(tf.cast(same & (action == each) if each else same, tf.float32), axis=1) for each in range(self.actions + 1)]
        youngest = tf.minimum(tf.reduce_min(tf.where(same, age, AGE_BUCKETS), axis=1), AGE_BUCKETS)
        numbers = [found, found / (1 + since), found * tf.cast(since < 1, tf.float32), *(tf.math.log1p(count) for count in counts)]
        return tf.concat([tf.stack(numbers, axis=-1), self.action(code % (self.actions + 1)), self.age(youngest)], axis=-1)
