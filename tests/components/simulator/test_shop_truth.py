import json
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray

from components.simulator import ShopConfig, simulate
from components.simulator.behaviour import Outcomes
from components.simulator.truth import RelevanceTally
from components.simulator.world import is_treated

DRIFT = date(2026, 1, 15)
CONFIG = ShopConfig(events=120_000, days=20, seed=5, drift_at=DRIFT, treatment=0.4, treatment_effect=0.5)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return simulate(tmp_path_factory.mktemp("truth") / "shop", CONFIG).out


@pytest.fixture(scope="module")
def truth(shop: Path) -> dict[str, Any]:
    return dict(json.loads((shop / "truth/truth.json").read_text()))


@pytest.fixture(scope="module")
def shown(shop: Path) -> pl.DataFrame:
    """Impressions with what is true of them and whether they were clicked."""
    events = pl.read_parquet(shop / "events/*.parquet")
    key = ["request_id", "item_id", "position"]
    clicks = events.filter(pl.col("action") == "click").select(*key, clicked=pl.lit(1))
    return (
        events.filter(pl.col("action") == "impression")
        .select(*key, "time", "user_id")
        .join(pl.read_parquet(shop / "truth/relevance-*.parquet"), on=key, how="full", coalesce=True)
        .join(clicks, on=key, how="left")
        .join(pl.read_parquet(shop / "truth/users.parquet"), on="user_id")
        .join(pl.read_parquet(shop / "truth/items.parquet"), on="item_id")
        .with_columns(pl.col("clicked").fill_null(0))
    )


def column(frame: pl.DataFrame, name: str) -> NDArray[np.float64]:
    return frame[name].to_numpy().astype(np.float64)


def surprise(frame: pl.DataFrame) -> float:
    """Clicks less the expected number, in standard deviations."""
    p = column(frame, "click_probability")
    return float((column(frame, "clicked").sum() - p.sum()) / np.sqrt(np.sum(p * (1 - p))))


def test_the_truth_tells_of_each_impression_once(shop: Path, shown: pl.DataFrame) -> None:
    impressions = pl.scan_parquet(shop / "events/*.parquet").filter(pl.col("action") == "impression").select(pl.len()).collect().item()
    assert len(shown) == impressions
    assert shown.select("time", "relevance").null_count().row(0) == (0, 0)


def test_a_click_takes_examination_and_attraction(shown: pl.DataFrame, truth: dict[str, Any]) -> None:
    position = column(shown, "position")
    np.testing.assert_allclose(column(shown, "examination"), 1 / (1 + position / 4), rtol=1e-6)
    np.testing.assert_allclose(truth["examination"][:3], [1, 4 / 5, 2 / 3])
    np.testing.assert_allclose(column(shown, "click_probability"), column(shown, "examination") * column(shown, "relevance"), rtol=1e-5)


def test_click_through_follows_the_truth_at_each_position(shown: pl.DataFrame) -> None:
    for _, there in shown.group_by("position"):
        assert abs(surprise(there)) < 4


