"""Tables whose rows hold from a time on, or hold a property each: what stands in the table that requests are joined with."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from components.contract.errors import InputError
from components.contract.features import Feature, GivenFeature
from components.contract.sources import Table
from components.ingest.counts import Counts
from components.ingest.tables.catalogue import build_item_index, join_features_at, read_table
from components.ingest.tables.item_versions import ItemVersions, version_rows
from components.ingest.tables.table_rows import ID
from components.state.versions import FROM

DAY = 86_400_000_000


def feature(**options: Any) -> GivenFeature:
    made: GivenFeature = TypeAdapter(Feature).validate_python({"side": "item", **options})  # type: ignore[assignment]
    return made


PRICE = feature(name="price", kind="number", minimum=0)
BRAND = feature(name="brand", kind="category", column="maker")
LOOK = feature(name="look", kind="vector", size=2)
PRICES = Table(path="prices-*.csv", id="id", valid_from="since")
LONG = Table(path="long.csv", id="id", valid_from="at", property="property", value="value", number_prefix="n")


def read(folder: Path, table: Table, files: dict[str, str], *features: GivenFeature) -> tuple[pl.DataFrame, Counts]:
    for name, text in files.items():
        (folder / name).write_text(text)
    counts = Counts()
    return read_table(table, features, str(folder), counts), counts


def days(rows: pl.DataFrame) -> list[tuple[Any, ...]]:
    """Rows with their day of 1970 in place of the time."""
    return rows.with_columns(pl.col(FROM) // DAY).rows()


def test_rows_come_by_id_and_time_whatever_the_order_of_files(tmp_path: Path) -> None:
    new, old = "id,since,price\na,1970-01-03,7\nb,1970-01-02,1\n", "id,since,price\na,1970-01-01,5\n"
    rows, counts = read(tmp_path, PRICES, {"prices-1.csv": new, "prices-2.csv": old}, PRICE)
    assert days(rows) == [("a", 0, 5.0), ("a", 2, 7.0), ("b", 1, 1.0)]
    assert counts.numbers == {"rows read": 3, "rows kept": 3}


def test_of_rows_of_one_time_the_last_in_the_order_of_files_counts(tmp_path: Path) -> None:
    first, second = "id,since,price\na,1970-01-01,5\na,1970-01-01,6\n", "id,since,price\na,1970-01-01,7\n"
    rows, counts = read(tmp_path, PRICES, {"prices-2.csv": second, "prices-1.csv": first}, PRICE)
    assert days(rows) == [("a", 0, 7.0)]
    assert counts.numbers["left out: earlier rows of an id that stands twice at one time"] == 2


def test_a_row_that_repeats_what_held_before_it_is_left_out(tmp_path: Path) -> None:
    """5, 5, 7, 7, 5: three versions; a missing price equals a missing one; another id's row repeats nothing."""
    prices = ["5", "5", "7", "7", "5", "", ""]
    text = "id,since,price\n" + "".join(f"a,1970-01-0{day},{price}\n" for day, price in enumerate(prices, 1)) + "b,1970-01-01,\n"
    rows, counts = read(tmp_path, PRICES, {"prices-1.csv": text}, PRICE)
    assert str(days(rows)) == str([("a", 0, 5.0), ("a", 2, 7.0), ("a", 4, 5.0), ("a", 5, math.nan), ("b", 0, math.nan)])
    assert counts.numbers["left out: rows that repeat the values before them"] == 3
    assert counts.numbers["rows read"] == counts.numbers["rows kept"] + 3


def test_vectors_are_compared_number_by_number(tmp_path: Path) -> None:
    looks = [[1.0, 2.0], [1.0, 2.0], [1.0, None], [1.0, None], None]
    pl.DataFrame({"id": ["a"] * 5, "since": range(5), "look": looks}).write_parquet(tmp_path / "looks.parquet")
    rows = read_table(Table(path="looks.parquet", id="id", valid_from="since", time_unit="us"), (LOOK,), str(tmp_path), Counts())
    assert rows[FROM].to_list() == [0, 2, 4]


def test_a_row_without_a_time_is_rejected_and_shown(tmp_path: Path) -> None:
    rows, counts = read(tmp_path, PRICES, {"prices-1.csv": "id,since,price\na,1970-01-01,5\na,,6\na,soon,7\n"}, PRICE)
    assert days(rows) == [("a", 0, 5.0)]
    reason = "the time in column 'since' can't be parsed"
    assert counts.numbers[f"rejected: {reason}"] == 2
    assert [sample["price"] for sample in counts.samples[reason]] == ["6", "7"]


def test_a_file_without_any_time_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no time in column 'since' can be parsed, the first is 'soon'"):
        read(tmp_path, PRICES, {"prices-1.csv": "id,since,price\na,soon,7\n"}, PRICE)


