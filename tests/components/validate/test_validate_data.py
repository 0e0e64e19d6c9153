"""Each fault of the data is found, counted, and shown with file and row; good data passes."""

import gzip
import json
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import zstandard
from rich.console import Console

from components.contract.load import load_dataset, parse_dataset
from components.validate import Check, as_json, failed, render, validate

EXAMPLES = Path(__file__).resolve().parents[3] / "examples"
NOW = datetime(2026, 3, 1, tzinfo=UTC)
NOW_US = int(NOW.timestamp()) * 1_000_000

SHOP = """\
name: shop
events:
  path: events.csv
  columns: {time: at, user: user, item: item, action: action, request: request}
items: {path: items.csv, id: id}
users: {path: users.csv, id: id}
actions: {show: {}, click: {label: 1}}
candidates: {from: impressions, action: show}
features:
  - {name: page, kind: category, side: context}
  - {name: age, kind: number, side: user}
  - {name: title, kind: text, side: item}
  - {name: price, kind: number, side: item, minimum: 0}
  - {name: shown_price, kind: number, side: item, source: events, minimum: 0}
"""

Rows = list[dict[str, Any]]


def requests(number: int = 20) -> Rows:
    """Requests an hour apart, each with two items; the first of them is clicked a minute later."""
    rows: Rows = []
    for n in range(number):
        at = datetime(2026, 2, 1, tzinfo=UTC) + timedelta(hours=n)
        row = {"at": at.isoformat(), "user": f"u{n % 3}", "action": "show", "request": f"r{n}", "page": "home", "shown_price": "5"}
        rows += [
            row | {"item": "a"},
            row | {"item": "b"},
            row | {"item": "a", "action": "click", "at": (at + timedelta(minutes=1)).isoformat()},
        ]
    return rows


ITEMS: Rows = [{"id": "a", "title": "blue mug", "price": "5"}, {"id": "b", "title": "red mug", "price": "6"}]
USERS: Rows = [{"id": f"u{n}", "age": str(20 + n)} for n in range(3)]


def shop(root: Path, *, events: Rows | None = None, items: Rows = ITEMS, users: Rows = USERS) -> None:
    for name, rows in (("events", requests() if events is None else events), ("items", items), ("users", users)):
        pl.DataFrame(rows).write_csv(root / f"{name}.csv")


def checks(root: Path, text: str = SHOP) -> dict[str, Check]:
    result = validate(parse_dataset(text), str(root), now_us=NOW_US)
    assert len({check.name for check in result}) == len(result)
    return {check.name: check for check in result}


def wrong(root: Path, text: str = SHOP) -> list[str]:
    return [name for name, check in checks(root, text).items() if check.verdict != "PASS"]


def test_good_data_passes_every_check(tmp_path: Path) -> None:
    shop(tmp_path)
    result = checks(tmp_path)
    assert {check.verdict for check in result.values()} == {"PASS"}
    assert result["events: files can be read"].result == "60 rows in 1 file"
    assert result["actions occur"].result == "show 40, click 20"
    assert result["requests"].result == "20, with 2 candidates each"
    assert result["requests without a positive"].result == "0 of 20 (0 %)"
    assert result["requests in the windows"].result.startswith(
        "train 13, eval 2, test 2, too close to a window's end 3 (train 2026-02-01 00:00"
    )


