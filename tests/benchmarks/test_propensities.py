"""The rival ways to find how likely a place is looked at, on clicks whose truth is written down."""

import numpy as np
import polars as pl
import pytest

from benchmarks.quality.debias import spearman
from benchmarks.quality.propensities import by_regression_em, click_rates, harvested


def shown(*cells: tuple[str, int, int, int]) -> pl.DataFrame:
    """Rows from (item, place, impressions, clicks)."""
    rows = [(item, place, float(at < clicks)) for item, place, n, clicks in cells for at in range(n)]
    return pl.DataFrame(rows, schema=["item", "place", "click"], orient="row")


def test_harvesting_compares_an_item_with_itself():
    """e = 1, 1/2, 1/4; `a` (4/10) is shown high and `b` (8/10) low."""
    log = shown(("a", 0, 100, 40), ("a", 1, 50, 10), ("b", 1, 50, 20), ("b", 2, 100, 20))
    assert harvested(log, ["item"]) == pytest.approx([1, 1 / 2, 1 / 4])
    places, clicks = log["place"].to_numpy(), log["click"].to_numpy()
    assert click_rates(places, clicks) == pytest.approx([1, 3 / 4, 1 / 2])  # a rate of 30/100 and one of 20/100 over 40/100


def test_regression_em_tells_places_from_items():
    log = shown(
        *((item, place, 2_000, int(2_000 * e * s)) for item, s in (("a", 0.2), ("b", 0.6)) for place, e in enumerate((1, 0.5, 0.25)))
    )
    inputs = (log["item"] == "b").to_numpy().astype(np.float64)[:, None]
    found = by_regression_em(inputs, log["place"].to_numpy(), log["click"].to_numpy(), rounds=30, seed=0)
    assert found == pytest.approx([1, 1 / 2, 1 / 4], abs=0.03)


def test_spearman_is_taken_within_each_request():
    """Three candidates in the same order, three in the opposite one, two swapped of three, and a request of one."""
    values, others = np.array([1, 2, 3, 1, 2, 3, 1, 2, 3, 5.0]), np.array([10, 20, 30, 3, 2, 1, 2, 1, 3, 5.0])
    assert spearman(values, others, np.array([3, 3, 3, 1])) == pytest.approx([1, -1, 1 / 2, np.nan], nan_ok=True)
