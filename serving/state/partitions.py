"""Partition the keys: all keys of a partition share a slot of a Redis Cluster, so that one script may write them.

There are 64 partitions, whose slots are spread evenly over the cluster's 16,384: state spreads over up to 64 masters.
Key names are the same without a cluster.
"""

import zlib
from functools import lru_cache

from redis.crc import REDIS_CLUSTER_HASH_SLOTS, key_slot

from components.state.keys import SEPARATOR

PARTITIONS = 64
_BETWEEN = SEPARATOR.encode()


def partition_of(key: bytes) -> int:
    """Return the partition of a shopper or a product; a product within a segment has the product's."""
    return zlib.crc32(key.rpartition(_BETWEEN)[2] if _BETWEEN in key else key) % PARTITIONS


@lru_cache(maxsize=1 << 16)
def partitioned(key: str) -> bytes:
    """Prefix a key with its partition's hash tag."""
    raw = key.encode()
    return TAGS[partition_of(raw)] + raw


def _tags() -> tuple[bytes, ...]:
    """Find for each partition the smallest number whose slot lies in its share of the slots."""
    share, tags, number = REDIS_CLUSTER_HASH_SLOTS // PARTITIONS, dict[int, bytes](), 0
    while len(tags) < PARTITIONS:
        tag = b"%d" % number
        tags.setdefault(key_slot(tag) // share, tag)
        number += 1
    return tuple(b"{%s}" % tags[partition] for partition in range(PARTITIONS))


TAGS = _tags()  # hash tags, by partition
