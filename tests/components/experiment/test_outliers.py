"""Amounts of few shoppers are capped alike in all arms, and the policy says by how much."""

import polars as pl
import pytest

from components.experiment.outliers import cap_amounts


def table() -> pl.DataFrame:
    amounts = [0.0] * 50 + [float(i) for i in range(1, 50)] + [10_000.0]
    return pl.DataFrame({"revenue": amounts, "margin": [-x for x in amounts], "pre_revenue": amounts, "pre_margin": [0.0] * 100})


def test_an_amount_beyond_the_quantile_counts_as_the_quantile() -> None:
    capped = cap_amounts(table(), 0.98)
    # Of 50 shoppers with any, the 98 % quantile is 0.02 of the way from the 49th, 49, to the 50th, 10,000.
    high = 49 + (10_000 - 49) * 0.02
    assert capped.table["revenue"].max() == pytest.approx(high)
    assert capped.table["revenue"].to_list()[:99] == table()["revenue"].to_list()[:99]
    assert capped.table["margin"].min() == pytest.approx(-high)
    assert "revenue of 1 at 248.02" in capped.policy


def test_without_a_cap_amounts_are_as_they_are() -> None:
    assert cap_amounts(table(), None).table.equals(table())
