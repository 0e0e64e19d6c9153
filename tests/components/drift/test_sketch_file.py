"""A sketch comes back from its file as it was, and adds up as if it had never been away."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from components.contract.errors import ShelfRankError
from components.drift.sketch import category_sketch
from components.drift.sketch.number_sketch import NumberSketch
from components.drift.sketch.sketch_file import read_sketch, write_sketch
from components.drift.sketch.window_sketch import ColumnValues, RequestBlock, WindowSketch

DAY_US = 86_400_000_000
TEXTS = st.lists(st.one_of(st.sampled_from(["", "a", "b", "é", '"']), st.text(max_size=4)), max_size=30)


def sketched(texts: list[str], seed: int) -> WindowSketch:
    """One request for each text, on four days with gaps between them, each with two numbers; the columns come in either order."""
    rng = np.random.default_rng(seed)
    n = len(texts)
    numbers = rng.normal(size=2 * n).astype(np.float32)
    numbers[rng.random(2 * n) < 0.1] = np.nan
    times = rng.choice([0, 1, 7, 11], size=n) * DAY_US + rng.integers(0, DAY_US, n)
    columns = (
        ColumnValues("price", numbers, np.repeat(np.arange(n), 2), rng.integers(0, 2**63, 2 * n).astype(np.uint64)),
        ColumnValues("age", numbers[:n], np.arange(n)),
        ColumnValues("brand", pa.array(texts, pa.string()), np.arange(n)),
    )
    sketch = WindowSketch()
    sketch.add(RequestBlock(rng.integers(0, 2**63, n).astype(np.uint64), times.astype(np.int64), columns[:: -1 if seed % 2 else 1]))
    return sketch


def content(sketch: WindowSketch) -> object:
    """All that a sketch holds, whatever the order in which it came."""
    columns: dict[str, object] = {}
    for name, column in sketch.columns.items():
        if isinstance(column, NumberSketch):
            by_items = None if column.by_items is None else column.by_items.tolist()
            columns[name] = (column.counts.tolist(), {day: counts.tolist() for day, counts in column.by_day.items()}, by_items)
        else:
            by_value = {value: column.counts[row].tolist() for value, row in column.values.items()}
            by_day = {(day, value): counts[row] for day, counts in column.by_day.items() for value, row in column.values.items()}
            columns[name] = (by_value, by_day, column.total.tolist(), column.day_total, column.bits)
    return columns, sketch.requests.tolist(), dict(sketch.hours)


def through_file(sketch: WindowSketch, file: Path) -> WindowSketch:
    write_sketch(sketch, file)
    return read_sketch(file)


def merged(*sketches: WindowSketch) -> WindowSketch:
    whole = WindowSketch()
    for sketch in sketches:
        whole.merge(sketch)
    return whole


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(first=TEXTS, second=TEXTS)
def test_merging_after_loading_is_merging_before(tmp_path: Path, first: list[str], second: list[str]) -> None:
    a, b = sketched(first, 1), sketched(second, 2)
    loaded = [through_file(each, tmp_path / "sketch.npz") for each in (a, b)]
    assert content(loaded[0]) == content(a)
    assert content(merged(*loaded)) == content(merged(a, b))


def test_a_sample_of_values_stays_the_same_sample(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(category_sketch, "MOST_VALUES", 20)
    sketch = sketched([f"value {i}" for i in range(200)], 3)
    loaded = through_file(sketch, tmp_path / "sketch.npz")
    assert loaded.columns["brand"].bits > 0  # type: ignore[union-attr]
    assert content(loaded) == content(sketch)


def test_equal_sketches_are_equal_bytes_in_whatever_order_they_were_filled(tmp_path: Path) -> None:
    a, b = sketched(["x", "y"], 1), sketched(["z", "x"], 2)
    write_sketch(merged(a, b), tmp_path / "one.npz")
    write_sketch(merged(b, a), tmp_path / "other.npz")
    assert (tmp_path / "one.npz").read_bytes() == (tmp_path / "other.npz").read_bytes()


def test_a_sketch_takes_a_small_part_of_its_size_in_memory(tmp_path: Path) -> None:
    sketch = sketched([f"value {i % 50}" for i in range(5_000)], 4)
    write_sketch(sketch, tmp_path / "sketch.npz")
    price = sketch.columns["price"]
    assert isinstance(price, NumberSketch)
    assert (tmp_path / "sketch.npz").stat().st_size < price.counts.nbytes / 10


def test_a_file_of_another_version_says_what_to_do(tmp_path: Path) -> None:
    file = tmp_path / "sketch.npz"
    write_sketch(sketched(["a"], 1), file)
    with np.load(file) as stored:
        arrays: dict[str, Any] = dict(stored)
    header = json.loads(bytes(arrays["header"])) | {"version": 2}
    np.savez(file, **arrays | {"header": np.frombuffer(json.dumps(header).encode(), np.uint8)})
    with pytest.raises(ShelfRankError, match=r"expected a sketch of version 1 .* got version 2 .*; make the release again"):
        read_sketch(file)


@pytest.mark.parametrize("content", [b"", b"no sketch", b"PK\x03\x04 no zip either"])
def test_what_is_no_sketch_is_refused_in_words(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "sketch.npz").write_bytes(content)
    with pytest.raises(ShelfRankError, match="expected the sketch of a window"):
        read_sketch(tmp_path / "sketch.npz")


def test_a_file_that_was_cut_off_is_refused_in_words(tmp_path: Path) -> None:
    file = tmp_path / "sketch.npz"
    write_sketch(sketched(["a", "b"], 1), file)
    file.write_bytes(file.read_bytes()[:-200])
    with pytest.raises(ShelfRankError, match="expected the sketch of a window"):
        read_sketch(file)
