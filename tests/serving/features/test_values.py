"""The cleaning of one value equals ingestion's cleaning of a column that holds it, on all that there is."""

import math
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from components.contract.errors import InputError
from components.contract.features import TEXT_LIMIT, Category, GivenFeature, Id, Multi, Number, Text, Vector
from components.contract.sources import Columns, EventSource
from components.contract.values.null_words import null_words
from components.ingest.counts import Counts
from components.ingest.sources.blocks import BLOCK_ROWS, FILE, ROW
from components.ingest.sources.feature_values import typed_values
from components.ingest.sources.null_words import without_null_words
from serving.features.values import numbers, texts, vectors

SOURCE = EventSource(path="f", columns=Columns(), null_values=("NULL", "nan", "-", "-1", "12", "0.5"))
NULLS = null_words(SOURCE, "f")
ID = Id(name="f", kind="id", side="context")
CATEGORY = Category(name="f", kind="category", side="context")
MULTI = Multi(name="f", kind="multi", side="context")
NUMBER = Number(name="f", kind="number", side="context", minimum=-2)
TEXT = Text(name="f", kind="text", side="context")
VECTOR = Vector(name="f", kind="vector", side="context", size=2)

WORDS = st.one_of(
    st.text(max_size=8),
    st.sampled_from(
        [" 12 ", "1e5", "+.5", "-0", "nan", "-INF", "infinity", "1_0", "٣", "0x1", "1,5", "5.", "5.0", "1.5e1", "NULL", " - ", "-1", " "]
    ),
)
FLOATS = st.one_of(
    st.sampled_from([-1.0, 0.5, 12.0]),
    st.floats(),
    st.floats(1e-9, 1e-3),
    st.integers(-(2**60), 2**60).map(float),
    st.decimals(-9, 9, places=3).map(float),
)
INTS = st.one_of(st.integers(-(2**63), 2**63 - 1), st.just(-1))


def as_ingested(feature: GivenFeature, values: list[Any], dtype: Any) -> pl.Series:
    # Beyond a file's first block a column without a single number is no error.
    frame = pl.DataFrame({FILE: ["f"] * len(values), ROW: range(BLOCK_ROWS, BLOCK_ROWS + len(values)), "f": pl.Series(values, dtype=dtype)})
    return typed_values(without_null_words(frame, ("f",), SOURCE, Counts()), (feature,), Counts())["f"]


def columns_of(words: Any, floats: Any, ints: Any) -> Any:
    """Columns of one type, with gaps, and that type."""
    each = [(words, pl.String), (floats, pl.Float64), (ints, pl.Int64), (st.booleans(), pl.Boolean)]
    return st.one_of(st.tuples(st.lists(st.one_of(st.none(), values), min_size=1, max_size=5), st.just(dtype)) for values, dtype in each)


@settings(max_examples=500, deadline=None)
@given(columns_of(WORDS, FLOATS, INTS))
@example(([1e-5, 1.5e-5, 1e-6, 1e16, 2.0**53, 2.0**53 - 1, -0.0, 5e-324, math.nan, math.inf], pl.Float64))
@example((["x" * (TEXT_LIMIT + 5), "ß" * (TEXT_LIMIT + 1)], pl.String))
@example(([" 108.0 ", "1.08e2", "12e5", "\t", "NULL", " NULL", "null", "-1.0"], pl.String))
@example(([-1, 12, 0], pl.Int64))
def test_text_is_as_ingested(column: tuple[list[Any], Any]) -> None:
    values, dtype = column
    for feature in (CATEGORY, TEXT):
        wanted = [text.encode() for text in as_ingested(feature, values, dtype)]
        assert texts(feature, values, words=NULLS).tolist() == wanted
        assert [text for value in values for text in texts(feature, [value], words=NULLS)] == wanted