def test_times_are_read_by_the_tables_own_zone_and_unit(tmp_path: Path) -> None:
    table = Table(path="prices-*.csv", id="id", valid_from="since", timezone="Europe/Berlin")
    rows, _ = read(tmp_path, table, {"prices-1.csv": "id,since,price\na,2026-07-01T02:00:00,5\n"}, PRICE)
    assert rows[FROM].to_list() == [1_782_864_000_000_000]  # midnight UTC
    table = Table(path="units.csv", id="id", valid_from="since", time_unit="s")
    rows, _ = read(tmp_path, table, {"units.csv": "id,since,price\na,86400,5\n"}, PRICE)
    assert days(rows) == [("a", 1, 5.0)]


PROPERTIES = """\
at,id,property,value
1970-01-02,a,790,n5.000
1970-01-01,a,maker,acme
1970-01-03,a,available,1
1970-01-04,a,790,n7.500
1970-01-04,a,maker,
1970-01-04,b,available,0
1970-01-02,c,maker,zeta
1970-01-05,a,790,n7.500
"""


def test_properties_become_versions_with_the_last_value_of_each(tmp_path: Path) -> None:
    price = feature(name="price", kind="number", column="790")
    rows, counts = read(tmp_path, LONG, {"long.csv": PROPERTIES}, price, BRAND)
    assert str(days(rows.filter(pl.col(ID) != "b"))) == str(
        [("a", 0, math.nan, "acme"), ("a", 1, 5.0, "acme"), ("a", 3, 7.5, ""), ("c", 1, math.nan, "zeta")]
    )
    # b has but a property that no feature reads: an item of the catalogue all the same, without a value.
    assert str(rows.filter(pl.col(ID) == "b").select("price", "brand").rows()) == str([(math.nan, "")])
    assert counts.numbers == {"rows read": 8, "rows kept": 6, "left out: rows of properties that no feature reads": 2}


def test_two_features_may_read_one_property(tmp_path: Path) -> None:
    both = (feature(name="price", kind="number", column="790"), feature(name="price_text", kind="category", column="790"))
    rows, counts = read(tmp_path, LONG, {"long.csv": PROPERTIES}, *both)
    assert days(rows.filter(pl.col(ID) == "a")) == [("a", 1, 5.0, "n5.000"), ("a", 3, 7.5, "n7.500")]
    assert counts.numbers["rows kept"] == 3


def test_without_times_the_last_row_of_a_property_counts(tmp_path: Path) -> None:
    table = Table(path="long.csv", id="id", property="property", value="value", number_prefix="n")
    rows, counts = read(tmp_path, table, {"long.csv": PROPERTIES}, feature(name="price", kind="number", column="790"), BRAND)
    assert str(rows.sort(ID).rows()) == str([("a", 7.5, ""), ("b", math.nan, ""), ("c", math.nan, "zeta")])
    assert counts.numbers["left out: earlier rows of a property that stands twice at one time"] == 3


def test_without_its_prefix_a_number_of_a_property_is_a_flaw(tmp_path: Path) -> None:
    table = Table(path="long.csv", id="id", valid_from="at", property="property", value="value")
    text = PROPERTIES.replace("n7.500", "7.5")
    rows, counts = read(tmp_path, table, {"long.csv": text}, feature(name="price", kind="number", column="790"))
    assert str([price for _, _, price in days(rows.filter(pl.col(ID) == "a"))]) == str([math.nan, 7.5])
    assert counts.numbers["kept as missing: price isn't a number"] == 1


def test_a_property_that_never_occurs_is_named_with_the_closest(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="expected rows of the property 'makr' in column 'property', found none; did you mean 'maker'"):
        read(tmp_path, LONG, {"long.csv": PROPERTIES}, feature(name="brand", kind="category", column="makr"))


def test_a_property_table_in_many_pieces_is_the_same_table(tmp_path: Path) -> None:
    price = feature(name="price", kind="number", column="790")
    whole, _ = read(tmp_path, LONG, {"long.csv": PROPERTIES}, price, BRAND)
    frame = pl.read_csv(tmp_path / "long.csv", infer_schema=False)
    (tmp_path / "long.csv").unlink()
    for at, row in enumerate(frame.iter_slices(1)):
        row.write_parquet(tmp_path / f"{at}.parquet")
    table = LONG.model_copy(update={"path": "*.parquet"})
    assert read_table(table, (price, BRAND), str(tmp_path), Counts()).equals(whole)


TABLE = pl.DataFrame(
    {ID: ["a", "a", "c"], FROM: [10, 20, 15], "price": [1.0, 2.0, 3.0], "brand": ["x", "y", "z"]}, schema_overrides={"price": pl.Float32}
)


