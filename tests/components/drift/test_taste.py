"""Who wants what is found to have changed though all scores, rates and shares are as before; and what else moves isn't that."""

import numpy as np
import pyarrow as pa
import pytest

from components.drift.comparison.taste_change import TasteChange, taste_change, taste_changes
from components.drift.faults.quality_faults import quality_reasons
from components.drift.sketch.quality_sums import BUCKETS, QualitySums, RankedLists, cells

PAIR = ("segment", "category")
SEGMENTS, KINDS, CANDIDATES = 6, 7, 10


def sums(seed: int, *, days: int, wants: np.ndarray, more: np.ndarray | None = None, per_day: int = 300) -> QualitySums:
    """Requests of 500 shoppers, each of a segment; a candidate's label is likelier by what its segment wants of its kind."""
    rng = np.random.default_rng(seed)
    size = days * per_day
    shopper = rng.integers(0, 500, size)
    segment, kind = np.repeat(shopper % SEGMENTS, CANDIDATES), rng.integers(0, KINDS, size * CANDIDATES)
    scores = rng.beta(2, 18, len(kind))
    labels = rng.random(len(kind)) < scores * wants[segment, kind] * (1 if more is None else more[kind])
    of = [pa.array([f"{name} {each}" for each in values]) for name, values in (("segment", segment), ("kind", kind))]
    hashes = np.random.default_rng(99).integers(0, 2**63, 500).astype(np.uint64)
    made = QualitySums()
    each = (np.zeros(size, np.int64), np.full(size, CANDIDATES), scores.astype(np.float32), labels.astype(np.float32))
    made.add(RankedLists(hashes[shopper], *each, {}, {PAIR: cells(*of)}))
    return made


@pytest.fixture(scope="module")
def wants() -> np.ndarray:
    return np.exp(0.5 * np.random.default_rng(0).normal(size=(SEGMENTS, KINDS)))


@pytest.fixture(scope="module")
def reference(wants: np.ndarray) -> QualitySums:
    return sums(1, days=14, wants=wants)


def change(reference: QualitySums, window: QualitySums) -> TasteChange:
    found = taste_change(reference.by_cell[PAIR], window.by_cell[PAIR])
    assert found is not None
    return found


def test_tastes_that_turned_are_sure_and_their_size_is_that_of_the_label_rates(reference: QualitySums, wants: np.ndarray) -> None:
    turned = change(reference, sums(2, days=4, wants=wants[::-1]))
    assert turned.p < 1e-4
    assert 0.15 < turned.size < 1.0  # some values share a cell


def test_the_same_tastes_alarm_as_often_as_promised(reference: QualitySums, wants: np.ndarray) -> None:
    p = np.array([change(reference, sums(seed, days=1, wants=wants)).p for seed in range(10, 110)])
    assert (p < 0.05).sum() <= 11  # of 100 at 5 %: more comes once in a hundred


def test_what_all_want_more_of_is_a_season_and_no_other_taste(reference: QualitySums, wants: np.ndarray) -> None:
    season = np.linspace(0.5, 1.6, KINDS)
    assert change(reference, sums(3, days=2, wants=wants, more=season)).p > 0.001


def test_parts_add_up_to_the_whole(wants: np.ndarray) -> None:
    first, second, whole = sums(4, days=1, wants=wants), sums(5, days=1, wants=wants), sums(4, days=1, wants=wants)
    whole.merge(second)
    assert whole.by_cell[PAIR] == pytest.approx(first.by_cell[PAIR] + second.by_cell[PAIR])


def test_a_cell_is_of_both_values_and_of_none_where_one_is_missing() -> None:
    found = cells(pa.array(["a", "a", "", None, "b"]), pa.array(["x", "x", "x", "x", ""]))
    assert found[0] == found[1] >= 0
    assert found[0] < BUCKETS**2
    assert found[2:].tolist() == [-1, -1, -1]


def test_it_is_named_where_features_hold(reference: QualitySums, wants: np.ndarray) -> None:
    tastes = taste_changes(reference, sums(2, days=4, wants=wants[::-1]))
    (reason,) = quality_reasons({}, tastes, {("taste", *PAIR)}, features_hold=True)
    assert (reason.kind, reason.subject) == ("changed taste", "ranking")
    assert "'category' by 'segment'" in reason.text
    assert quality_reasons({}, tastes, {("taste", *PAIR)}, features_hold=False) == []
    assert quality_reasons({}, tastes, set(), features_hold=True) == []
