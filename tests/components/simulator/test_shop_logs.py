from pathlib import Path

import numpy as np
import polars as pl
import pytest

from components.simulator import ShopConfig, ShopSummary, simulate
from components.simulator.season import visit_share

CONFIG = ShopConfig(events=60_000, days=20, seed=3)
FOLLOWS = {"click": "impression", "cart": "click", "purchase": "cart"}


@pytest.fixture(scope="module")
def summary(tmp_path_factory: pytest.TempPathFactory) -> ShopSummary:
    return simulate(tmp_path_factory.mktemp("logs") / "shop", CONFIG)


@pytest.fixture(scope="module")
def events(summary: ShopSummary) -> pl.DataFrame:
    return pl.read_parquet(summary.out / "events/*.parquet")


@pytest.fixture(scope="module")
def shown(events: pl.DataFrame) -> pl.DataFrame:
    return events.filter(pl.col("action") == "impression")


def test_the_target_number_of_events_is_met(summary: ShopSummary, events: pl.DataFrame) -> None:
    assert len(events) == sum(summary.events.values())
    assert abs(len(events) - CONFIG.events) < 0.02 * CONFIG.events
    assert dict(events.group_by("action").len().iter_rows()) == summary.events
    assert events["request_id"].n_unique() == summary.requests
    assert events["session_id"].n_unique() == summary.sessions


def test_between_8_and_12_in_a_hundred_impressions_are_clicked(summary: ShopSummary) -> None:
    assert 0.08 < summary.click_rate < 0.12
    assert summary.click_rate == summary.events["click"] / summary.events["impression"]


def test_rows_are_in_order_of_time_from_the_first_day_on(events: pl.DataFrame) -> None:
    assert events["time"].is_sorted()
    assert events.schema["time"] == pl.Datetime("us", "UTC")
    first_search, last_session = events["time"][0], events.group_by("session_id").agg(pl.col("time").min())["time"].max()
    assert first_search.date() == CONFIG.start
    assert last_session.date() < CONFIG.end


def test_sessions_that_run_over_the_hour_keep_the_log_in_order(tmp_path: Path) -> None:
    simulate(tmp_path / "shop", ShopConfig(events=60_000, days=2, shoppers=3_000))
    events = pl.read_parquet(tmp_path / "shop/events/*.parquet")
    sessions = events.group_by("session_id").agg(begun=pl.col("time").min(), ended=pl.col("time").max())
    over = sessions.filter(pl.col("begun").dt.truncate("6h") != pl.col("ended").dt.truncate("6h"))
    assert len(over) >= 10
    assert events["time"].is_sorted()


@pytest.mark.parametrize("action", FOLLOWS)
def test_nothing_happens_without_what_it_follows_from(events: pl.DataFrame, action: str) -> None:
    same = ["user_id", "item_id", "request_id", "session_id", "position", "price", "device", "country", "page"]
    later = events.filter(pl.col("action") == action)
    earlier = events.filter(pl.col("action") == FOLLOWS[action]).select(*same, before="time")
    pairs = later.join(earlier, on=same, how="inner")
    assert len(later) == len(pairs) == later.select(same).n_unique() > 100
    assert (pairs["time"] > pairs["before"]).all()
    assert (pairs["time"] - pairs["before"]).max().total_seconds() < 30 * 60


def test_a_request_shows_distinct_products_at_one_moment_at_positions_from_0(shown: pl.DataFrame) -> None:
    requests = shown.group_by("request_id").agg(
        pl.len(),
        pl.col("item_id", "time", "query", "page", "session_id", "user_id").n_unique(),
        pl.col("position").sort().alias("positions"),
    )
    assert (requests["item_id"] == requests["len"]).all()
    assert (requests.select("time", "query", "page", "session_id", "user_id") == 1).to_numpy().all()
    assert requests["positions"].to_list() == [list(range(n)) for n in requests["len"]]
    assert (requests["len"].min(), requests["len"].max()) >= (10, 15)
    assert requests["len"].max() <= 20


def test_a_request_of_the_search_page_comes_within_a_second_of_its_search(events: pl.DataFrame, shown: pl.DataFrame) -> None:
    searches = events.filter(pl.col("action") == "search")
    answers = shown.filter(pl.col("position") == 0).join(searches.select("request_id", "query", asked="time"), on=["request_id", "query"])
    assert len(answers) == len(searches) == shown.filter(pl.col("page") == "search")["request_id"].n_unique()
    assert ((answers["time"] - answers["asked"]).dt.total_microseconds().is_between(1, 1_000_000)).all()


def test_columns_are_empty_just_where_they_have_no_meaning(events: pl.DataFrame) -> None:
    action = pl.col("action")
    assert events.select((pl.col("item_id", "position", "price").is_null() == (action == "search")).all()).row(0) == (True,) * 3
    assert events.select((pl.col("revenue").is_null() == (action != "purchase")).all()).item()
    asked = (pl.col("page") == "search") & action.is_in(["search", "impression"])
    assert events.select((pl.col("query").is_null() != asked).all()).item()
    assert events.filter(action == "purchase").select((pl.col("revenue") == pl.col("price")).all()).item()
    assert events.select("user_id", "request_id", "session_id", "device", "country", "page").null_count().sum_horizontal().item() == 0


