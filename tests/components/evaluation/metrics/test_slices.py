"""A slice holds the requests, or the candidates, that have its values."""

import numpy as np
import pyarrow as pa
import pytest

from components.evaluation.metrics.slices import band_names, slices

BLOCK = pa.record_batch(
    {
        "device": pa.array([[b"ios"], [b"web"], None, [b"ios"]], pa.list_(pa.binary())),
        "hour": pa.array([[1], [2], [1], [2]], pa.list_(pa.int64())),
        "brand": pa.array([[b"a", b"b"], [b"a"], [], [b"", b"a"]], pa.list_(pa.binary())),
        "price": pa.array([[1.0, 5.0], [np.nan], [], [7.0, 20.0]], pa.list_(pa.float32())),
        "nothing": pa.nulls(4),
    }
)
ROW = np.array([0, 0, 1, 3, 3])


def found(*names: str) -> dict[object, list[int]]:
    cut = slices(BLOCK, names, bands={"price": (5, 20), "hour": (2,)} if "price" in names else {}, item_slices=["brand", "price"], row=ROW)
    return {key: places.tolist() for key, places in cut.items()}


def test_requests_are_cut_by_value_and_those_without_the_feature_are_in_no_slice() -> None:
    assert found() == {(): [0, 1, 2, 3]}
    assert found("device") == {(("device", "ios"),): [0, 3], (("device", "web"),): [1]}
    assert found("hour", "device") == {
        (("device", "ios"), ("hour", 1)): [0],
        (("device", "ios"), ("hour", 2)): [3],
        (("device", "web"), ("hour", 2)): [1],
    }
    assert found("nothing") == found("device", "nothing") == found("unknown") == {}


def test_candidates_are_cut_by_their_own_value_and_crossed_with_their_requests() -> None:
    assert found("brand") == {(("brand", ""),): [3], (("brand", "a"),): [0, 2, 4], (("brand", "b"),): [1]}
    assert found("device", "brand") == {
        (("brand", "a"), ("device", "ios")): [0, 4],
        (("brand", "b"), ("device", "ios")): [1],
        (("brand", "a"), ("device", "web")): [2],
        (("brand", ""), ("device", "ios")): [3],
    }


def test_numbers_are_cut_into_bands_and_a_missing_one_is_a_band_of_its_own() -> None:
    assert found("price") == {
        (("price", "below 5"),): [0],
        (("price", "5 to 20"),): [1, 3],
        (("price", "from 20"),): [4],
        (("price", ""),): [2],
    }


@pytest.mark.parametrize(
    ("cuts", "whole", "names"),
    [
        ((1, 3, 10), True, ["0", "1-2", "3-9", "10+"]),
        ((2,), True, ["0-1", "2+"]),
        ((5, 20.5), False, ["below 5", "5 to 20.5", "from 20.5"]),
    ],
)
def test_bands_are_named_by_what_is_in_them(cuts: tuple[float, ...], whole: bool, names: list[str]) -> None:
    assert band_names(cuts, whole=whole) == names
