"""A partition that is behind holds the watermark back; an idle one doesn't."""

from serving.stream.watermark import IDLE_S, Progress, least_watermark_us

SECOND_US = 1_000_000


def test_the_watermark_is_the_least_of_the_partitions_that_deliver() -> None:
    behind, ahead = Progress(5, 100 * SECOND_US), Progress(9, 100 * SECOND_US)
    assert least_watermark_us([ahead, behind]) == 5
    assert least_watermark_us([ahead, behind._replace(newest_us=7)]) == 7


def test_a_partition_that_delivers_nothing_while_another_does_holds_it_back_until_it_is_idle() -> None:
    silent = Progress(5, 100 * SECOND_US)
    idle_us = 100 * SECOND_US + int(IDLE_S * SECOND_US)
    assert least_watermark_us([silent, Progress(9, idle_us)]) == 5
    assert least_watermark_us([silent, Progress(9, idle_us + 1)]) == 9
    assert least_watermark_us([silent]) == 5