@pytest.mark.parametrize(
    ("change", "name", "verdict", "result", "example"),
    [
        ({"at": "yesterday"}, "times can be read", "WARN", "1 of 60 rows (1.7 %)", "events.csv, line 5: at = yesterday"),
        (
            {"at": "2026-03-02T00:00:00"},
            "clocks: events in the future",
            "WARN",
            "1 of 60 rows (1.7 %)",
            "line 5: at = 2026-03-02T00:00:00",
        ),
        (
            {"at": "1970-01-21T08:00:00"},
            "clocks: before 1990, or in another unit",
            "WARN",
            "1 of 60 events (1.7 %)",
            "line 5: 1970-01-21 08:00:00",
        ),
        ({"action": "hover"}, "actions are known", "WARN", "1 of 60 rows (1.7 %)", "line 5: action = hover"),
        (
            {"user": ""},
            "events have a user",
            "WARN",
            "1 of 60 rows (1.7 %)",
            "line 5: action = show, item = a, at = 2026-02-01T01:00:00+00:00",
        ),
        ({"item": ""}, "events have an item", "WARN", "1 of 60 rows (1.7 %)", "line 5: action = show, user = u1"),
        ({"item": "zzz"}, "items are in the catalogue", "WARN", "1 of 60 events (1.7 %)", "line 5: item = zzz"),
        ({"user": "nobody"}, "users are in the users", "WARN", "1 of 60 events (1.7 %)", "line 5: user = nobody"),
        (
            {"request": ""},
            "impressions have a request",
            "WARN",
            "1 of 60 rows (1.7 %)",
            "line 5: at = 2026-02-01T01:00:00+00:00, user = u1, item = a",
        ),
        ({"shown_price": "-3"}, "shown_price isn't below 0", "WARN", "1 of 60 rows (1.7 %)", "line 5: shown_price = -3"),
        ({"shown_price": "cheap"}, "numbers are numbers", "WARN", "1 of 60 rows (1.7 %)", "line 5: item = a, shown_price = cheap"),
        ({"page": "x" * 10_000_000}, "texts aren't too long", "WARN", "1 of 60 rows (1.7 %)", "… (10,000,000 characters)"),
    ],
)
def test_one_bad_row_is_a_warning_that_names_it(
    tmp_path: Path, change: dict[str, str], name: str, verdict: str, result: str, example: str
) -> None:
    rows = requests()
    rows[3] = rows[3] | change
    shop(tmp_path, events=rows)
    check = checks(tmp_path)[name]
    assert (check.verdict, check.result) == (verdict, result)
    assert example in check.examples[0]
    assert str(tmp_path / "events.csv") in check.examples[0]


@pytest.mark.parametrize(
    ("column", "value", "name"),
    [("action", "hover", "actions are known"), ("user", "", "events have a user"), ("item", "zzz", "items are in the catalogue")],
)
def test_where_most_rows_are_bad_the_check_fails_with_three_examples(tmp_path: Path, column: str, value: str, name: str) -> None:
    shop(tmp_path, events=[row | ({column: value} if n % 5 else {}) for n, row in enumerate(requests())])
    check = checks(tmp_path)[name]
    assert check.verdict == "FAIL"
    assert check.result.startswith("48 of 60")
    assert len(check.examples) == 3


def test_exact_duplicates_are_counted_and_the_later_one_is_shown(tmp_path: Path) -> None:
    rows = requests()
    shop(tmp_path, events=[*rows, rows[0]])
    check = checks(tmp_path)["exact duplicates (dropped)"]
    assert (check.verdict, check.result, check.examples) == ("WARN", "1 of 61 events (1.6 %)", (f"{tmp_path}/events.csv, line 62",))


def test_ids_that_stand_twice_are_found_in_the_tables(tmp_path: Path) -> None:
    shop(tmp_path, items=[*ITEMS, ITEMS[0]], users=[*USERS * 10, {"id": "", "age": "1"}])
    result = checks(tmp_path)
    items, users = (result[f"{what}: no id stands twice (the last row counts)"] for what in ("items", "users"))
    assert (items.verdict, items.result, items.examples) == ("FAIL", "1 of 3 rows (33 %)", (f"{tmp_path}/items.csv, line 4: id = a",))
    assert users.result == "27 of 31 rows (87 %)"
    assert result["users: each has an id"].result == "1 of 31 rows (3.2 %)"


def test_bad_values_in_the_tables_are_found(tmp_path: Path) -> None:
    bad = [{"id": f"i{n}", "title": "mug", "price": "1"} for n in range(40)]
    shop(tmp_path, items=[*ITEMS, *bad, {"id": "c", "title": "y" * 10_000_000, "price": "-1"}], users=[*USERS, {"id": "u9", "age": "old"}])
    result = checks(tmp_path)
    assert result["items: price isn't below 0"].examples == (f"{tmp_path}/items.csv, line 44: price = -1",)
    assert result["items: texts aren't too long"].result == "1 of 43 rows (2.3 %)"
    assert result["users: numbers are numbers"].examples == (f"{tmp_path}/users.csv, line 5: age = old",)


