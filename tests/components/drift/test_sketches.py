import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from components.drift.sketch import category_sketch
from components.drift.sketch.category_sketch import CategorySketch
from components.drift.sketch.number_sketch import BINS, GROUPS, MISSING, NumberSketch, ascending_bins, bin_values
from components.drift.sketch.window_sketch import ColumnValues, RequestBlock, WindowSketch


def number_sketch(values: list[float], groups: list[int] | None = None, days: list[int] | None = None) -> NumberSketch:
    sketch = NumberSketch()
    size = len(values)
    sketch.add(np.array(values, np.float32), np.array(groups or [0] * size, np.uint8), np.array(days or [0] * size, np.int32))
    return sketch


def test_bins_ascend_with_their_values() -> None:
    assert sorted(ascending_bins()) == list(range(BINS))
    assert (np.diff(bin_values()[ascending_bins()]) >= 0).all()


@pytest.mark.parametrize("value", [1.0, -1.0, 3.14159, 1e-5, -250.0, 1e12])
def test_a_bin_is_within_three_percent_of_its_values(value: float) -> None:
    (bin_,) = np.flatnonzero(number_sketch([value]).counts[0])
    assert bin_values()[bin_] == pytest.approx(value, rel=0.03)


def test_nothing_is_counted_twice_or_lost_at_the_edges() -> None:
    values = [0.0, -0.0, 1e-30, -1e-30, np.inf, -np.inf, 3e38, np.nan, 2**-20, 2**44]
    sketch = number_sketch(values)
    assert sketch.counts.sum() == len(values)
    assert sketch.counts[0, MISSING] == 1
    assert sketch.counts[0, 0] == 4  # what is nearly 0, of either sign
    assert sum(each.sum() for each in sketch.by_day.values()) == len(values)


@given(arrays.arrays(np.float32, st.integers(0, 200), elements=st.floats(width=32, allow_nan=True)), st.integers(0, 200))
def test_numbers_of_two_parts_add_up_to_the_whole(values: np.ndarray, cut: int) -> None:
    groups = (np.arange(len(values)) % GROUPS).astype(np.uint8)
    days = (np.arange(len(values)) // 30).astype(np.int32)
    whole, first, second = NumberSketch(), NumberSketch(), NumberSketch()
    items = groups[::-1].copy()
    whole.add(values, groups, days, items)
    first.add(values[:cut], groups[:cut], days[:cut], items[:cut])
    second.add(values[cut:], groups[cut:], days[cut:], items[cut:])
    second.merge(first)
    np.testing.assert_array_equal(second.counts, whole.counts)
    np.testing.assert_array_equal(second.by_items, whole.by_items)
    assert second.by_day.keys() == whole.by_day.keys()
    for day, counts in whole.by_day.items():
        np.testing.assert_array_equal(second.by_day[day], counts)


def category(values: list[str | None], *, first: int = 0) -> CategorySketch:
    sketch = CategorySketch()
    rows = np.arange(first, first + len(values))
    sketch.add(pa.array(values, pa.string()), (rows % GROUPS).astype(np.uint8), (rows // 50).astype(np.int32))
    return sketch


def content(sketch: CategorySketch) -> dict[str, tuple[list[int], dict[int, int]]]:
    days = {day: counts.tolist() for day, counts in sketch.by_day.items()}
    return {
        value: (sketch.counts[row].tolist(), {day: counts[row] for day, counts in days.items() if counts[row]})
        for value, row in sketch.values.items()
    }


def test_missing_texts_are_counted_as_the_empty_value_and_are_no_category() -> None:
    sketch = category(["a", None, "", "a", "b"])
    assert sketch.counts[sketch.values[""]].sum() == 2
    assert sorted(sketch.kept(0)) == ["a", "b"]
    assert sketch.total.sum() == 5


def test_texts_of_parts_add_up_in_any_order_also_when_only_a_sample_of_values_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(category_sketch, "MOST_VALUES", 20)
    rng = np.random.default_rng(0)
    values = [f"v{i}" for i in rng.integers(0, 120, 600)]
    whole = category(values)
    parts = [category(values[i : i + 100], first=i) for i in range(0, 600, 100)]
    for order in (parts, parts[::-1]):
        merged = CategorySketch()
        for part in order:
            merged.merge(part)
        assert merged.bits == whole.bits > 0
        assert content(merged) == content(whole)
        assert merged.total.tolist() == whole.total.tolist()
        assert merged.day_total == whole.day_total
    assert len(whole.values) <= 20


def test_a_window_counts_each_value_in_its_requests_group_and_day() -> None:
    sketch = WindowSketch()
    block = RequestBlock(
        np.array([3, 64 + 3, 5], np.uint64),
        np.array([0, 86_400_000_000, 86_400_000_000 + 3_600_000_000]),
        [ColumnValues("price", np.array([1, 2, 2], np.float32), np.array([0, 1, 2]), np.array([7, 64 + 7, 8], np.uint64))],
    )
    sketch.add(block)
    price = sketch.columns["price"]
    assert isinstance(price, NumberSketch)
    assert price.counts.sum(axis=1)[[3, 5]].tolist() == [2, 1]
    assert price.by_items is not None
    assert price.by_items.sum(axis=1)[[7, 8]].tolist() == [2, 1]
    assert sketch.days == [0, 1]
    assert sketch.hours == {0: 1, 24: 1, 25: 1}
    kept = block.filtered(np.array([False, True, True]))
    assert kept.columns[0].requests.tolist() == [0, 1]
    assert kept.columns[0].values.tolist() == [2, 2]
    assert kept.columns[0].items is not None
    assert kept.columns[0].items.tolist() == [64 + 7, 8]
