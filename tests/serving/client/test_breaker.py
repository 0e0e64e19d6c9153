"""The circuit breaker, second by second."""

from serving.client.breaker import BreakerSettings, CircuitBreaker


def opened() -> CircuitBreaker:
    breaker = CircuitBreaker(BreakerSettings(failures=2, open_s=10))
    breaker.record_failure(0)
    assert breaker.allows(0)
    breaker.record_failure(1)
    return breaker


def test_it_opens_after_failures_in_a_row_and_then_lets_one_try_through() -> None:
    breaker = opened()
    assert breaker.is_open
    assert [breaker.allows(second) for second in (1, 10.9, 11, 11.1)] == [False, False, True, False]


def test_a_try_that_fails_keeps_it_open_and_one_that_succeeds_closes_it() -> None:
    breaker = opened()
    assert breaker.allows(11)
    breaker.record_failure(12)
    assert [breaker.allows(second) for second in (21.9, 22)] == [False, True]
    breaker.record_success()
    assert breaker.allows(22)
    assert not breaker.is_open


def test_failures_that_a_success_parts_are_not_in_a_row() -> None:
    breaker = CircuitBreaker(BreakerSettings(failures=2, open_s=10))
    for _ in range(3):
        breaker.record_failure(0)
        breaker.record_success()
    assert breaker.allows(0)


def test_who_would_not_wait_a_fair_time_opens_it_for_nobody() -> None:
    breaker = CircuitBreaker(BreakerSettings(failures=2, open_s=10, min_timeout_s=0.01))
    for _ in range(5):
        breaker.record_timeout(0, 0.009)
    assert not breaker.is_open
    for _ in range(2):
        breaker.record_timeout(0, 0.01)
    assert breaker.is_open
