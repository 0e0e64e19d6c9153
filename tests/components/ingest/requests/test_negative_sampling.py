"""Negatives come from what others took soon after, each item as often as its popularity says; a draw depends on its request alone."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components.ingest.requests.negative_sampling import NegativeSample, draw_negatives, make_pools
from components.ingest.requests.splits import Bounds

DAY_US = 86_400_000_000
WINDOW = Bounds(train_us=0, eval_us=60 * DAY_US, test_us=70 * DAY_US, until_us=80 * DAY_US, gap_us=0)
TAKEN = [(4, 10), (4, 10), (4, 11), (5, 12), (5, 12), (6, 10), (6, 13), (61, 14), (90, 15)]  # day, item
Asked = tuple[int, int, int, int]  # request, salt, day, item


def drawn(
    rows: list[Asked],
    *,
    taken: list[tuple[int, int]] = TAKEN,
    negatives: int = 9,
    days: int = 30,
    weighted: bool = True,
    seed: int = 0,
    events_each: int | None = None,
) -> NegativeSample:
    takings = pl.DataFrame([(day * DAY_US, item) for day, item in taken], schema=["time", "item"], orient="row").sort("time", "item")
    schema = {"request": pl.Int64, "salt": pl.UInt64, "day": pl.Int64, "item": pl.Int64}
    asked = pl.DataFrame(rows, schema=schema, orient="row")
    asked = asked.with_columns(
        pl.col("day") * DAY_US, pl.lit(events_each).fill_null(pl.len().over("request")).cast(pl.Int64).alias("events")
    ).rename({"day": "time"})
    times = takings["time"].cast(pl.Int64).to_numpy()
    laid = make_pools(times, WINDOW, span_us=days * DAY_US)
    return draw_negatives(asked, takings["item"].cast(pl.Int64).to_numpy(), laid, negatives=negatives, weighted=weighted, seed=seed)


def items_of(result: NegativeSample) -> dict[int, list[int]]:
    """Request to its negatives."""
    items: dict[int, list[int]] = {}
    for request, item in result.negatives.iter_rows():
        items.setdefault(request, []).append(item)
    return items


@pytest.mark.parametrize("weighted", [True, False])
@pytest.mark.parametrize(
    ("day", "days", "pool"),
    [
        (1, 30, {10, 11, 12, 13}),
        (3, 1, {10, 11}),  # the next taking is on day 4, where the pool begins
        (3, 2, {10, 11, 12}),
        (4, 1, {12}),  # what is taken at the request's own moment is no later taking
        (5, 30, {10, 13}),
        (6, 30, set()),  # day 61 lies in another window of the split
        (60, 30, {14}),
        (61, 30, set()),
        (80, 30, set()),
        (81, 30, {15}),
        (90, 30, set()),
    ],
)
def test_negatives_are_taken_later_in_the_same_window(weighted: bool, day: int, days: int, pool: set[int]) -> None:
    seen: set[int] = set()
    for salt in range(40):
        seen |= set(items_of(drawn([(0, salt, day, 99)], days=days, weighted=weighted)).get(0, []))
    assert seen == pool


@pytest.mark.parametrize("weighted", [True, False])
def test_a_positive_is_no_negative_of_its_request(weighted: bool) -> None:
    seen: dict[int, set[int]] = {0: set(), 1: set()}
    for salt in range(40):
        result = items_of(drawn([(0, salt, 1, 10), (0, salt, 1, 12), (1, salt, 1, 13)], weighted=weighted))
        seen = {request: items | set(result.get(request, [])) for request, items in seen.items()}
    assert seen == {0: {11, 13}, 1: {10, 11, 12}}


@pytest.mark.parametrize("weighted", [True, False])
def test_as_many_are_drawn_as_wanted_of_each_positive_and_none_twice(weighted: bool) -> None:
    pool = [(3 + n % 7, n % 500) for n in range(2_000)]
    rows = [(0, 5, 2, 1), (1, 6, 2, 2), (1, 6, 2, 3), (1, 6, 2, 4)]
    result = items_of(drawn(rows, taken=pool, negatives=4, weighted=weighted))
    assert {request: len(items) for request, items in result.items()} == {0: 4, 1: 12}
    assert all(len(set(items)) == len(items) for items in result.values())


def test_an_item_is_drawn_so_often_that_the_lists_without_it_make_up_for_those_that_have_it() -> None:
    """Of shares 2/5, 2/5, 1/10 and 1/10 one negative for each positive: in (2/5) / (3/5) = 2/3 of the lists of others, the rest by 1/9.

    Here no list has them, so that all are lists of others: 2/3, 2/3, 1/9 and 1/9 in 14/9 but for what makes lists of one size right.
    """
    pool = [(5, item) for item in (1, 1, 1, 1, 2, 2, 2, 2, 3, 4)]
    result = items_of(drawn([(n, n * 7919, 4, 99) for n in range(20_000)], taken=pool, negatives=1))
    shares = [np.mean([items == [item] for items in result.values()]) for item in (1, 2, 3, 4)]
    # Lengths a, a, b, b that add up to 1 with 2/5 a / (1 - a) + 2 x 1/10 a / (1 - b) = 2/5: a = 0.4343, b = 0.0657.
    assert shares == pytest.approx([0.4343, 0.4343, 0.0657, 0.0657], abs=0.015)  # 4 standard deviations


def test_uniform_draws_each_item_of_the_pool_alike() -> None:
    result = items_of(drawn([(n, n * 7919, 1, 99) for n in range(20_000)], negatives=1, weighted=False))
    shares = [np.mean([items == [item] for items in result.values()]) for item in (10, 11, 12, 13)]
    assert shares == pytest.approx([0.25] * 4, abs=0.013)


@pytest.mark.parametrize(("basket", "negatives", "top"), [(1, 1, 0.4), (1, 4, 0.15), (1, 9, 0.3), (6, 4, 0.03), (6, 4, 0.2)])
def test_an_item_is_as_often_a_negative_as_its_positives_ask_for(basket: int, negatives: int, top: float) -> None:
    """Whatever its popularity: the top item has a share `top` of what is taken, the others share the rest.

    That the top item is left out of every list that has it as a positive, and stands once in a list however popular, would make it rarer
    among the negatives; where that can't be helped, because more lists would need it than there are, some of its positives are dropped.
    """
    draw, others = np.random.default_rng(1), 150
    law = np.array([top, *[(1 - top) / others] * others])
    pool = [(5, int(item)) for item in draw.choice(others + 1, 40_000, p=law)]
    baskets = [sorted(set(draw.choice(others + 1, basket, p=law).tolist())) for _ in range(12_000)]
    rows = [(n, n * 104_729, 4, item) for n, items in enumerate(baskets) for item in items]
    result = drawn(rows, taken=pool, negatives=negatives, events_each=basket)
    positive = np.array([item for (_, _, _, item), stays in zip(rows, result.kept, strict=True) if stays])
    negative = result.negatives["item"].to_numpy()
    assert (negative == 0).mean() == pytest.approx((positive == 0).mean(), rel=0.08)
    share = 1 - (1 - top) ** basket  # of the baskets that hold it
    asked_for = np.array([item for _, _, _, item in rows])
    stays = min(1.0, (1 - share) / (negatives * share))
    assert (positive == 0).sum() / (asked_for == 0).sum() == pytest.approx(stays, abs=0.04)
    assert (positive > 0).sum() == (asked_for > 0).sum()


def test_another_seed_draws_others() -> None:
    rows = [(n, n * 7919, 3, 99) for n in range(100)]
    first, again, other = (items_of(drawn(rows, negatives=1, seed=seed)) for seed in (1, 1, 2))
    assert first == again
    assert first != other


@pytest.mark.parametrize("weighted", [True, False])
@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 2**64 - 1), st.integers(1, 6), st.sets(st.integers(9, 14), min_size=1)), min_size=1, max_size=8))
def test_a_request_gets_the_same_among_others_as_alone(weighted: bool, asked: list[tuple[int, int, set[int]]]) -> None:
    rows = [(n, salt, day, item) for n, (salt, day, items) in enumerate(asked) for item in sorted(items)]
    together = drawn(rows, weighted=weighted, negatives=2)
    first = 0
    for n, (salt, day, items) in enumerate(asked):
        alone = drawn([(0, salt, day, item) for item in sorted(items)], weighted=weighted, negatives=2)
        assert items_of(together).get(n, []) == items_of(alone).get(0, [])
        assert together.kept[first : first + len(items)].tolist() == alone.kept.tolist()
        first += len(items)


def test_only_the_last_requests_of_a_window_have_nothing_later() -> None:
    times = np.arange(0, 80 * DAY_US, DAY_US // 100)
    laid = make_pools(times, WINDOW, span_us=30 * DAY_US)
    alone = times[laid.next_after(times) < 0]
    assert alone.tolist() == [60 * DAY_US - DAY_US // 100, 70 * DAY_US - DAY_US // 100, times[-1]]


def test_a_pool_begins_soon_after_its_requests() -> None:
    """Within an eighth of its span, where something is taken all the time."""
    times = np.arange(0, 60 * DAY_US, DAY_US // 100)
    laid = make_pools(times, WINDOW, span_us=2 * DAY_US)
    asked = times[:-1]
    wait = laid.start_us[laid.next_after(asked)] - asked
    assert wait.min() > 0
    assert wait.max() <= DAY_US // 4


def test_without_takings_nothing_is_drawn() -> None:
    for weighted in (True, False):
        result = drawn([(0, 5, 4, 10)], taken=[], weighted=weighted)
        assert len(result.negatives) == 0
        assert result.kept.tolist() == [True]
