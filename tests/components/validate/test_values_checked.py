"""Validate shows which words it takes for nothing, names values that stand for nobody, and doesn't cry wolf."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from components.contract.load import parse_dataset
from components.validate import Check
from components.validate.frequent_values import FrequentValues, suspicious
from tests.components.validate.test_validate_data import ITEMS, SHOP, USERS, checks, requests, shop, wrong

GUESTS = SHOP.replace("  path: events.csv", "  path: events.csv\n  missing_user: guest").replace("users: {path: users.csv, id: id}\n", "")
GUESTS = GUESTS.replace("  - {name: age, kind: number, side: user}\n", "")
NO_CATALOGUE = "\n".join(line for line in SHOP.splitlines() if "items:" not in line and "title" not in line and " price" not in line)


def crowd(number: int = 400, *, anonymous: str = "(not set)") -> list[dict[str, Any]]:
    """Requests of thirty shoppers; each third is of nobody."""
    return [row | {"user": anonymous if n // 3 % 3 == 0 else f"u{n // 3 % 31}"} for n, row in enumerate(requests(number))]


def test_words_for_nothing_are_shown_and_warned_of_where_they_may_be_values(tmp_path: Path) -> None:
    rows = [row | ({"page": "NA"} if n % 2 else {"page": "NULL"}) for n, row in enumerate(requests())]
    shop(tmp_path, events=rows, items=[ITEMS[0] | {"price": "NA"}, ITEMS[1]])
    result = checks(tmp_path)
    assert result["kept as missing by `null_values`: page = 'NULL'"].result == "30 of 60 rows (50 %)"
    assert result["kept as missing by `null_values`: page = 'NULL'"].verdict == "PASS"
    namibia = result["kept as missing by `null_values`: page = 'NA'"]
    assert namibia.verdict == "WARN"
    assert namibia.result == "30 of 60 rows (50 %); where it is a value, say `null_values: {page: []}`"
    assert namibia.examples[0] == f"{tmp_path}/events.csv, line 3: page = NA"
    assert result["items: kept as missing by `null_values`: price = 'NA'"].verdict == "PASS"  # no number is called so
    text = SHOP.replace("  path: events.csv", "  path: events.csv\n  null_values: {page: []}")
    assert not [name for name in checks(tmp_path, text) if name.startswith("kept as missing")]


def test_the_user_zero_is_a_warning(tmp_path: Path) -> None:
    shop(tmp_path, events=[row | {"user": row["user"].replace("u2", "0")} for row in requests()])
    check = checks(tmp_path, GUESTS)["kept as missing by `null_values`: user = '0'"]
    assert (check.verdict, check.result[:20]) == ("WARN", "18 of 60 rows (30 %)")


@pytest.mark.parametrize("word", ["(not set)", "<null>", "anonymous", "Unknown", "-1", "00000000-0000-0000-0000-000000000000", "somebody"])
def test_a_shopper_with_more_events_than_a_person_has_is_named(tmp_path: Path, word: str) -> None:
    shop(tmp_path, events=crowd(anonymous=word))
    check = checks(tmp_path, GUESTS)["users: no value stands for nobody"]
    assert check.verdict == "WARN"
    assert check.result == f"1 with more events than a shopper has; if it is a word for none, say `null_values: {{user: ['{word}']}}`"
    assert check.examples == (f"'{word}': 402 events (34 %)",)
    assert "which keeps the events" in checks(tmp_path, SHOP)["users: no value stands for nobody"].result
    text = GUESTS.replace("  path: events.csv", f"  path: events.csv\n  null_values: {{user: ['{word}']}}")
    assert checks(tmp_path, text)["users: no value stands for nobody"].verdict == "PASS"


def test_an_item_of_the_catalogue_may_be_bought_by_all(tmp_path: Path) -> None:
    rows = [row | {"item": "a" if n % 3 == 2 else f"i{n % 40}"} for n, row in enumerate(requests(400))]
    shop(tmp_path, events=rows, items=[*ITEMS, *({"id": f"i{n}", "title": "mug", "price": "5"} for n in range(40))])
    name = "items: no value stands for nobody"
    assert checks(tmp_path)[name].verdict == "PASS"
    shop(tmp_path, events=[row | {"item": row["item"].replace("a", "not a product")} for row in rows])
    check = checks(tmp_path, NO_CATALOGUE)[name]
    assert check.verdict == "WARN"
    assert check.examples == ("'not a product': 400 events (33 %)",)


def counted(sizes: list[int], names: dict[int, str] | None = None) -> tuple[FrequentValues, int]:
    result = FrequentValues()
    for at, size in enumerate(sizes):
        name = (names or {}).get(at, f"u{at}")
        for part in (size // 2, size - size // 2):  # in frames of their own
            result.add(pl.Series([name] * part, dtype=pl.String))
    return result, sum(sizes)


def test_where_many_are_the_yardstick_a_value_is_named_from_a_hundredth_of_all_events_on() -> None:
    sizes = [2 + n % 9 for n in range(1100)]
    result, events = counted([*sizes, 201])
    assert [each.text for each in suspicious(result, events)] == ["u1100"]
    assert suspicious(*counted([*sizes, 190])) == []  # less than twenty times as many as the busiest
    assert suspicious(*counted([200 + n % 9 for n in range(1100)])) == []


def test_words_are_named_where_they_are_more_frequent_than_shoppers() -> None:
    sizes = [2 + n % 9 for n in range(1100)]
    assert [each.text for each in suspicious(*counted([*sizes, 11], {1100: "[Anonymous]"}))] == ["[Anonymous]"]
    assert suspicious(*counted([*sizes, 5], {1100: "anonymous"})) == []
    assert suspicious(*counted([*sizes, 11], {1100: "anna"})) == []


def test_two_words_do_not_hide_each_other() -> None:
    result, events = counted([*(10 + n % 3 for n in range(30)), 500, 480], {30: "x", 31: "y"})
    assert [each.text for each in suspicious(result, events)] == ["x", "y"]


def test_few_shoppers_are_no_yardstick() -> None:
    assert suspicious(*counted([100, 1, 1, 1])) == []
    assert suspicious(*counted([30, 15, 10, 8, 6, 5, 4, 4, 3, 3, 3, 2, 2, 2, 2, 2, 1, 1])) == []


def test_most_events_of_one_among_many_is_a_failure(tmp_path: Path) -> None:
    rows = [row | {"user": "guest" if n % 2 else f"u{n}"} for n, row in enumerate(requests(1100))]
    shop(tmp_path, events=rows)
    text = GUESTS.replace("windows", "windows")
    assert checks(tmp_path, text)["users: no value stands for nobody"].verdict == "FAIL"


def test_an_empty_position_is_none_and_no_flaw(tmp_path: Path) -> None:
    text = SHOP.replace("request: request}", "request: request, position: place}").replace("events.csv", "events.jsonl")
    rows = [row | {"place": str(n % 3) if row["action"] == "show" else ""} for n, row in enumerate(requests())]
    shop(tmp_path)
    (tmp_path / "events.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    assert wrong(tmp_path, text) == []
    floats = [float(n % 3) if row["action"] == "show" else float("nan") for n, row in enumerate(rows)]
    pl.DataFrame(rows).with_columns(pl.Series("place", floats)).write_parquet(tmp_path / "events.parquet")
    assert wrong(tmp_path, text.replace("jsonl", "parquet")) == []
    halves = pl.Series("place", [0.5 if row["action"] == "show" else None for row in rows])
    pl.DataFrame(rows).with_columns(halves).write_parquet(tmp_path / "events.parquet")
    assert wrong(tmp_path, text.replace("jsonl", "parquet")) == ["positions and orders are whole numbers"]


def test_equal_rows_of_data_of_rows_are_so_many_cases(tmp_path: Path) -> None:
    """Without time and request nothing says that two equal rows are one; ingestion keeps both."""
    text = """\
