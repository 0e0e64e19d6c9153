"""The tables that requests are joined with: each id once, typed by the features, missing where the table lacks it."""

import math
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from pydantic import TypeAdapter

from components.contract.features import Feature, GivenFeature
from components.contract.sources import Table
from components.ingest.counts import Counts
from components.ingest.tables.catalogue import ID, build_item_index, join_features, read_table


def feature(**columns: Any) -> GivenFeature:
    result: GivenFeature = TypeAdapter(Feature).validate_python({"side": "item", **columns})
    return result


PRICE = feature(name="price", kind="number", minimum=0)
TAGS = feature(name="tags", kind="multi", separator="|")
BRAND = feature(name="brand", kind="category", column="maker")
LOOK = feature(name="look", kind="vector", size=2)


def read(folder: Path, frame: pl.DataFrame, *features: GivenFeature, parts: int = 1) -> tuple[list[dict[str, Any]], Counts]:
    """The table's rows, and what was counted."""
    cut = -(-len(frame) // parts)
    for part in range(parts):
        frame[part * cut : (part + 1) * cut].write_parquet(folder / f"items-{part}.parquet", row_group_size=2)
    counts = Counts()
    return read_table(Table(path="items-*.parquet", id="id"), features, str(folder), counts).to_dicts(), counts


@pytest.mark.parametrize("parts", [1, 2, 3])
def test_of_an_id_that_stands_twice_the_last_row_counts_also_across_files(tmp_path: Path, parts: int) -> None:
    frame = pl.DataFrame({"id": ["a", "b", "a", "c", "b", "a"], "price": [1.0, 2, 3, 4, 5, 6]})
    rows, counts = read(tmp_path, frame, PRICE, parts=parts)
    assert sorted((row[ID], row["price"]) for row in rows) == [("a", 6), ("b", 5), ("c", 4)]
    assert counts.numbers == {"rows read": 6, "rows kept": 3, "left out: earlier rows of an id that stands twice": 3}


@pytest.mark.parametrize(
    ("ids", "read_as"),
    [
        ([1, 2], ["1", "2"]),
        ([1.0, 2.5], ["1", "2.5"]),  # a whole number that became a float on its way is itself again
        ([2.0**53 - 1, -3.0], ["9007199254740991", "-3"]),
        (["01", " 1"], ["01", "1"]),
        ([True, False], ["true", "false"]),
        ([["a", "b"], ["c"]], ["a b", "c"]),
        ([b"a", b"b"], ["a", "b"]),
    ],
)
def test_an_id_is_text(tmp_path: Path, ids: list[Any], read_as: list[str]) -> None:
    rows, _ = read(tmp_path, pl.DataFrame({"id": ids}))
    assert [row[ID] for row in rows] == read_as


def test_a_row_without_id_is_rejected(tmp_path: Path) -> None:
    rows, counts = read(tmp_path, pl.DataFrame({"id": ["a", None, ""], "maker": ["x", "y", "z"]}), BRAND)
    assert [(row[ID], row["brand"]) for row in rows] == [("a", "x")]
    assert counts.numbers["rejected: no id"] == 2
    assert [row["maker"] for row in counts.samples["no id"]] == ["y", "z"]


@pytest.mark.parametrize(
    ("values", "read_as"),
    [
        ([1.5, None, -1.0], [1.5, math.nan, math.nan]),
        (["1.5", "", "x"], [1.5, math.nan, math.nan]),
        ([0, 3, None], [0, 3, math.nan]),
        ([math.nan, 1e300, 2.0], [math.nan, math.nan, 2]),
    ],
)
def test_a_number_that_is_none_or_below_its_minimum_is_missing(tmp_path: Path, values: list[Any], read_as: list[float]) -> None:
    rows, _ = read(tmp_path, pl.DataFrame({"id": ["a", "b", "c"], "price": values}), PRICE)
    assert str([row["price"] for row in rows]) == str([float(value) for value in read_as])


def test_texts_lists_and_vectors_are_typed_by_their_features(tmp_path: Path) -> None:
    frame = pl.DataFrame({"id": ["a", "b"], "tags": [["new", "blue"], None], "maker": ["x", None], "look": [[1.0, None], None]})
    rows, _ = read(tmp_path, frame, TAGS, BRAND, LOOK)
    assert str(rows) == str(
        [
            {ID: "a", "tags": "new|blue", "brand": "x", "look": [1.0, math.nan]},
            {ID: "b", "tags": "", "brand": "", "look": [math.nan, math.nan]},
        ]
    )


TABLE = pl.DataFrame({ID: ["b", "a"], "price": [2.0, 1.0], "brand": ["y", "x"]}, schema_overrides={"price": pl.Float32})


def test_a_join_keeps_the_order_of_what_is_asked_and_fills_what_is_missing() -> None:
    result = join_features(pl.Series(["a", "?", "b", "a"]), TABLE, (PRICE, BRAND))
    assert result["known"].to_list() == [True, False, True, True]
    assert result["brand"].to_list() == ["x", "", "y", "x"]
    assert str(result["price"].to_list()) == str([1.0, math.nan, 2.0, 1.0])


def test_items_of_the_log_and_of_the_catalogue_are_numbered_in_the_order_of_their_ids() -> None:
    result = build_item_index(pl.Series(["c", "a"]), TABLE, (BRAND,))
    assert result.rows() == [("a", True, "x"), ("b", True, "y"), ("c", False, "")]


def test_without_a_catalogue_every_item_is_known() -> None:
    assert build_item_index(pl.Series(["c", "a", "c"]), None, ()).rows() == [("a", True), ("c", True)]