def test_a_feature_without_any_value_is_a_warning(tmp_path: Path) -> None:
    shop(tmp_path, events=[row | {"page": ""} for row in requests()], items=[row | {"title": ""} for row in ITEMS])
    result = checks(tmp_path)
    assert result["events: features with values"].result == "never a value: page"
    assert result["items: features with values"].verdict == "WARN"


def test_a_missing_file_fails_and_names_the_path(tmp_path: Path) -> None:
    shop(tmp_path)
    (tmp_path / "events.csv").unlink()
    (tmp_path / "users.csv").unlink()
    result = checks(tmp_path)
    assert result["events: files"].verdict == "FAIL"
    assert str(tmp_path / "events.csv") in result["events: files"].examples[0]
    assert result["users: can be read"].verdict == "FAIL"
    assert result["items: can be read"].verdict == "PASS"


def test_all_missing_columns_are_told_at_once(tmp_path: Path) -> None:
    shop(tmp_path, events=[{"at": r["at"], "usr": r["user"], "item": r["item"], "action": r["action"], "page": ""} for r in requests()])
    check = checks(tmp_path)["events: columns are there"]
    assert (check.verdict, check.result) == ("FAIL", "3 problems")
    assert [example.split("'")[1] for example in check.examples] == ["request", "shown_price", "user"]
    assert "did you mean 'usr'?" in check.examples[2]


def test_a_broken_file_fails_and_the_others_are_still_checked(tmp_path: Path) -> None:
    shop(tmp_path)
    (tmp_path / "events").mkdir()
    (tmp_path / "events" / "1.jsonl").write_text("\n".join(json.dumps(row) for row in requests()))
    (tmp_path / "events" / "2.jsonl").write_text('{"at": 1}\n{"at": 2\n')
    (tmp_path / "events" / "3.jsonl").write_text("")
    result = checks(tmp_path, SHOP.replace("events.csv", "events/*.jsonl"))
    broken = result["events: files can be read"]
    assert (broken.verdict, broken.result) == ("FAIL", "1 problem")
    assert "2.jsonl, line 2: expected one JSON object" in broken.examples[0]
    assert result["events: empty files"].examples == (f"{tmp_path}/events/3.jsonl",)
    assert result["requests"].result.startswith("20,")


def test_a_column_of_another_type_fails(tmp_path: Path) -> None:
    shop(tmp_path, events=[row | {"at": "soon"} for row in requests()])
    check = checks(tmp_path)["events: columns are as declared"]
    assert check.verdict == "FAIL"
    assert "no time in column 'at' can be parsed, the first is 'soon'" in check.examples[0]


@pytest.mark.parametrize("ending", ["csv", "csv.gz", "jsonl", "jsonl.gz", "jsonl.zst", "parquet"])
def test_every_format_is_read_and_its_rows_are_named(tmp_path: Path, ending: str) -> None:
    shop(tmp_path)
    rows = requests()
    rows[3] |= {"action": "hover"}
    frame, path = pl.DataFrame(rows), tmp_path / f"log.{ending}"
    if ending == "parquet":
        frame.write_parquet(path)
    else:
        text = frame.write_csv() if "csv" in ending else "".join(json.dumps(row) + "\n" for row in rows)
        packed = {"gz": gzip.compress, "zst": zstandard.compress}.get(ending.rpartition(".")[2], bytes)(text.encode())
        path.write_bytes(packed)
    index = {"c": "line 5", "j": "line 4", "p": "row 3"}[ending[0]]
    result = checks(tmp_path, SHOP.replace("events.csv", path.name))
    assert result["actions are known"].examples == (f"{path}, {index}: action = hover",)
    assert result["events: files can be read"].result == "60 rows in 1 file"


def test_a_clock_that_is_alone_in_time_is_found(tmp_path: Path) -> None:
    rows = requests(100)
    rows[7] |= {"at": "2026-01-01T00:00:00"}
    shop(tmp_path, events=rows)
    check = checks(tmp_path)["clocks: far from all the rest"]
    assert (check.verdict, check.result) == ("WARN", "1 of 300 events (0.33 %)")
    assert check.examples == (f"{tmp_path}/events.csv, line 9: 2026-01-01 00:00:00",)