def test_click_through_follows_the_truth_at_each_level_of_relevance(shown: pl.DataFrame) -> None:
    ranked = shown.sort("relevance")
    for tenth in range(10):
        assert abs(surprise(ranked[tenth * len(ranked) // 10 : (tenth + 1) * len(ranked) // 10])) < 4


def test_position_confounds_what_is_shown_higher_is_more_relevant(shown: pl.DataFrame) -> None:
    by_position = shown.group_by("position").agg(pl.col("relevance").mean()).sort("position")["relevance"]
    assert by_position[0] > 1.2 * by_position[9]


def test_auc_of_the_truth_is_that_of_the_files(shown: pl.DataFrame, truth: dict[str, Any]) -> None:
    assert truth["auc"]["all"] == pytest.approx(pairwise_auc(shown), abs=2e-4)
    late = shown.filter(pl.col("time").dt.date() >= date(2026, 1, 22))
    assert truth["auc"]["last_15_percent_of_days"] == pytest.approx(pairwise_auc(late), abs=2e-3)
    assert 0.72 < truth["auc"]["all"] < 0.82


def pairwise_auc(frame: pl.DataFrame) -> float:
    rank = frame.select(pl.col("relevance").rank()).to_series().to_numpy()
    clicked = column(frame, "clicked")
    n = clicked.sum()
    return float((np.sum(rank * clicked) - n * (n + 1) / 2) / (n * (len(rank) - n)))


def test_auc_by_hand() -> None:
    tally = RelevanceTally(days=10)
    relevance = np.array([0.1, 0.4, 0.4, 0.8])
    clicked = np.array([False, True, False, True])
    never = np.zeros(4, dtype=np.bool_)
    one = np.ones(4)
    tally.add(
        0,
        Outcomes(price=one, examination=one, relevance=relevance, untreated=relevance, clicked=clicked, carted=never, purchased=never),
        0.0,
    )
    assert tally.auc() == (1 + 1 / 2 + 1 + 1) / 4
    assert np.isnan(tally.late_auc())
    assert tally.relative_uplift() == pytest.approx(0.0)


def test_the_treated_are_the_planned_share_by_hash(shop: Path) -> None:
    users = pl.read_parquet(shop / "truth/users.parquet")
    treated = column(users, "treated")
    assert abs(treated.mean() - 0.4) < 4 * np.sqrt(0.4 * 0.6 / len(treated))
    assert all(is_treated(user, 0.4) == bool(flag) for user, flag in users.select("user_id", "treated").iter_rows())
    assert not any(is_treated(f"u{i}", 0.0) for i in range(100))
    assert is_treated("u000001", 0.5, "a") != is_treated("u000001", 0.5, "b") or is_treated("u000002", 0.5, "a") != is_treated(
        "u000002", 0.5, "b"
    )


def test_the_planted_uplift_is_found_in_the_clicks(shown: pl.DataFrame, truth: dict[str, Any]) -> None:
    planted = truth["treatment"]["relative_uplift_of_click_rate"]
    log_rate, variance = [], 0.0
    for treated in (True, False):
        users = shown.filter(pl.col("treated") == treated).group_by("user_id").agg(pl.len().alias("n"), pl.col("clicked").sum())
        n, clicks = column(users, "n"), column(users, "clicked")
        rate = clicks.sum() / n.sum()
        log_rate.append(np.log(rate))
        variance += float(np.sum((clicks - rate * n) ** 2)) / clicks.sum() ** 2  # shoppers, not impressions, are independent
    found, error = log_rate[0] - log_rate[1], np.sqrt(variance)
    assert abs(found - np.log1p(planted)) < 3 * error
    assert found > 5 * error


def test_the_effect_is_the_planned_number_of_log_odds(shown: pl.DataFrame) -> None:
    """One Newton step from the truth, with the effect taken out and put back: the clicks of the treated want no other effect."""
    treated = shown.filter("treated")
    e, r, y = (column(treated, name) for name in ("examination", "relevance", "clicked"))
    p = e * r
    score = np.sum((y - p) * (1 - r) / (1 - p))
    information = np.sum(e * r * (1 - r) ** 2 / (1 - p))
    assert abs(score / information) < 3 / np.sqrt(information)
    assert 0.5 * np.sqrt(information) > 10


def test_tastes_turn_by_the_planned_angle(shop: Path) -> None:
    users = pl.read_parquet(shop / "truth/users.parquet")
    before, after = users["taste"].to_numpy(), users["taste_after_drift"].to_numpy()
    cosine = np.sum(before * after, axis=1) / np.linalg.norm(before, axis=1) / np.linalg.norm(after, axis=1)
    np.testing.assert_allclose(cosine, 0.0, atol=1e-5)


def test_clicks_follow_the_old_tastes_up_to_the_drift_and_the_new_ones_after(shown: pl.DataFrame) -> None:
    for since, follows, forgets in ((False, "taste", "taste_after_drift"), (True, "taste_after_drift", "taste")):
        part = shown.filter((pl.col("time").dt.date() >= DRIFT) == since)
        kind = part["kind"].to_numpy()
        liking = [np.sum(part[name].to_numpy() * kind, axis=1) for name in (follows, forgets)]
        weight = column(part, "examination")
        x = np.column_stack([*liking, np.ones(len(part))]) * weight[:, None]
        slope = np.linalg.lstsq(x, column(part, "clicked"), rcond=None)[0]
        error = np.sqrt(np.diag(np.linalg.inv(x.T @ x)) * 0.1)
        assert slope[0] > 15 * error[0]
        assert slope[0] > 5 * abs(slope[1])


def test_without_plants_the_truth_says_so(tmp_path: Path) -> None:
    simulate(tmp_path / "shop", ShopConfig(events=5_000, days=5))
    truth = json.loads((tmp_path / "shop/truth/truth.json").read_text())
    assert (truth["drift"], truth["broken"]) == (None, None)
    assert truth["treatment"]["relative_uplift_of_click_rate"] == pytest.approx(0.0, abs=1e-12)
    users = pl.read_parquet(tmp_path / "shop/truth/users.parquet")
    assert not users["treated"].any()