def test_no_two_moments_of_a_shopper_tie(events: pl.DataFrame) -> None:
    others = events.filter(pl.col("action") != "impression").select("user_id", "time")
    requests = events.filter(pl.col("action") == "impression").select("user_id", "time", "request_id").unique().select("user_id", "time")
    assert not pl.concat([others, requests]).is_duplicated().any()


def test_moments_of_a_session_are_numbered_in_their_last_digits(events: pl.DataFrame) -> None:
    """Which is why they can't tie, however many there are."""
    moment = pl.col("time").dt.epoch("us") % 4_096
    alone = events.filter(pl.col("action") != "impression").select("session_id", moment=moment)
    requests = events.filter(pl.col("action") == "impression").group_by("session_id", "request_id").agg(moment=moment.first())
    assert not pl.concat([alone, requests.select("session_id", "moment")]).is_duplicated().any()


def test_sessions_of_a_shopper_lie_more_than_half_an_hour_apart_and_hold_no_such_gap(events: pl.DataFrame) -> None:
    gaps = events.sort("user_id", "time").select(
        same_user=pl.col("user_id") == pl.col("user_id").shift(),
        same_session=pl.col("session_id") == pl.col("session_id").shift(),
        seconds=pl.col("time").diff().dt.total_seconds(),
    )
    assert gaps.filter("same_session")["seconds"].max() < 30 * 60
    assert gaps.filter(pl.col("same_user") & ~pl.col("same_session"))["seconds"].min() > 30 * 60


def test_nobody_comes_and_nothing_is_shown_before_it_is_created(summary: ShopSummary, events: pl.DataFrame) -> None:
    users, items = (pl.read_parquet(summary.out / f"{name}.parquet") for name in ("users", "items"))
    came = events.join(users.select("user_id", "created"), on="user_id", how="left")
    put = events.filter(pl.col("item_id").is_not_null()).join(items.select("item_id", "created"), on="item_id", how="left")
    for joined in (came, put):
        assert joined["created"].null_count() == 0
        assert (joined["time"] > joined["created"]).all()
    for new, known in ((came, users), (put, items)):
        arrived_later = known.filter(pl.col("created").dt.date() > CONFIG.start)
        assert 0.2 < len(arrived_later) / len(known) < 0.45
        assert (new["created"].dt.date() > CONFIG.start).any()


def test_each_product_has_its_row(summary: ShopSummary) -> None:
    items = pl.read_parquet(summary.out / "items.parquet")
    assert (items["item_id"].n_unique(), items["item_id"].null_count()) == (CONFIG.n_products, 0)
    assert items["tags"].str.split("|").list.len().is_between(1, 8).all()
    assert (items["price"] > 0).all()


def test_visits_follow_the_hours_of_the_day_and_the_days_of_the_week(events: pl.DataFrame) -> None:
    begun = events.group_by("session_id").agg(pl.col("time").min())["time"]
    share = visit_share(CONFIG.start_us, 24 * CONFIG.days).reshape(CONFIG.days, 24)
    by_hour = np.bincount(begun.dt.hour(), minlength=24)
    by_weekday = np.bincount(begun.dt.weekday() - 1, minlength=7)
    weekday = np.arange(CONFIG.days) % 7  # the log begins on a Monday
    for counted, due in ((by_hour, share.sum(axis=0)), (by_weekday, np.bincount(weekday, weights=share.sum(axis=1)))):
        expected = due * len(begun)
        assert np.all(np.abs(counted - expected) < 4 * np.sqrt(expected) + 0.02 * expected)
    assert share.sum() == pytest.approx(1.0)


def test_candidates_of_a_fixed_number(tmp_path: Path) -> None:
    simulate(tmp_path / "shop", ShopConfig(events=5_000, days=5, candidates=(12, 12)))
    shown = pl.read_parquet(tmp_path / "shop/events/*.parquet").filter(pl.col("action") == "impression")
    assert set(shown.group_by("request_id").len()["len"]) == {12}


def test_products_leave_after_their_days_but_for_the_newest_of_a_category(tmp_path: Path) -> None:
    config = ShopConfig(events=60_000, days=20, seed=3, products=2_400, product_days=90)
    simulate(tmp_path / "shop", config)
    items = pl.read_parquet(tmp_path / "shop/items.parquet").select("item_id", "category", "created")
    shown = pl.read_parquet(tmp_path / "shop/events/*.parquet").filter(pl.col("action") == "impression")
    ages = shown.join(items, on="item_id").select(age=pl.col("time") - pl.col("created"))["age"].dt.total_hours() / 24
    assert 89 < ages.max() < 91
    few = ShopConfig(events=60_000, days=20, seed=3, products=240, product_days=1)
    simulate(tmp_path / "few", few)
    sold = pl.read_parquet(tmp_path / "few/events/*.parquet").filter(pl.col("action") == "impression")["item_id"].n_unique()
    assert sold >= 12 * 10