def test_seconds_read_as_milliseconds_are_found(tmp_path: Path) -> None:
    shop(tmp_path, events=[row | {"at": str(int(datetime.fromisoformat(row["at"]).timestamp()))} for row in requests()])
    assert wrong(tmp_path) == []
    text = SHOP.replace("  path: events.csv", "  path: events.csv\n  time_unit: ms")
    assert "clocks: before 1990, or in another unit" in wrong(tmp_path, text)


def test_clicks_before_what_was_shown_are_found(tmp_path: Path) -> None:
    early = "2026-01-31T23:59:00+00:00"
    rows = [row | ({"at": early} if row["action"] == "click" and row["request"] == "r0" else {}) for row in requests()]
    shop(tmp_path, events=rows)
    result = checks(tmp_path)
    check = result["labelled actions: before its list"]
    assert (check.verdict, check.result.partition(";")[0]) == ("FAIL", "1 of 20 (5 %)")
    assert check.examples == (f"{tmp_path}/events.csv, line 4",)
    assert result["labelled actions belong to a list"].result.startswith("1 of 20 (5 %) belong to none; more than `unattributed` (1.000%)")
    usual = checks(tmp_path, SHOP + "unattributed: 5%\n")
    assert {usual[name].verdict for name in ("labelled actions belong to a list", "labelled actions: before its list")} == {"WARN"}


@pytest.mark.parametrize(
    ("change", "cause"),
    [
        ({"at": "2026-02-10T00:00:00+00:00"}, "too late"),
        ({"item": "c"}, "item not in the list"),
        ({"request": "lost"}, "no such request"),
        ({"request": "", "item": "c"}, "never shown to the shopper"),
        ({"request": "", "user": "u9"}, "never shown to the shopper"),
    ],
)
def test_labels_that_belong_to_no_list_fail_by_cause(tmp_path: Path, change: dict[str, str], cause: str) -> None:
    shop(tmp_path, events=[row | (change if row["action"] == "click" and row["request"] == "r4" else {}) for row in requests()])
    result = checks(tmp_path)
    assert result[f"labelled actions: {cause}"].examples == (f"{tmp_path}/events.csv, line 16",)
    assert result[f"labelled actions: {cause}"].verdict == "FAIL"
    assert result["requests without a positive"].result == "1 of 20 (5 %)"


@pytest.mark.parametrize("who", ["u9", "u1"])
def test_clicks_of_another_shopper_belong_to_the_request_they_name(tmp_path: Path, who: str) -> None:
    shop(tmp_path, events=[row | ({"user": who} if row["action"] == "click" else {}) for row in requests()])
    assert checks(tmp_path)["labelled actions belong to a list"].result == "all of 20"


def test_clicks_in_whole_seconds_fail_and_get_a_tolerance_proposed(tmp_path: Path) -> None:
    rows = []
    for row in requests():
        at = datetime.fromisoformat(row["at"])
        moment = at + timedelta(milliseconds=400) if row["action"] == "show" else at - timedelta(minutes=1)
        rows.append(row | {"at": moment.isoformat(timespec="milliseconds")})
    shop(tmp_path, events=rows)
    result = checks(tmp_path)
    assert result["labelled actions: before its list"].verdict == "FAIL"
    timing = result["time from list to action"]
    assert timing.verdict == "WARN"
    assert "50% -0.4s" in timing.result
    assert "before their list 100 %" in timing.result
    assert "`skew: 1s` keeps 20 more" in timing.result
    mended = checks(tmp_path, SHOP + "skew: 1s\n")
    assert mended["labelled actions belong to a list"].result == "all of 20"
    assert mended["time from list to action"].verdict == "PASS"


def test_clicks_after_the_window_get_a_longer_one_proposed(tmp_path: Path) -> None:
    later = [
        row | ({"at": (datetime.fromisoformat(row["at"]) + timedelta(minutes=100)).isoformat()} if row["action"] == "click" else {})
        for row in requests()
    ]
    shop(tmp_path, events=later)
    result = checks(tmp_path)
    assert result["labelled actions: too late"].verdict == "FAIL"
    assert "`attribution: 2h` would take in 99 %" in result["time from list to action"].result
    assert checks(tmp_path, SHOP + "attribution: 2h\n")["labelled actions belong to a list"].verdict == "PASS"


