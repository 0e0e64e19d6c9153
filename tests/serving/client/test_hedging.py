"""When a second replica is asked, and how often, by hand-worked numbers."""

import pytest

from components.contract.errors import InputError
from serving.client.hedging import HedgeBudget, HedgeSettings, LatencyWindow


def test_a_request_waits_for_the_quantile_of_the_last_latencies() -> None:
    latency = LatencyWindow(HedgeSettings(window=20, min_samples=20))
    for number in (7, 3, *range(100, 118)):
        latency.add(float(number))
    assert latency.hedge_after_s(1.0) == 116.0  # of 20 the 19th
    for _ in range(20):  # as many push the old ones out
        latency.add(0.5)
    assert latency.hedge_after_s(1.0) == 0.5


def test_it_waits_a_least_time_and_half_of_its_time_while_nothing_is_known() -> None:
    latency = LatencyWindow(HedgeSettings(min_samples=3, min_delay_s=0.001))
    for _ in range(3):
        assert latency.hedge_after_s(0.1) == 0.05
        latency.add(0.0002)
    assert latency.hedge_after_s(0.1) == 0.001


def test_the_budget_is_a_share_of_requests_and_few_at_once() -> None:
    budget = HedgeBudget(HedgeSettings(share=0.25, burst=2))

    def hedged(requests: int) -> int:
        taken = 0
        for _ in range(requests):
            budget.deposit()
            if budget.allows():
                budget.withdraw()
                taken += 1
        return taken

    assert hedged(2) == 2
    assert hedged(400) == 100
    for _ in range(1000):
        budget.deposit()
    assert hedged(2) == 2
    assert hedged(3) == 0 + 1  # 1/4 was left, and 3/4 are earned now


def test_without_a_share_nothing_is_hedged() -> None:
    budget = HedgeBudget(HedgeSettings(share=0.0))
    budget.deposit()
    assert not budget.allows()
    with pytest.raises(InputError, match="from 0 to 1, got 2"):
        HedgeSettings(share=2)
