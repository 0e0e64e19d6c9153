"""Interleaving needs a fraction of the lists of a split test, and tells equal rankers apart no more often than alpha."""

import math

import numpy as np
import pytest

from benchmarks.experiment.interleaving import Lists, compared, draft, error_rates, ranked, shop_lists
from components.simulator import ShopConfig, simulate

CONFIG = ShopConfig(events=20_000, seed=1, days=20)


@pytest.fixture(scope="module")
def lists(tmp_path_factory: pytest.TempPathFactory) -> Lists:
    shop = tmp_path_factory.mktemp("simulated") / "shop"
    simulate(shop, CONFIG)
    return shop_lists(shop, CONFIG)


def test_lists_have_the_shops_candidates_and_a_perfect_ranker_sorts_by_relevance(lists: Lists) -> None:
    assert (lists.lengths >= CONFIG.candidates[0]).all()
    assert ((lists.relevance > 0).sum(axis=1) == lists.lengths).all()
    order = ranked(lists, 0.0, np.random.default_rng(0))
    sorted_relevance = np.take_along_axis(lists.relevance, order, axis=1)
    assert (np.diff(sorted_relevance, axis=1) <= 0).all()


def test_the_draft_is_the_services_and_leaves_the_padding(lists: Lists) -> None:
    rng = np.random.default_rng(0)
    order, teams = draft(lists, (ranked(lists, 1.0, rng), ranked(lists, 1.0, rng)), "salt")
    assert (np.sort(order, axis=1) == np.arange(order.shape[1])).all()
    assert ((teams >= 0).sum(axis=1) == lists.lengths).all()


@pytest.mark.slow
def test_interleaving_needs_a_tenth_of_the_lists_at_most(lists: Lists) -> None:
    row = compared(lists, (0.3, 3.0), runs=40, seed=2)
    assert row.truth > 0.1
    assert row.ratio > 10


@pytest.mark.slow
def test_equal_rankers_are_told_apart_at_the_rate_of_alpha(lists: Lists) -> None:
    runs = 200
    for rate in error_rates(lists, 0.6, shoppers=60, runs=runs, seed=3):
        assert rate < 0.05 + 3 * math.sqrt(0.05 * 0.95 / runs)