def test_ids_that_come_again_fail_with_both_rows_and_the_remedy(tmp_path: Path) -> None:
    shop(tmp_path, events=[row | {"request": "1", "visit": row["request"]} for row in requests()])
    result = checks(tmp_path)
    assert result["requests"].result.startswith("20,")
    again, shared = result["request ids don't come again"], result["request ids are of one shopper"]
    assert (again.verdict, shared.verdict) == ("FAIL", "FAIL")
    assert again.result.startswith("17 of 20 requests (85 %) come again after more than `session_gap` (30m)")
    assert "declare the role `session`" in again.result
    assert again.examples[0] == f"{tmp_path}/events.csv, line 2; again {tmp_path}/events.csv, line 11"
    assert shared.result.startswith("20 of 20 requests (100 %) have an id that other shoppers have too")
    assert result["labelled actions belong to a list"].result == "all of 20"
    visits = checks(tmp_path, SHOP.replace("request: request}", "request: request, session: visit}"))
    assert {visits[name].verdict for name in (again.name, shared.name)} == {"PASS"}


def test_one_id_that_comes_again_among_many_is_a_warning(tmp_path: Path) -> None:
    shop(tmp_path, events=[row | ({"request": "r0"} if row["request"] == "r3" else {}) for row in requests(150)])
    assert checks(tmp_path)["request ids don't come again"].verdict == "WARN"


def test_time_that_goes_back_within_an_ordered_session_is_found(tmp_path: Path) -> None:
    rows = [row | {"step": n} for n, row in enumerate(requests())]
    text = SHOP.replace("request: request}", "request: request, order: step}")
    shop(tmp_path, events=rows)
    assert checks(tmp_path, text)["clocks: time goes back while the order goes on"].verdict == "PASS"
    rows[30]["step"] = -1
    shop(tmp_path, events=rows)
    check = checks(tmp_path, text)["clocks: time goes back while the order goes on"]
    assert check.result == "1 of 60 events (1.7 %)"


def test_requests_without_a_positive_are_counted_and_none_with_one_fails(tmp_path: Path) -> None:
    shop(tmp_path, events=[row for row in requests() if row["action"] == "show" or row["request"] in ("r0", "r1", "r2", "r3", "r4")])
    assert checks(tmp_path)["requests without a positive"].result == "15 of 20 (75 %)"
    shop(tmp_path, events=[row | ({"request": "lost"} if row["action"] == "click" else {}) for row in requests()])
    assert checks(tmp_path)["requests without a positive"].verdict == "FAIL"


def test_a_label_that_never_occurs_fails_and_another_action_warns(tmp_path: Path) -> None:
    text = SHOP.replace("{show: {}, click: {label: 1}}", "{show: {}, click: {label: 1}, buy: {label: 2}}")
    shop(tmp_path)
    assert checks(tmp_path, text)["actions occur"] == Check("actions occur", "FAIL", "never: buy; show 40, click 20")
    assert checks(tmp_path, text.replace("buy: {label: 2}", "like: {}"))["actions occur"].verdict == "WARN"


def test_an_empty_window_fails_and_tells_the_span(tmp_path: Path) -> None:
    shop(tmp_path)
    check = checks(tmp_path, SHOP + "windows: {eval: 2026-02-01 10:00, test: 2026-02-20, until: 2026-02-25}\n")["requests in the windows"]
    assert check.verdict == "FAIL"
    assert "empty: test; the events go from 2026-02-01 00:00 to 2026-02-01 19:01" in check.result


def test_windows_out_of_order_fail(tmp_path: Path) -> None:
    shop(tmp_path)
    assert checks(tmp_path, SHOP + "windows: {eval: 2026-02-20, test: 10%}\n")["windows in order"].verdict == "FAIL"


