"""Which version holds at a moment: by hand, and against a search through all of them."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from components.state.versions import Versions

VERSION = st.tuples(st.integers(0, 4), st.integers(-3, 12))


def test_a_version_holds_from_its_own_microsecond_on_until_the_next_of_its_key() -> None:
    versions = Versions(np.array([0, 0, 2]), np.array([10, 20, 15]))
    moments = [9, 10, 19, 20, 99]
    assert versions.rows(np.zeros(5, np.int64), np.array(moments)).tolist() == [-1, 0, 0, 1, 1]
    assert versions.rows(np.full(5, 2), np.array([14, 15, 16, 99, -5])).tolist() == [-1, 2, 2, 2, -1]
    assert versions.rows(np.array([1, 3, -1]), 99).tolist() == [-1, -1, -1]


def test_without_versions_nothing_holds() -> None:
    empty = np.zeros(0, np.int64)
    assert Versions(empty, empty).rows(np.array([0, 5]), 3).tolist() == [-1, -1]
    assert Versions(empty, empty).period(3) == 0


def test_the_period_changes_exactly_where_a_version_begins() -> None:
    versions = Versions(np.array([0, 0, 1]), np.array([10, 20, 10]))
    assert [versions.period(at) for at in (9, 10, 19, 20)] == [0, 1, 1, 2]


@given(st.sets(VERSION, max_size=20), st.lists(st.tuples(st.integers(-1, 6), st.integers(-5, 15)), max_size=30))
def test_the_newest_version_not_after_the_moment_holds(rows: set[tuple[int, int]], asked: list[tuple[int, int]]) -> None:
    ordered = sorted(rows)
    keys, times = (np.array([pair[side] for pair in ordered], np.int64) for side in (0, 1))
    found = Versions(keys, times).rows(*(np.array([pair[side] for pair in asked], np.int64) for side in (0, 1)))
    wanted = [
        max((at for at, (key, since) in enumerate(ordered) if key == wanted and since <= moment), default=-1) for wanted, moment in asked
    ]
    assert found.tolist() == wanted
