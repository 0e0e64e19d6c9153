"""Tell up to what event time a stream has been read: a partition that is behind holds it back, an idle one doesn't."""

from collections.abc import Collection
from typing import NamedTuple

IDLE_S = 120.0  # longer than the event log's windows take, which tell of this after a restart


class Progress(NamedTuple):
    """How far a partition is: the time of its newest event, and when it delivered last, by a clock that all share."""

    newest_us: int
    delivered_us: int


def least_watermark_us(partitions: Collection[Progress]) -> int:
    """Return the least watermark of the partitions that deliver.

    One is idle that has delivered nothing for IDLE_S while another has: it may have no events, or nobody who reads it.

    Args:
        partitions: at least one.
    """
    last_us = max(each.delivered_us for each in partitions)
    return min(each.newest_us for each in partitions if each.delivered_us >= last_us - IDLE_S * 1e6)