def test_requests_before_and_after_the_windows_are_counted(tmp_path: Path) -> None:
    shop(tmp_path)
    dates = "windows: {train: 2026-02-01 02:00, eval: 2026-02-01 10:00, test: 2026-02-01 14:00, until: 2026-02-01 17:59, gap: 0}\n"
    check = checks(tmp_path, SHOP + dates)["requests outside the windows"]
    assert (check.verdict, check.result) == ("WARN", "4 of 20 requests (20 %): 2 before, 2 after")


def test_a_condition_that_keeps_nothing_fails(tmp_path: Path) -> None:
    shop(tmp_path)
    text = SHOP.replace("  path: events.csv", "  path: events.csv\n  where: page = 'cart'")
    result = checks(tmp_path, text)
    assert result["left out: by the condition `where`"].verdict == "FAIL"
    assert result["events are left"].verdict == "FAIL"


def test_rows_with_too_few_fields_are_found(tmp_path: Path) -> None:
    shop(tmp_path)
    for name in ("events", "items"):
        with (tmp_path / f"{name}.csv").open("a") as file:
            file.write("only,two\n")
    result = checks(tmp_path)
    uneven = result["rejected: a CSV row has too few or too many fields"]
    assert uneven.examples[0].startswith(f"{tmp_path}/events.csv, line 62: expected = 7")
    assert result["items: rejected: a CSV row has too few or too many fields"].result == "1 of 3 rows (33 %)"


LISTS = """\
name: hotels
events: {path: e.parquet, columns: {time: t, user: u, item: i, action: a}}
actions: {clickout: {label: 1}, view: {}}
candidates: {from: list, action: clickout, items: shown, columns: {price: prices}}
windows: {eval: 20%, test: 20%}
features:
  - {name: item, kind: id, side: item}
  - {name: price, kind: number, side: item, source: events}
"""


def lists(root: Path, **changes: str) -> None:
    row = {"u": "u", "i": "a", "a": "clickout", "shown": "a|b", "prices": "1|2"}
    rows = [row | {"t": datetime(2026, 2, 1 + n, tzinfo=UTC)} for n in range(20)] + [
        row | {"t": datetime(2026, 2, 5, tzinfo=UTC), "a": "view"}
    ]
    rows[0] |= changes
    pl.DataFrame(rows).write_parquet(root / "e.parquet")


def test_good_lists_pass(tmp_path: Path) -> None:
    lists(tmp_path)
    assert wrong(tmp_path, LISTS) == []


def test_a_list_with_columns_of_unequal_length_is_found(tmp_path: Path) -> None:
    lists(tmp_path, prices="1|2|3")
    check = checks(tmp_path, LISTS)["lists are even"]
    assert (check.verdict, check.result) == ("WARN", "1 of 21 rows (4.8 %)")
    assert check.examples == (f"{tmp_path}/e.parquet, row 0: shown = a|b, prices = 1|2|3",)


def test_a_choice_that_isnt_in_its_list_is_no_positive(tmp_path: Path) -> None:
    lists(tmp_path, i="c")
    assert checks(tmp_path, LISTS)["requests without a positive"].result == "1 of 20 (5 %)"


ACTIONS = ("transaction", "view", "addtocart")
# Ten rows each, in the layout that the data sets' documentation describes.
PUBLIC = {
    "retailrocket": {
        "item_properties_part1.csv": "timestamp,itemid,property,value\n"
        + "".join(
            f"1433041200000,{300 + n},{name},{value}\n"
            for n in range(10)
            for name, value in (("categoryid", 1000 + n % 2), ("available", n % 2), ("790", f"n{12 + n}.000"))
        ),
        "events.csv": "timestamp,visitorid,event,itemid,transactionid\n"
        + "".join(
            f"{1433221332117 + n * 86_400_000},{257 + n % 2},{ACTIONS[n % 3]},{300 + n},{n if n % 3 == 0 else ''}\n" for n in range(10)
        ),
    },
    "movielens": {
        "ratings.csv": "userId,movieId,rating,timestamp\n"
        + "".join(f"{1 + n % 2},{n},{4.5 if n else 2.0},{1147880044 + n * 86_400}\n" for n in range(10)),
        "movies.csv": "movieId,title,genres\n" + "".join(f'{n},"Film, The ({1990 + n})",Comedy|Drama\n' for n in range(10)),
    },
    "criteo": {
        "train.txt": "".join(
            "\t".join([str(row % 2), *(str(n - 2) for n in range(13)), *(f"{row * n:08x}" for n in range(26))]) + "\n" for row in range(10)
        ),
    },
}


