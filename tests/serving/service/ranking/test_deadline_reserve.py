"""What is kept of a deadline for the fallback, the rules and the wire."""

import pytest

from serving.service.ranking.deadline_reserve import DeadlineReserve


def test_a_tenth_of_a_second_is_kept_for_the_first_answer_and_never_more_than_half() -> None:
    reserve = DeadlineReserve()
    assert reserve.seconds(1.0) == 0.1
    assert reserve.seconds(0.02) == 0.01


def test_mean_and_deviations_are_those_of_the_retransmission_timer() -> None:
    reserve = DeadlineReserve()
    reserve.observe(0.08)
    assert reserve.seconds(1.0) == pytest.approx(0.08 + 4 * 0.04)
    reserve.observe(0.16)
    # deviation 3/4 0.04 + 1/4 |0.16 - 0.08|, mean 7/8 0.08 + 1/8 0.16
    assert reserve.seconds(1.0) == pytest.approx(0.09 + 4 * 0.05)


def test_quick_answers_leave_the_model_all_but_the_wire() -> None:
    reserve = DeadlineReserve()
    reserve.observe(0.3)
    for _ in range(100):
        reserve.observe(0.001)
    assert reserve.seconds(0.1) == pytest.approx(0.005, abs=1e-3)


def test_a_callers_clock_began_before_ours() -> None:
    reserve = DeadlineReserve()
    for _ in range(100):
        reserve.observe(0.0)
    assert reserve.seconds(1.0, of_caller=True) == pytest.approx(0.005 + 0.05)


def test_slow_answers_are_seen_at_once() -> None:
    reserve = DeadlineReserve()
    for _ in range(100):
        reserve.observe(0.001)
    reserve.observe(0.05)
    assert reserve.seconds(1.0) > 0.05
