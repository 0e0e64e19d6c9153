"""How often the gates refuse by chance is what they say, over the whole window and over many slices; what is clearly worse is refused."""

import pytest

from benchmarks.evaluation.gates import BY_VALUE, in_slices, over_the_window
from benchmarks.evaluation.population import Population
from components.evaluation.gates.gate_result import FAMILY_ALPHA


@pytest.fixture(scope="module")
def population() -> Population:
    return Population.of_shop(events=200_000, seed=4)


def at_most(share: float, draws: int) -> float:
    """What a share of draws may look like by chance: three standard deviations above."""
    return share + 3 * float((share * (1 - share) / draws) ** 0.5)


def test_a_model_that_is_no_worse_is_seldom_refused_and_one_that_is_far_worse_is(population: Population) -> None:
    equal, at_the_limit, far_worse = over_the_window(population, requests=330, draws=80, falls=(0.0, BY_VALUE["auc"], 0.08))
    assert equal.auc == pytest.approx(0, abs=1e-4)
    assert equal.refused <= at_the_limit.refused <= at_most(FAMILY_ALPHA, 80)
    assert equal.by_value >= 0.3  # what a gate on the values alone does
    assert far_worse.refused >= 0.8


@pytest.mark.slow
def test_of_many_slices_none_is_refused_by_chance_more_often_than_all_together_may(population: Population) -> None:
    found = in_slices(population, requests=2_500, draws=60)
    assert found.judged >= 15
    assert found.each_by_itself >= 0.15
    assert found.refused <= at_most(FAMILY_ALPHA, 60)
