"""One rule for what an id is as text: the same for a column of a log, of any type, and for one value that the service is sent."""

import math
from decimal import Decimal
from typing import Any

import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from components.contract.errors import InputError
from components.contract.values.id_text import BLANKS, id_of, id_text, is_rounded
from components.ingest.sources.id_text import ids_of, words_of

WHERE = "events.csv, column 'item'"


def ids(values: list[Any], dtype: Any = None) -> list[str]:
    return ids_of(pl.Series("item", values, dtype=dtype), where=WHERE).to_list()


ONE_ID = ["108", "108.0", "108.00", "108.", " 108 ", "\t108.0\u00a0", "1.08e2", "1.08E+02", "1.0800000000000000e+02"]


@pytest.mark.parametrize("text", ONE_ID)
def test_one_number_is_one_id_however_it_was_printed(text: str) -> None:
    assert id_text(text) == "108"
    assert ids([text, None, "7"]) == ["108", "", "7"]
    assert words_of(pl.Series([text])).to_list() == ["108"]


@pytest.mark.parametrize(
    ("values", "dtype"),
    [
        ([108], pl.Int64),
        ([108], pl.UInt8),
        ([108.0], pl.Float64),
        ([108.0], pl.Float32),
        ([Decimal("108.00")], pl.Decimal(20, 2)),
        ([Decimal("108")], pl.Decimal(38, 0)),
        (["108.0"], pl.String),
    ],
)
def test_one_number_is_one_id_in_columns_of_any_type(values: list[Any], dtype: Any) -> None:
    assert ids([*values, None], dtype) == ["108", ""]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("007", "007"),
        ("007.0", "007"),
        ("7.0", "7"),
        ("-0.0", "0"),
        ("-1.0", "-1"),
        ("1e+05", "100000"),  # as R prints 100000
        ("1.0E7", "10000000"),  # as Java does
        ("1.2345678E7", "12345678"),
        ("9007199254740991.0", "9007199254740991"),
        ("9007199254740993", "9007199254740993"),
        ("123456789012345678901234567890", "123456789012345678901234567890"),
        # Text that no float was ever printed as.
        ("12e5", "12e5"),
        ("1e5", "1e5"),
        ("5e10", "5e10"),
        ("12.5e+3", "12.5e+3"),
        ("1.5", "1.5"),
        ("1.5e-3", "1.5e-3"),
        ("+49301234", "+49301234"),
        ("1.0.0", "1.0.0"),
        ("a.0", "a.0"),
        (".0", ".0"),
        ("٣.0", "٣.0"),
        ("6ba7b810-9dad-11d1-80b4-00c04fd430c8", "6ba7b810-9dad-11d1-80b4-00c04fd430c8"),
        (" red mug ", "red mug"),
        ("", ""),
        (" ", ""),
    ],
)
def test_the_rule_case_by_case(text: str, wanted: str) -> None:
    assert id_text(text) == wanted
    assert ids([text, "x"]) == [wanted, "x"]


def test_hashes_that_look_like_exponents_stay_apart() -> None:
    assert ids(["12e5", "1200000", "1e6", "1000000", "1.5e+3", "1500"]) == ["12e5", "1200000", "1e6", "1000000", "1500", "1500"]


PARTS = st.sampled_from(
    ["0", "1", "08", "9007199254740992", "90071992547409920", ".", ".0", ".50", "e", "E", "+", "-", "e+0", "e5", " ", "\x1f", "\x85", "a"]
)


@settings(max_examples=400, deadline=None)
@given(st.lists(st.one_of(st.text(max_size=6), st.lists(PARTS, max_size=5).map("".join), st.floats().map(repr)), min_size=1, max_size=6))
@example(["9007199254740992.0", "x"])
@example(["1.23457e+15", "x"])
def test_a_column_is_what_its_values_are_one_by_one(texts: list[str]) -> None:
    # A text that is no number keeps rounded floats from being an error.
    assert ids([*texts, "x"]) == [id_text(text) for text in [*texts, "x"]]
    assert words_of(pl.Series(texts)).to_list() == [id_text(text) for text in texts]


@settings(max_examples=300, deadline=None)
@given(st.one_of(st.integers(-(2**53) + 1, 2**53 - 1), st.floats(-(2.0**53) + 1, 2.0**53 - 1)))
def test_a_json_number_is_the_id_that_a_column_of_it_has(value: float) -> None:
    assert [id_of(value)] == ids([value])
    value += 0.0  # a negative zero in a test of numbers is only a zero
    if value == math.floor(value):
        # However a float is printed without loss it is the id of its whole number.
        printed = [repr(float(value)), f"{value:.1f}", f"{value:.18e}", str(Decimal(value))]
        assert [id_text(each) for each in printed] == [str(int(value))] * 4


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=12))
def test_an_id_is_an_id_of_itself(text: str) -> None:
    once = id_text(text)
    assert id_text(once) == once
    assert once == once.strip(BLANKS)


@pytest.mark.parametrize(
    ("values", "dtype", "complaint"),
    [
        ([2.0**53, 1.0], pl.Float64, "got floats such as 9007199254740992: from 2\\^53 on ids that differ become one float"),
        ([-1e18], pl.Float64, "got floats such as -1000000000000000000"),
        ([16777216.0], pl.Float32, "got floats such as 16777216: from 2\\^24 on"),
        (["1.23457E+15", "108"], pl.String, "got '1.23457E\\+15', a number whose last digits are lost"),
        (["1.23457e+06", None], pl.String, "format its cells as text"),
        (["9007199254740992.0"], pl.String, "got '9007199254740992.0'"),
        (["1e+16", ""], pl.String, "got '1e\\+16'"),
    ],
)
def test_a_column_that_has_lost_digits_is_refused(values: list[Any], dtype: Any, complaint: str) -> None:
    with pytest.raises(InputError, match=f"events.csv, column 'item': expected ids, .*{complaint}"):
        ids(values, dtype)


def test_whole_numbers_of_any_length_are_kept() -> None:
    assert ids([2**63 - 1, -(2**63)], pl.Int64) == [str(2**63 - 1), str(-(2**63))]
    assert ids([2**64 - 1], pl.UInt64) == [str(2**64 - 1)]
    assert ids([Decimal(10**37 + 1)], pl.Decimal(38, 0)) == [str(10**37 + 1)]
    assert id_of(10**30 + 1) == str(10**30 + 1)


def test_a_json_float_that_is_no_id_for_sure_is_refused() -> None:
    with pytest.raises(InputError, match=r"expected an id, got the float 9007199254740992.0: .*; send it as text, or as a whole number"):
        id_of(2.0**53)
    assert id_of(1.5) == "1.5"
    assert [id_of(value) for value in (True, None, [1], math.inf)] == [True, None, [1], math.inf]


def test_rounded_texts_are_told_from_exact_ones() -> None:
    assert is_rounded("1.23457E+15")
    assert not is_rounded("1.23457E15")  # Java prints all digits
    assert not is_rounded("1.234567e+06")
    assert is_rounded("1.234567e+07")
