"""Effects by day since the first exposure, and their slope."""

import numpy as np
import polars as pl
import pytest

from components.experiment.novelty import novelty


def shop(shoppers: int, days: int, effect: list[float], seed: int) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Shoppers of two arms, half of whom come on the second day for the first time; an effect by day since then."""
    rng = np.random.default_rng(seed)
    number = range(shoppers)
    people = pl.DataFrame({"user": number, "arm": [i % 2 for i in number], "first_day": [i // 2 % 2 for i in number]})
    level = rng.gamma(2.0, 0.5, shoppers)
    rows = []
    for user, arm, first in people.iter_rows():
        for since in range(days - first):
            clicks = float(rng.poisson(level[user])) + (effect[since] if arm else 0.0)
            if clicks:
                rows.append((user, first + since, clicks))
    return people, pl.DataFrame(rows, schema=["user", "day", "clicks"], orient="row")


def test_a_falling_effect_is_seen_day_by_day() -> None:
    people, days = shop(4000, 6, [1.0, 0.8, 0.6, 0.4, 0.2, 0.0], seed=1)
    effects, (trend,) = novelty(days, people, "clicks", arms=("control", "new"), control="control", last_day=5)
    assert [each.shoppers for each in effects] == [4000, 4000, 4000, 4000, 4000, 2000]  # the last day of half of them is beyond the log
    assert [each.effect for each in effects] == pytest.approx([1.0, 0.8, 0.6, 0.4, 0.2, 0.0], abs=0.15)
    assert trend.slope == pytest.approx(-0.2, abs=4 * trend.std_error)
    assert trend.p < 1e-6


def test_the_slopes_error_is_over_shoppers() -> None:
    """Over many shops without an effect the slope varies by its standard error, though the days of a shopper go together."""
    z = []
    for seed in range(60):
        people, days = shop(400, 4, [0.0] * 4, seed=seed)
        _, (trend,) = novelty(days, people, "clicks", arms=("control", "new"), control="control", last_day=3)
        z.append(trend.slope / trend.std_error)
    assert 0.75 < np.std(z) < 1.25
