"""Negatives come from what was taken in the window before, by weight, without positives; a draw depends on its request alone."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components.ingest import sampling
from components.ingest.sampling import draw_negatives

DAY_S = 86_400.0
POPULARITY = pl.DataFrame({"day": [1, 1, 2, 3, 3], "item": [10, 11, 12, 10, 13], "taken": [3, 1, 4, 1, 1]})
Drawn = dict[int, list[int]]  # request to items


def positives(rows: list[tuple[int, int, int, int]]) -> pl.DataFrame:
    """request, salt, day, item."""
    schema = {"request": pl.Int64, "salt": pl.UInt64, "day": pl.Int64, "item": pl.Int64}
    return pl.DataFrame(rows, schema=schema, orient="row")


def drawn(
    rows: list[tuple[int, int, int, int]],
    *,
    popularity: pl.DataFrame = POPULARITY,
    negatives: int = 9,
    days: int = 30,
    weighted: bool = True,
    seed: int = 0,
) -> Drawn:
    found = draw_negatives(positives(rows), popularity, negatives=negatives, window_s=days * DAY_S, weighted=weighted, seed=seed)
    items: Drawn = {}
    for request, item in found.iter_rows():
        items.setdefault(request, []).append(item)
    return items


@pytest.mark.parametrize("weighted", [True, False])
@pytest.mark.parametrize(
    ("day", "days", "pool"),
    [
        (1, 30, set()),  # nothing was taken before the first day, and the request's own day doesn't count
        (2, 30, {10, 11}),
        (3, 30, {10, 11, 12}),
        (3, 1, {12}),
        (4, 1, {10, 13}),
        (4, 2, {10, 12, 13}),
        (5, 1, set()),
        (90, 30, set()),
    ],
)
def test_negatives_were_taken_in_the_days_before(weighted: bool, day: int, days: int, pool: set[int]) -> None:
    seen: set[int] = set()
    for salt in range(40):
        seen |= set(drawn([(0, salt, day, 99)], days=days, weighted=weighted).get(0, []))
    assert seen == pool


@pytest.mark.parametrize("weighted", [True, False])
def test_a_positive_is_no_negative_of_its_request(weighted: bool) -> None:
    rows = [(0, 5, 4, 10), (0, 5, 4, 12), (1, 6, 4, 13)]
    found = drawn(rows, weighted=weighted)
    assert set(found[0]) == {11, 13}
    assert set(found[1]) == {10, 11, 12}


def test_as_many_are_drawn_as_wanted_of_each_positive_and_none_twice() -> None:
    pool = pl.DataFrame({"day": [1] * 500, "item": list(range(500)), "taken": [1] * 500})
    rows = [(0, 5, 2, 1), (1, 6, 2, 2), (1, 6, 2, 3), (1, 6, 2, 4)]
    found = drawn(rows, popularity=pool, negatives=4)
    assert {request: len(items) for request, items in found.items()} == {0: 4, 1: 12}
    assert all(len(set(items)) == len(items) for items in found.values())


def test_popularity_weighs_by_how_often_an_item_was_taken_in_the_window() -> None:
    """On day 4 item 10 was taken four times, 12 as often, 11 and 13 once: of one draw, 4, 4, 1 and 1 in ten."""
    rows = [(n, n * 7919, 4, 99) for n in range(20_000)]
    firsts = np.array([items[0] for items in drawn(rows, negatives=1).values()])
    shares = [(firsts == item).mean() for item in (10, 11, 12, 13)]
    assert shares == pytest.approx([0.4, 0.1, 0.4, 0.1], abs=0.015)  # 4 standard deviations


def test_uniform_draws_each_item_of_the_window_alike() -> None:
    rows = [(n, n * 7919, 4, 99) for n in range(20_000)]
    firsts = np.array([items[0] for items in drawn(rows, negatives=1, weighted=False).values()])
    assert [(firsts == item).mean() for item in (10, 11, 12, 13)] == pytest.approx([0.25] * 4, abs=0.015)


def test_another_seed_draws_others() -> None:
    rows = [(n, n * 7919, 4, 99) for n in range(100)]
    first, again, other = (drawn(rows, negatives=1, seed=seed) for seed in (1, 1, 2))
    assert first == again
    assert first != other


@pytest.mark.parametrize("weighted", [True, False])
@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 2**64 - 1), st.integers(1, 6), st.sets(st.integers(9, 14), min_size=1)), min_size=1, max_size=8))
def test_a_request_gets_the_same_among_others_as_alone(weighted: bool, asked: list[tuple[int, int, set[int]]]) -> None:
    rows = [(n, salt, day, item) for n, (salt, day, items) in enumerate(asked) for item in sorted(items)]
    together = drawn(rows, weighted=weighted, negatives=2)
    for n, (salt, day, items) in enumerate(asked):
        alone = drawn([(0, salt, day, item) for item in sorted(items)], weighted=weighted, negatives=2)
        assert together.get(n, []) == alone.get(0, [])


def test_the_size_of_a_chunk_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [(n, n * 7919, 2 + n % 3, 99) for n in range(200)]
    whole = drawn(rows)
    monkeypatch.setattr(sampling, "CHUNK_WANTED", 50)
    assert drawn(rows) == whole


def test_without_popularity_nothing_is_drawn() -> None:
    assert drawn([(0, 5, 4, 10)], popularity=POPULARITY.clear()) == {}
    assert drawn([(0, 5, 4, 10)], popularity=POPULARITY.clear(), weighted=False) == {}