@pytest.mark.parametrize("name", PUBLIC)
def test_the_public_layouts_fit_their_dataset_files(tmp_path: Path, name: str) -> None:
    for file, text in PUBLIC[name].items():
        (tmp_path / file).write_text(text)
    result = validate(load_dataset(EXAMPLES / "public" / f"{name}.yaml"), str(tmp_path), now_us=NOW_US)
    bad = [check for check in result if check.verdict != "PASS"]
    assert bad == []
    if name == "movielens":
        assert Check("left out: by the condition `where`", "PASS", "1 of 10 rows") in result
    if name == "criteo":
        assert Check("rows with a positive label", "PASS", "5 of 10 (50 %)") in result


def test_rows_that_all_have_one_label_fail(tmp_path: Path) -> None:
    text = PUBLIC["criteo"]["train.txt"].splitlines()
    (tmp_path / "train.txt").write_text("\n".join(text[::2]) + "\n")
    result = validate(load_dataset(EXAMPLES / "public" / "criteo.yaml"), str(tmp_path), now_us=NOW_US)
    assert Check("rows with a positive label", "FAIL", "0 of 5 (0 %)") in result


def test_the_table_shows_verdict_name_finding_and_examples() -> None:
    console = Console(width=100, record=True, file=StringIO())
    console.print(render([Check("clocks", "WARN", "1 of 2 [rows]", ("a.csv, line 3",)), Check("files", "PASS", "2")]))
    assert [line.split() for line in console.export_text().splitlines()] == [
        ["check", "found"],
        ["WARN", "clocks", "1", "of", "2", "[rows]"],
        ["a.csv,", "line", "3"],
        ["PASS", "files", "2"],
    ]


def test_json_tells_the_same_and_only_a_failure_fails() -> None:
    result = [Check("clocks", "WARN", "1 of 2", ("a.csv, line 3",)), Check("files", "PASS", "2")]
    assert json.loads(json.dumps(as_json(result)))[0] == {
        "name": "clocks",
        "verdict": "WARN",
        "found": "1 of 2",
        "examples": ["a.csv, line 3"],
    }
    assert not failed(result)
    assert failed([*result, Check("x", "FAIL", "")])


@pytest.mark.real_data
@pytest.mark.parametrize(
    ("name", "warned"),
    [
        # One click of 11,139 is on a hotel that its list doesn't show.
        ("trivago_2019", {"labelled actions belong to a list", "labelled actions: item not in the list"}),
        # A product has a second row, whose code ends in a blank.
        ("online_retail_ii", {"exact duplicates (dropped)", "items: no id stands twice (the last row counts)"}),
    ],
)
def test_the_real_data_fit_their_dataset_files(real_data: Path, name: str, warned: set[str]) -> None:
    result = validate(load_dataset(EXAMPLES / f"{name}.yaml"), str(real_data / name), now_us=NOW_US)
    assert {check.name for check in result if check.verdict != "PASS"} == warned


def test_amounts_that_are_no_number_or_below_nothing_are_told(tmp_path: Path) -> None:
    text = SHOP.replace("request: request}", "request: request, revenue: paid, margin: earned}").replace(
        "{label: 1}", "{label: 1, amount: revenue}"
    )
    rows = [row | {"paid": "5" if row["action"] == "click" else "", "earned": "-1"} for row in requests()]
    (tmp_path / "good").mkdir()
    shop(tmp_path / "good", events=rows)
    assert wrong(tmp_path / "good", text) == []
    rows[2], rows[5] = rows[2] | {"paid": "5 EUR"}, rows[5] | {"paid": "-3"}
    shop(tmp_path, events=rows)
    result = checks(tmp_path, text)
    assert [name for name, check in result.items() if check.verdict != "PASS"] == [
        "revenue is a number",
        "revenue of actions with a label isn't below 0",
    ]
    assert "line 4: item = a, paid = 5 EUR" in result["revenue is a number"].examples[0]
    assert "paid = -3" in result["revenue of actions with a label isn't below 0"].examples[0]
