"""Clicks are credited to the team that placed the item, and the preference is tested over shoppers."""

import math

import numpy as np
import pytest
from numpy.testing import assert_allclose

from components.contract.errors import InputError
from components.experiment.designs.interleaving import Credits, InterleavedList, credit, preference

LISTS = {
    "r1": InterleavedList("a", {"x": 0, "y": 1}, leader=0),
    "r2": InterleavedList("b", {"x": 1, "y": 0, "z": 1}, leader=1),
    "r3": InterleavedList("a", {"y": 1}, leader=1),
}


def test_a_click_is_its_teams_once_and_a_pinned_item_is_nobodys() -> None:
    clicks = [("r1", "y"), ("r1", "y"), ("r2", "x"), ("r2", "y"), ("r2", "z"), ("r3", "x"), ("elsewhere", "x")]
    credits = credit(LISTS, clicks)
    assert credits.first.tolist() == [0, 1, 0]
    assert credits.second.tolist() == [1, 2, 0]
    assert credits.shoppers.tolist() == [0, 1, 0]
    assert credits.leaders.tolist() == [0, 1, 1]
    assert credits.unplaced == 1


def test_the_difference_and_its_error_by_hand() -> None:
    """Shopper 0 has +1 in two lists, shopper 1 +1 in one, shopper 2 -1 in one."""
    credits = Credits(np.array([0, 0, 1, 2]), np.array([0, 0, 0, 1]), np.array([1, 0, 1, 0]), np.array([0, 1, 0, 1]))
    result = preference(credits)
    assert (result.lists, result.shoppers, result.first_won, result.second_won, result.tied) == (4, 3, 1, 2, 0)
    assert result.difference == 1 / 4
    residuals = [1 - 2 / 4, 1 - 1 / 4, -1 - 1 / 4]
    assert_allclose(result.std_error, math.sqrt(sum(each**2 for each in residuals) * 3 / 2) / 4)
    assert_allclose((result.lower + result.upper) / 2, 1 / 4)
    assert result.sign_p == 1.0  # two of three
    assert (result.second_led, result.coin_p) == (1 / 2, 1.0)


def test_lists_without_a_click_are_no_evidence() -> None:
    nothing = np.zeros(4, np.int64)
    result = preference(Credits(np.arange(4), nothing, nothing, nothing))
    assert (result.p, result.sign_p, result.difference, result.tied) == (1.0, 1.0, 0.0, 0)
    assert result.coin_p < 0.05


@pytest.mark.parametrize("shopper_effect", [0.0, 1.0])
def test_equal_rankers_are_told_apart_at_the_rate_of_alpha_however_alike_a_shoppers_lists_are(shopper_effect: float) -> None:
    """A shopper who likes one team's kind of item does so in all of their lists: lists aren't independent, shoppers are."""
    rng = np.random.default_rng(3)
    rejected, signs, runs = 0, 0, 800
    for _ in range(runs):
        shoppers = np.repeat(np.arange(150), 6)
        lean = np.clip(0.3 + shopper_effect * rng.normal(0, 0.2, 150)[shoppers], 0, 0.6)
        first, second = rng.binomial(1, 0.6 - lean), rng.binomial(1, lean)
        # Which team a lean is for is drawn for each shopper, so that on average there is none.
        swapped = (rng.random(150) < 0.5)[shoppers]
        first, second = np.where(swapped, second, first), np.where(swapped, first, second)
        result = preference(Credits(shoppers, first, second, rng.integers(2, size=len(shoppers))))
        rejected += result.p < 0.05
        signs += result.sign_p < 0.05
    assert abs(rejected / runs - 0.05) < 3 * math.sqrt(0.05 * 0.95 / runs)
    assert signs / runs < 0.05 + 3 * math.sqrt(0.05 * 0.95 / runs)  # it is discrete, so somewhat below


def test_a_better_ranker_is_preferred() -> None:
    rng = np.random.default_rng(4)
    shoppers = np.repeat(np.arange(400), 3)
    result = preference(Credits(shoppers, rng.binomial(1, 0.1, 1200), rng.binomial(1, 0.16, 1200), rng.integers(2, size=1200)))
    assert result.p < 0.01
    assert result.sign_p < 0.01
    assert result.lower > 0


def test_one_shopper_is_no_sample() -> None:
    one = np.zeros(3, np.int64)
    with pytest.raises(InputError, match="of two shoppers or more, got 3 of 1; wait"):
        preference(Credits(one, one, one, one))
    with pytest.raises(InputError, match="alpha between 0 and 1"):
        preference(Credits(np.arange(3), one, one, one), alpha=5)
