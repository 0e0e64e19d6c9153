"""Words for nothing are missing values: in roles, features, tables and numbers; counted by column and word, and no others are."""

from pathlib import Path
from typing import Any

import polars as pl
import pytest

from components.contract.errors import DatasetFileError
from components.contract.load import parse_dataset
from components.contract.sources import DEFAULT_WORDS, Columns, EventSource, Table
from components.contract.values.null_words import feature_words, is_null_word, null_words, number_words, role_words
from components.ingest.counts import Counts
from components.ingest.sources.null_words import without_null_words
from tests.components.ingest.generators.plain_shop import ITEMS, SHOP, USERS, as_json_lines, requests, run_ingest, shop, write
from tests.components.ingest.generators.random_shops import everything

GUESTS = SHOP.replace("  columns: {time", "  missing_user: guest\n  columns: {time")
NULL_WORDS = [*DEFAULT_WORDS, " ", "\t", " NULL "]


def source(**further: Any) -> EventSource:
    return EventSource(path="events.csv", columns=Columns(user="user", item="item"), **further)


def spoilt(word: str) -> list[dict[str, Any]]:
    """The shop's events; those of u2 are of nobody, on no page, at no price."""
    return [row if row["user"] != "u2" else row | {"user": word, "page": word, "shown_price": word} for row in requests()]


@pytest.mark.parametrize("word", NULL_WORDS)
def test_a_word_for_nothing_is_what_an_empty_field_is(tmp_path: Path, word: str) -> None:
    for name in ("words", "empty"):
        folder = tmp_path / name
        folder.mkdir()
        none = word if name == "words" else ""
        items = [ITEMS[0] | {"title": none, "price": none}, *ITEMS[1:]]
        users = [USERS[0] | {"age": none}, *USERS[1:]]
        shop(folder, events=spoilt(none), items=items, users=users)
    with_words, empty = run_ingest(tmp_path / "words", GUESTS), run_ingest(tmp_path / "empty", GUESTS)
    assert repr(everything(with_words.made.examples)) == repr(everything(empty.made.examples))
    shown = f"'{word.strip()}'" if word.strip() else "blanks"
    counted = {name: number for name, number in with_words.counts.items() if "null_values" in name}
    assert counted == {
        f"kept as missing by `null_values`: user = {shown}": 18,
        f"kept as missing by `null_values`: page = {shown}": 18,
        f"kept as missing by `null_values`: shown_price = {shown}": 18,
        f"items: kept as missing by `null_values`: title = {shown}": 1,
        f"items: kept as missing by `null_values`: price = {shown}": 1,
        f"users: kept as missing by `null_values`: age = {shown}": 1,
    }
    assert {**with_words.counts, **empty.counts} == with_words.counts
    assert with_words.samples[f"as missing by `null_values`: user = {shown}"][0]["row"] == "6"


def test_json_lines_have_the_same_words(tmp_path: Path) -> None:
    shop(tmp_path)
    write(tmp_path, "events.jsonl", as_json_lines(spoilt("undefined")))
    counts = run_ingest(tmp_path, GUESTS.replace("events.csv", "events.jsonl")).counts
    assert counts["kept as missing by `null_values`: user = 'undefined'"] == counts["kept of guests: events without user"] == 18


@pytest.mark.parametrize("zero", ["0", " 0 ", "0.0", "0.00", "0.0e0"])
def test_a_lone_zero_is_nobody_and_anything_else_may_be_numbered_so(tmp_path: Path, zero: str) -> None:
    rows = [row | {"user": zero if row["user"] == "u2" else row["user"], "item": "0" if row["item"] == "a" else "b"} for row in requests()]
    shop(tmp_path, events=rows, items=[ITEMS[0] | {"id": "0"}, ITEMS[1]])
    counts = run_ingest(tmp_path, GUESTS).counts
    assert counts["kept of guests: events without user"] == 18
    assert sum(number for name, number in counts.items() if "null_values" in name) == 18
    assert "rejected: no item" not in counts


def test_a_lone_zero_is_nobody_in_a_column_of_numbers() -> None:
    frame, counts = pl.DataFrame({"__file__": "f", "__row__": [0, 1, 2, 3], "user": [0, 7, 10, None], "item": [0, 1, 2, 3]}), Counts()
    mended = without_null_words(frame, frame.columns, source(), counts)
    assert mended["user"].to_list() == [None, 7, 10, None]
    assert mended["item"].to_list() == [0, 1, 2, 3]
    assert counts.numbers == {"kept as missing by `null_values`: user = '0'": 1}
    kept = without_null_words(frame, frame.columns, source(null_values={"user": []}), Counts())
    assert kept["user"].to_list() == [0, 7, 10, None]