name: rows
events: {path: events.csv, columns: {item: item, label: label}}
actions: {click: {label: 1}}
candidates: {from: rows}
windows: {by: hash}
features:
  - {name: page, kind: category, side: context}
  - {name: item, kind: id, side: item}
"""
    shop(tmp_path, events=[{"item": f"i{n % 2}", "page": "home", "label": n % 2} for n in range(60)])
    assert "exact duplicates (dropped)" not in checks(tmp_path, text)
    assert wrong(tmp_path, text) == []
    dropped = text.replace("{item: item,", "{item: item, request: page,")
    assert checks(tmp_path, dropped)["exact duplicates (dropped)"].result.startswith("58 of 60")


LISTS = """\
name: lists
events:
  path: events.csv
  columns: {time: at, user: user, item: item, action: action, request: request}
actions: {ranking: {}, click: {label: 1}}
candidates: {from: list, action: ranking, items: shown}
attribution: 1h
features:
  - {name: item, kind: id, side: item}
"""


def test_a_list_occurs_although_nothing_was_chosen_from_it(tmp_path: Path) -> None:
    rows = [row | {"shown": ""} for row in requests() if row["action"] == "click"]
    shop(tmp_path, events=[*rows, *(row | {"action": "ranking", "item": "", "shown": "a|b"} for row in requests()[::3])])
    assert checks(tmp_path, LISTS)["actions occur"] == Check("actions occur", "PASS", "ranking 20, click 20")
    labelled = LISTS.replace("ranking: {}", "ranking: {label: 1}")
    assert checks(tmp_path, labelled)["actions occur"] == Check("actions occur", "FAIL", "never: ranking; click 20")


def test_dates_that_can_be_read_in_two_ways_fail_with_both(tmp_path: Path) -> None:
    shop(tmp_path, events=[row | {"at": "02/01/2026 10:00"} for row in requests()])
    check = checks(tmp_path)["events: columns are as declared"]
    assert check.verdict == "FAIL"
    assert "`time_format: '%d/%m/%Y %H:%M'` or `time_format: '%m/%d/%Y %H:%M'`" in check.examples[0]


def test_ids_that_a_column_cannot_hold_fail(tmp_path: Path) -> None:
    shop(tmp_path, events=[row | {"item": "1.23457E+15"} for row in requests()])
    check = checks(tmp_path)["events: columns are as declared"]
    assert check.verdict == "FAIL"
    assert "column 'item': expected ids, got '1.23457E+15', a number whose last digits are lost" in check.examples[0]


def test_a_log_that_counts_days_from_its_own_beginning_is_a_warning(tmp_path: Path) -> None:
    start = datetime(2026, 2, 1, tzinfo=UTC)
    past = [datetime.fromisoformat(row["at"]) - start for row in requests()]
    rows = [row | {"at": str(each // timedelta(days=1)), "s": str(each.seconds)} for row, each in zip(requests(), past, strict=True)]
    shop(tmp_path, events=rows, users=USERS)
    text = SHOP.replace("{time: at,", "{time: [at, s],").replace("  path: events.csv", "  path: events.csv\n  time_unit: [d, s]")
    assert checks(tmp_path, text)["clocks: before 1990, or in another unit"].verdict == "WARN"
    assert parse_dataset(text).events[0].columns.time_columns == ("at", "s")