def test_a_join_at_moments_takes_the_row_that_holds_and_nothing_of_the_future() -> None:
    ids, moments = pl.Series(["a", "a", "c", "?", "a"]), np.array([20, 19, 14, 99, 9])
    rows = join_features_at(ids, moments, TABLE, (PRICE, BRAND))
    assert rows["brand"].to_list() == ["y", "x", "", "", ""]
    assert str(rows["price"].to_list()) == str([2.0, 1.0, math.nan, math.nan, math.nan])
    assert rows["known"].to_list() == [True, True, True, False, True]
    assert rows["holds"].to_list() == [True, True, False, False, False]


def test_items_have_one_place_each_and_their_versions_apart() -> None:
    index = build_item_index(pl.Series(["b", "a"]), TABLE, (PRICE,))
    assert index.rows() == [("a", True), ("b", False), ("c", True)]
    versions = ItemVersions(version_rows(index["item"], TABLE, (PRICE,)))
    at = versions.at(np.array([0, 0, 1, 2, -1]), np.array([20, 9, 50, 15, 50]))
    pool, rows = versions.values(at)["price"]
    assert str(pool.gather(rows).to_list()) == str([2.0, math.nan, math.nan, 3.0, math.nan])
    assert (at == versions.missing).tolist() == [False, True, True, False, True]


VERSION = st.tuples(st.sampled_from("abc"), st.integers(0, 5), st.sampled_from(["1", "2", ""]), st.sampled_from(["x", "y", ""]))


def balanced(counts: Counts) -> bool:
    """Whether what becomes of the rows adds up to those that were read."""
    read = counts.numbers["rows read"]
    return read == sum(n for name, n in counts.numbers.items() if name.startswith(("rows kept", "left out: ", "rejected: ")))


@settings(max_examples=40, deadline=None)
@given(rows=st.lists(VERSION, min_size=1, max_size=15), cuts=st.integers(1, 3))
def test_any_rows_in_any_files_give_what_a_look_through_all_of_them_gives(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, int, str, str]], cuts: int
) -> None:
    folder = tmp_path_factory.mktemp("table")
    size = -(-len(rows) // cuts)
    for part in range(cuts):
        text = "".join(f"{who},{since},{price},{maker}\n" for who, since, price, maker in rows[part * size : (part + 1) * size])
        (folder / f"prices-{part}.csv").write_text("id,since,price,maker\n" + text)
    table, counts = PRICES.model_copy(update={"time_unit": "us"}), Counts()
    result = read_table(table, (PRICE, BRAND), str(folder), counts)
    assert balanced(counts)
    asked = [(who, moment) for who in "abcd" for moment in range(-1, 7)]
    values = join_features_at(pl.Series([who for who, _ in asked]), np.array([moment for _, moment in asked]), result, (PRICE, BRAND))
    for (who, moment), price, brand in zip(asked, values["price"], values["brand"], strict=True):
        holding = [(since, at) for at, (other, since, _, _) in enumerate(rows) if other == who and since <= moment]
        wanted = rows[max(holding)[1]][2:] if holding else ("", "")
        assert (str(price), brand) == (str(float(wanted[0] or "nan")), wanted[1])


PROPERTY = st.tuples(st.sampled_from("ab"), st.integers(0, 5), st.sampled_from(["price", "maker", "size"]), st.sampled_from(["1", "2", ""]))


@settings(max_examples=40, deadline=None)
@given(rows=st.lists(PROPERTY, max_size=20))
def test_any_properties_give_the_last_value_of_each(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, int, str, str]]
) -> None:
    rows = [*rows, ("z", 0, "price", "9"), ("z", 0, "maker", "z")]  # each property occurs
    folder = tmp_path_factory.mktemp("table")
    (folder / "long.csv").write_text("id,at,property,value\n" + "".join(",".join(map(str, row)) + "\n" for row in rows))
    table, counts = LONG.model_copy(update={"time_unit": "us"}), Counts()
    result = read_table(table, (PRICE, BRAND), str(folder), counts)
    assert balanced(counts)
    asked = [(who, moment) for who in "abz" for moment in range(-1, 7)]
    values = join_features_at(pl.Series([who for who, _ in asked]), np.array([moment for _, moment in asked]), result, (PRICE, BRAND))

    def last(who: str, moment: int, name: str) -> str:
        holding = [(since, at) for at, (other, since, key, _) in enumerate(rows) if (other, key) == (who, name) and since <= moment]
        return rows[max(holding)[1]][3] if holding else ""

    for (who, moment), price, brand in zip(asked, values["price"], values["brand"], strict=True):
        assert (str(price), brand) == (str(float(last(who, moment, "price") or "nan")), last(who, moment, "maker"))
    assert values["known"].to_list() == [any(other == who for other, *_ in rows) for who, _ in asked]