def test_a_frame_without_such_words_is_left_as_it_is() -> None:
    frame, counts = (
        pl.DataFrame({"user": ["a", "", None], "title": ["None of these", " a title ", "NULL and void"], "n": [1, 2, 3]}),
        Counts(),
    )
    assert without_null_words(frame, frame.columns, source(), counts) is frame
    assert counts.numbers == {}


def test_words_are_those_of_a_column_or_else_of_the_source() -> None:
    assert null_words(source(), "item") == set(DEFAULT_WORDS)
    assert null_words(source(), "user") == {*DEFAULT_WORDS, "0"}
    assert null_words(source(null_values=["(not set)"]), "user") == {"(not set)"}
    by_column = source(null_values={"country": [], "item": ["?", -1]})
    assert null_words(by_column, "country") == frozenset()
    assert null_words(by_column, "item") == {"?", "-1"}
    assert null_words(by_column, "user") == {*DEFAULT_WORDS, "0"}
    assert null_words(Table(path="t", id="user", null_values="none"), "user") == {"none"}


def test_words_that_yaml_makes_values_of_are_words() -> None:
    """Nobody quotes NULL, -1 and nan."""
    text = SHOP.replace("  path: events.csv", "  path: events.csv\n  null_values: [NULL, -1, 0.5, .nan, x]")
    assert parse_dataset(text).events[0].null_values == ("NULL", "null", "Null", "-1", "0.5", "NaN", "nan", "x")
    with pytest.raises(DatasetFileError, match="null_values"):
        parse_dataset(SHOP.replace("  path: events.csv", "  path: events.csv\n  null_values: {page: {a: b}}"))


@pytest.mark.parametrize("dtype", [pl.Int64, pl.Float64, pl.UInt8, pl.Decimal(9, 2)])
def test_a_word_that_is_a_number_is_missing_in_columns_of_numbers(dtype: Any) -> None:
    frame, counts = pl.DataFrame({"price": pl.Series([9, 1, None], dtype=pl.Int64).cast(dtype)}), Counts()
    mended = without_null_words(frame, frame.columns, source(null_values={"price": ["-", 9]}), counts)
    assert mended["price"].cast(pl.Float64).to_list() == [None, 1, None]
    assert sum(counts.numbers.values()) == 1


def test_elements_of_lists_are_missing_by_the_words_of_their_column(tmp_path: Path) -> None:
    text = """\
name: shop
events: {path: events.csv, columns: {time: at, user: user, item: item, action: action, request: request}}
actions: {click: {label: 1}}
candidates: {from: list, action: click, items: shown, columns: {price: prices}}
features:
  - {name: price, kind: number, side: item, source: events}
"""
    rows = [
        {
            "at": row["at"],
            "user": row["user"],
            "item": "a",
            "action": "click",
            "request": row["request"],
            "shown": "a|NULL|b",
            "prices": "1|2|-",
        }
        for row in requests()[::3]
    ]
    shop(tmp_path, events=rows)
    counts = run_ingest(tmp_path, text).counts
    assert counts["kept as missing by `null_values`: shown = 'NULL'"] == counts["rejected: a candidate without an item"] == 20
    assert counts["kept as missing by `null_values`: prices = '-'"] == 20
    assert not [name for name in counts if "isn't a number" in name]


def test_the_condition_of_a_source_sees_null(tmp_path: Path) -> None:
    shop(tmp_path, events=spoilt("NULL"))
    where = GUESTS.replace("  path: events.csv", "  path: events.csv\n  where: CAST(shown_price AS DOUBLE) > 1")
    assert run_ingest(tmp_path, where).counts["left out: by the condition `where`"] == 18


def test_the_service_takes_the_words_of_the_sources_that_show_requests() -> None:
    text = SHOP.replace(
        "events:\n  path: events.csv\n  columns: {time: at, user: user, item: item, action: action, request: request}",
        """events:
  - path: shown.csv
    columns: {time: at, user: user, item: item, request: request}
    action: show
    null_values: {page: [nowhere], user: [nobody]}
  - path: clicks.csv
    columns: {time: at, user: who, item: item, request: request}
    action: click
    null_values: [gone]""",
    )
    dataset = parse_dataset(text)
    assert feature_words(dataset, dataset.feature("page")) == {"nowhere"}
    assert role_words(dataset, "user") == {"nobody", "gone"}
    assert role_words(dataset, "item") == {*DEFAULT_WORDS, "gone"}
    assert role_words(dataset, "session") == frozenset()


@pytest.mark.parametrize(("text", "missing"), [("NULL", True), (" NULL\t", True), ("", True), ("\u00a0", True), ("null ify", False)])
def test_a_single_value_is_missing_by_the_same_rule(text: str, missing: bool) -> None:
    assert is_null_word(text, frozenset(DEFAULT_WORDS)) is missing


def test_numbers_among_the_words() -> None:
    assert number_words(frozenset(("-1", "9.5", "nan", "inf", "x"))) == (-1, 9.5)
