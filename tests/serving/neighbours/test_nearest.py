"""The nearest by hand and against a full sort; what they lend."""

import numpy as np
import pytest

from components.contract.errors import InputError
from components.state.features import smoothed_rate
from serving.neighbours import nearest as module
from serving.neighbours.nearest import Neighbours, nearest
from serving.neighbours.neighbor_prior import lent_rates, on_evidence

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


def neighbours(rows: list[list[int]], similarity: list[list[float]]) -> Neighbours:
    return Neighbours(np.array(rows, np.int64).reshape(len(rows), -1), np.array(similarity, np.float32).reshape(len(rows), -1))


def test_neighbours_lend_their_mean_weighted_by_likeness() -> None:
    """(0.75 * 0.1 + 0.25 * 0.5) / 1 = 0.2; who is at a right angle or opposite lends nothing."""
    rates = np.array([0.1, 0.5, 0.9], np.float32)
    found = lent_rates(rates, neighbours([[0, 1, 2], [2, 0, 1]], [[0.75, 0.25, 0.0], [0.3, -0.9, -1]]), prior=0.07)
    assert found.tolist() == pytest.approx([0.2, 0.9])
    assert found.dtype == np.float32


def test_several_rates_are_lent_at_once() -> None:
    rates = np.array([[0.1, 1], [0.5, 3]], np.float32)
    assert lent_rates(rates, neighbours([[0, 1]], [[0.5, 0.5]]), prior=0.0).tolist() == [pytest.approx([0.3, 2])]


@pytest.mark.parametrize("alone", [neighbours([[]], [[]]), neighbours([[0]], [[0.0]]), neighbours([[0]], [[-0.5]])])
def test_a_product_that_is_like_no_other_gets_the_prior(alone: Neighbours) -> None:
    assert lent_rates(np.array([0.9], np.float32), alone, prior=0.25).tolist() == [0.25]
    assert lent_rates(np.array([[0.9, 0.8]], np.float32), alone, prior=0.25).tolist() == [[0.25, 0.25]]


def test_with_evidence_of_its_own_a_product_is_smoothed_by_what_was_lent() -> None:
    n, d = np.array([0, 1, 40], np.float32), np.array([0, 5, 100], np.float32)
    lent = np.array([0.3, 0.3, 0.3], np.float32)
    rates = smoothed_rate(n, d, prior=0.1, strength=20)
    found = on_evidence(rates, d, lent=lent, prior=0.1, strength=20)
    assert found.tolist() == pytest.approx([0.3, 7 / 25, 46 / 120], rel=1e-6)
