"""Group a request's candidates in blocks, to compute with its history once a block and not once a candidate."""

from dataclasses import dataclass

import tensorflow as tf

SIZE = 16
"""Candidates in a block. Only a request's last block is padded; lists aren't padded to the longest."""


@dataclass(frozen=True)
class Blocks:
    """Assign N candidates of B requests to K blocks, each of candidates of one request.

    Attributes:
        request: [K] the request of each block.
        slot: [N] the slot of each candidate among the K * SIZE slots of all blocks.
    """

    request: tf.Tensor
    slot: tf.Tensor

    def scatter(self, candidates: tf.Tensor) -> tf.Tensor:
        """Put candidates [N, D] into their blocks [K, SIZE, D], zeros in unused slots."""
        shape = tf.stack([self._blocks * SIZE, tf.shape(candidates, tf.int64)[1]])
        return tf.reshape(tf.scatter_nd(self.slot[:, None], candidates, shape), [-1, SIZE, candidates.shape[1]])

    def gather(self, blocks: tf.Tensor) -> tf.Tensor:
        """Invert `scatter`: [K, SIZE, D] to [N, D]."""
        return tf.gather(tf.reshape(blocks, [-1, blocks.shape[2]]), self.slot)

    @property
    def _blocks(self) -> tf.Tensor:
        return tf.shape(self.request, tf.int64)[0]


def in_blocks(row_lengths: tf.Tensor) -> Blocks:
    """Make the blocks of requests that have `row_lengths` [B] candidates each, one request after the other."""
    lengths = tf.cast(row_lengths, tf.int64)
    n_blocks = (lengths + SIZE - 1) // SIZE
    request = tf.repeat(tf.range(tf.size(lengths, tf.int64)), n_blocks)
    first_slot = (tf.cumsum(n_blocks) - n_blocks) * SIZE
    first_candidate = tf.cumsum(lengths) - lengths
    candidate = tf.range(tf.reduce_sum(lengths))
    return Blocks(request, candidate + tf.repeat(first_slot - first_candidate, lengths))
