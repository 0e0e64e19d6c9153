"""What the benchmark of cold starts calls good, by hand."""

import numpy as np
import pytest

from benchmarks.quality.cold_start import band, gained, pairs

RELEVANCE = np.array([0.1, 0.5, 0.3])


def test_the_best_order_gains_all_and_the_worst_loses() -> None:
    assert gained(RELEVANCE, RELEVANCE) == pytest.approx(1)
    assert gained(-RELEVANCE, RELEVANCE) < 0
    assert np.isnan(gained(RELEVANCE, np.ones(3)))


def test_pairs_count_each_candidate_against_the_others() -> None:
    assert pairs(RELEVANCE, RELEVANCE).tolist() == [1, 1, 1]
    assert pairs(np.array([0.1, 0.3, 0.5]), RELEVANCE).tolist() == [1, 1 / 2, 1 / 2]
    assert pairs(np.zeros(3), RELEVANCE).tolist() == [1 / 2, 1 / 2, 1 / 2]


def test_bands_hold_their_upper_ends() -> None:
    assert [band(number) for number in (0, 1, 2, 3, 20, 21)] == ["0", "1-2", "1-2", "3-5", "6-20", "more"]
