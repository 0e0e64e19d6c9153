"""The nearest by hand and against a full sort."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from benchmarks.serving.neighbours import main
from components.contract.errors import InputError
from serving.neighbours import nearest as module
from serving.neighbours.nearest import nearest

PLANE = np.array([[1, 0], [0, 1], [0.6, 0.8], [-1, 0], [0.8, 0.6]], np.float32)


def test_the_nearest_by_hand() -> None:
    found = nearest(PLANE, np.array([[1, 0], [0, 1]], np.float32), count=3)
    assert found.rows.tolist() == [[0, 4, 2], [1, 2, 4]]
    assert found.similarity.tolist() == pytest.approx(np.array([[1, 0.8, 0.6], [1, 0.8, 0.6]]))


def test_equally_near_ones_go_by_row() -> None:
    same = np.repeat(PLANE[:1], 9, axis=0)
    assert nearest(np.concatenate([PLANE[1:2], same]), PLANE[:1], count=4).rows.tolist() == [[1, 2, 3, 4]]


def test_where_there_are_fewer_all_are_neighbours() -> None:
    assert nearest(PLANE, PLANE[:1], count=99).rows.tolist() == [[0, 4, 2, 1, 3]]
    assert nearest(PLANE[:0], PLANE[:2], count=3).rows.shape == (2, 0)
    assert nearest(PLANE, PLANE[:0], count=3).rows.shape == (0, 3)


@pytest.mark.parametrize("count", [1, 7, 64, 500])
@pytest.mark.parametrize("chunk", [1, 50, 64, 1000])
def test_in_chunks_it_is_the_same_as_a_full_sort(monkeypatch: pytest.MonkeyPatch, chunk: int, count: int) -> None:
    """Whole numbers, so that sums are exact and ties are many."""
    rng = np.random.default_rng(0)
    catalogue, queries = rng.integers(-2, 3, (300, 4)).astype(np.float32), rng.integers(-2, 3, (5, 4)).astype(np.float32)
    monkeypatch.setattr(module, "ROWS", chunk)
    found = nearest(catalogue, queries, count=count)
    similarity = queries @ catalogue.T
    wanted = np.argsort(-similarity, axis=1, kind="stable")[:, :count]
    assert np.array_equal(found.rows, wanted)
    assert np.array_equal(found.similarity, np.take_along_axis(similarity, wanted, 1))


def test_vectors_of_another_width_are_refused() -> None:
    with pytest.raises(InputError, match="expected queries of 2 numbers, as the catalogue has, got 3"):
        nearest(PLANE, np.zeros((1, 3), np.float32), count=1)
    with pytest.raises(InputError, match="expected at least one neighbour to be asked for, got 0"):
        nearest(PLANE, PLANE, count=0)


def test_the_benchmark_runs(tmp_path: Path) -> None:
    main(["--products", "500", "--queries", "1", "3", "--json", str(tmp_path / "rows.json")])
    assert len(pl.read_json(tmp_path / "rows.json")) == 2
