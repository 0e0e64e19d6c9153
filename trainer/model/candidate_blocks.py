"""Candidates in blocks: how a flat list of candidates meets the histories of their requests without a copy of the history for each."""

from dataclasses import dataclass

import tensorflow as tf

SIZE = 16
"""Candidates in a block. A request's last block is padded: half a block wasted, against whole lists padded to the longest."""


@dataclass(frozen=True)
class Blocks:
    """N candidates of B requests in K blocks, each of candidates of one request.

    Attributes:
        request: [K] the request of each block.
        place: [N] where a candidate stands among the K * SIZE places.
    """

    request: tf.Tensor
    place: tf.Tensor

    def spread(self, candidates: tf.Tensor) -> tf.Tensor:
        """Candidates [N, D] to [K, SIZE, D], zeros in the places that are left."""
        shape = tf.stack([self._blocks * SIZE, tf.shape(candidates, tf.int64)[1]])
        return tf.reshape(tf.scatter_nd(self.place[:, None], candidates, shape), [-1, SIZE, candidates.shape[1]])

    def gathered(self, blocks: tf.Tensor) -> tf.Tensor:
        """The inverse: [K, SIZE, D] to [N, D]."""
        return tf.gather(tf.reshape(blocks, [-1, blocks.shape[2]]), self.place)

    @property
    def _blocks(self) -> tf.Tensor:
        return tf.shape(self.request, tf.int64)[0]


def in_blocks(row_lengths: tf.Tensor) -> Blocks:
    """The blocks of requests that have `row_lengths` [B] candidates each, one request after the other."""
    lengths = tf.cast(row_lengths, tf.int64)
    of_request = (lengths + SIZE - 1) // SIZE
    request = tf.repeat(tf.range(tf.size(lengths, tf.int64)), of_request)
    first_place = (tf.cumsum(of_request) - of_request) * SIZE
    first_candidate = tf.cumsum(lengths) - lengths
    candidate = tf.range(tf.reduce_sum(lengths))
    return Blocks(request, candidate + tf.repeat(first_place - first_candidate, lengths))
