"""Windows of time don't overlap, a gap lies before each boundary, and data without time is split by a hash."""

from datetime import UTC, datetime
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.contract.dataset import Windows
from components.ingest.requests.splits import AFTER, BEFORE, GAP, LEFT_OUT, SPLITS, Bounds, assign, assign_by_hash, bounds, label_window_us
from tests.components.ingest.generators.random_shops import SECOND, Shop, dataset_text, parsed

TRAIN, EVAL, TEST = range(3)
WINDOW = Bounds(train_us=100, eval_us=200, test_us=300, until_us=400, gap_us=10)


def us(moment: str) -> int:
    return int(datetime.fromisoformat(moment).replace(tzinfo=UTC).timestamp()) * SECOND


@pytest.mark.parametrize(
    ("time_us", "split"),
    [
        (99, BEFORE),
        (100, TRAIN),
        (189, TRAIN),  # its labels come up to 199
        (190, GAP),  # they might come at 200, when eval has begun
        (199, GAP),
        (200, EVAL),
        (289, EVAL),
        (290, GAP),
        (300, TEST),
        (390, TEST),  # the last event is of 400, so labels up to then are known
        (391, AFTER),
        (400, AFTER),
        (401, AFTER),
    ],
)
def test_a_request_belongs_to_the_window_that_its_labels_end_in(time_us: int, split: int) -> None:
    assert assign(np.array([time_us]), WINDOW).tolist() == [split]


def test_without_a_gap_windows_adjoin() -> None:
    window = Bounds(100, 200, 300, 400, gap_us=0)
    times = [99, 100, 199, 200, 299, 300, 400, 401]
    assert assign(np.array(times), window).tolist() == [BEFORE, TRAIN, TRAIN, EVAL, EVAL, TEST, TEST, AFTER]


def test_a_gap_longer_than_a_window_empties_it() -> None:
    window = Bounds(100, 200, 300, 400, gap_us=150)
    assert set(assign(np.arange(0, 500), window).tolist()) == {BEFORE, GAP, AFTER}


@given(
    st.lists(st.integers(0, 1000), min_size=4, max_size=4, unique=True).map(sorted),
    st.integers(0, 300),
    st.lists(st.integers(-100, 1100), min_size=1, max_size=50),
)
def test_splits_never_overlap_and_respect_the_gap(edges: list[int], gap: int, moments: list[int]) -> None:
    times = np.array(moments)
    split = assign(times, Bounds(*edges, gap_us=gap))
    train, evaluate, test = (times[split == index] for index in range(len(SPLITS)))
    assert (train >= edges[0]).all()
    assert (train + gap < edges[1]).all()
    assert ((edges[1] <= evaluate) & (evaluate + gap < edges[2])).all()
    assert ((edges[2] <= test) & (test + gap <= edges[3])).all()
    assert set(split[split < 0].tolist()) <= set(LEFT_OUT)
    # And nothing is left out without cause.
    inside = (times >= edges[0]) & (times <= edges[3])
    near = np.min([np.where(times < edge, edge - times, 1_000_000) for edge in (edges[1], edges[2], edges[3] + 1)], axis=0) <= gap
    assert ((split >= 0) == (inside & ~near)).all()


def windows_of(given_windows: dict[str, Any], **changes: Any) -> Bounds:
    """Of a log from the 2nd to the 12th of February."""
    dataset = parsed(dataset_text(Shop(**changes), windows=given_windows))
    return bounds(dataset, us("2026-02-02"), us("2026-02-12"))


def test_shares_are_of_the_time_span_from_its_end() -> None:
    result = windows_of({"eval": "20%", "test": "10%"})
    assert (result.train_us, result.eval_us, result.test_us, result.until_us) == tuple(
        us(day) for day in ("2026-02-02", "2026-02-09", "2026-02-11", "2026-02-12")
    )


def test_dates_are_taken_as_they_are_and_narrow_what_shares_are_of() -> None:
    dates = {"train": "2026-02-03", "eval": "2026-02-05", "test": "2026-02-07", "until": "2026-02-08"}
    assert windows_of(dates) == Bounds(*(us(day) for day in dates.values()), gap_us=20 * SECOND)
    mixed = windows_of({"train": "2026-02-03", "eval": "2026-02-05", "test": "10%", "until": "2026-02-08"})
    assert mixed.test_us == us("2026-02-07T12:00:00")  # a tenth of five days before the end


def test_a_training_window_of_a_length_ends_where_the_test_window_does_and_begins_no_earlier_than_the_log() -> None:
    rolling = windows_of({"train": "5d", "eval": "20%", "test": "20%"})
    assert rolling == Bounds(*(us(day) for day in ("2026-02-07", "2026-02-10", "2026-02-11", "2026-02-12")), gap_us=20 * SECOND)
    earlier = windows_of({"train": "5d", "eval": "20%", "test": "20%", "until": "2026-02-11"})
    assert (earlier.train_us, earlier.test_us) == (us("2026-02-06"), us("2026-02-10"))
    whole = {"eval": "20%", "test": "20%"}
    assert windows_of({"train": "4w", **whole}) == windows_of(whole)


def test_the_gap_is_as_long_as_labels_may_take_unless_the_file_says_otherwise() -> None:
    shares = {"eval": "20%", "test": "20%"}
    assert windows_of(shares, attribution_s=90).gap_us == 90 * SECOND
    assert windows_of({**shares, "gap": "5s"}, attribution_s=90).gap_us == 5 * SECOND
    assert windows_of({**shares, "gap": 0}, attribution_s=90).gap_us == 0
    assert windows_of(shares, form="sampling").gap_us == 0


def test_labels_of_sampled_candidates_stand_in_their_request() -> None:
    assert label_window_us(parsed(dataset_text(Shop(form="sampling")))) == 0
    assert label_window_us(parsed(dataset_text(Shop(form="list", attribution_s=5)))) == 5 * SECOND


def test_a_hash_gives_the_shares_and_keeps_each_request_where_it_is() -> None:
    windows = Windows(by="hash", eval="30%", test="20%")
    names = pl.Series([f"r{n}" for n in range(10_000)])
    split = assign_by_hash(names, windows, seed=1)
    shares = np.bincount(split, minlength=3) / len(names)
    assert shares == pytest.approx([0.5, 0.3, 0.2], abs=0.02)  # 4 standard deviations
    assert (assign_by_hash(names[::-1], windows, seed=1)[::-1] == split).all()
    assert (assign_by_hash(names, windows, seed=2) != split).mean() > 0.5


def test_a_larger_test_window_takes_what_was_evaluated_first() -> None:
    """Shares are stretches of one line, so that a request in the test window stays there as it grows."""
    names = pl.Series([f"r{n}" for n in range(1000)])
    small, large = (assign_by_hash(names, Windows(by="hash", eval="10%", test=share), seed=1) for share in ("10%", "30%"))
    assert (large[small == TEST] == TEST).all()