@settings(max_examples=200, deadline=None)
@given(columns_of(WORDS.map(lambda word: f"x{word}"), st.floats(-(2.0**53) + 1, 2.0**53 - 1), INTS))
def test_an_id_is_as_ingested(column: tuple[list[Any], Any]) -> None:
    values, dtype = column
    assert texts(ID, values, words=NULLS).tolist() == [text.encode() for text in as_ingested(ID, values, dtype)]


def test_an_id_that_a_float_cannot_hold_is_refused_as_in_a_log() -> None:
    with pytest.raises(InputError, match=r"got floats such as 9007199254740992"):
        as_ingested(ID, [2.0**53], pl.Float64)
    with pytest.raises(InputError, match=r"got the float 9007199254740992.0"):
        texts(ID, [2.0**53])


@settings(max_examples=300, deadline=None)
@given(columns_of(*(st.lists(st.one_of(st.none(), kind), max_size=4) for kind in (WORDS, FLOATS, INTS))))
def test_lists_are_joined_as_ingested(column: tuple[list[Any], Any]) -> None:
    values, dtype = column
    if dtype != pl.Boolean:
        assert texts(MULTI, values, words=NULLS).tolist() == [text.encode() for text in as_ingested(MULTI, values, pl.List(dtype))]


@settings(max_examples=500, deadline=None)
@given(columns_of(WORDS, FLOATS, INTS))
@example(([2**53 + 1, 2**24 + 1, 16777217, -(2**63)], pl.Int64))
@example((["\x1f1", "\x851 ", "\u20037", "\u200b1", "3.4028236e38", "1e-50", "16777217.0000000001"], pl.String))
@example(([1e300, -1e300, math.nan, math.inf, -2.0, -2.0000001, 16777217.0000001], pl.Float64))
def test_numbers_are_as_ingested_bit_for_bit(column: tuple[list[Any], Any]) -> None:
    values, dtype = column
    wanted = as_ingested(NUMBER, values, dtype).to_numpy()
    single = np.concatenate([numbers(NUMBER, [value], words=NULLS) for value in values])
    for found in (numbers(NUMBER, values, words=NULLS), single):
        assert found.dtype == np.float32
        assert np.array_equal(found, wanted, equal_nan=True)
        assert np.array_equal(np.signbit(found[found == 0]), np.signbit(wanted[wanted == 0]))


def test_what_can_be_no_number_is_missing() -> None:
    assert np.isnan(numbers(NUMBER, ["cheap", "", None, "inf", math.inf, 10**400, -2.5, "-3"])).all()
    assert numbers(NUMBER, [True, 0, "2.5"]).tolist() == [1, 0, 2.5]


@settings(max_examples=100, deadline=None)
@given(st.lists(st.one_of(st.none(), st.lists(st.one_of(st.none(), FLOATS), min_size=2, max_size=2)), min_size=1, max_size=4))
def test_vectors_are_as_ingested(values: list[Any]) -> None:
    wanted = as_ingested(VECTOR, values, pl.List(pl.Float64)).to_numpy().reshape(-1, 2)
    assert np.array_equal(vectors(VECTOR, values), wanted, equal_nan=True)


@pytest.mark.parametrize(
    ("typed", "feature", "value", "complaint"),
    [
        (texts, CATEGORY, {"a": 1}, "f: expected text, a number, true or false, or a list of them, got dict"),
        (texts, MULTI, [["a"]], "got list"),
        (numbers, NUMBER, [1], "f: expected a number, or text that is one, got list"),
        (numbers, NUMBER, {}, "got dict"),
        (vectors, VECTOR, [1.0], "f: expected a list of 2 numbers, got list"),
        (vectors, VECTOR, "1,2", "got str"),
        (vectors, VECTOR, ["1", "2"], "got list"),
    ],
)
def test_a_value_of_a_wrong_type_is_refused(typed: Any, feature: GivenFeature, value: Any, complaint: str) -> None:
    with pytest.raises(InputError, match=complaint):
        typed(feature, [value])
