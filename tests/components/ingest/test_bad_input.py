"""Bad input is a clear error, or a counted reject with samples: never a silent drop. (Files that can't be read: test_bad_files.py)"""

import math
from pathlib import Path
from typing import Any

import pytest

from components.contract.errors import InputError
from components.ingest.report import require_examples
from tests.components.ingest.generators.plain_shop import ITEMS, SHOP, USERS, IngestRun, as_csv, requests, run_ingest, shop, write

ROW = 4  # the second candidate of request 1
GUESTS = SHOP.replace("  path: events.csv", "  path: events.csv\n  missing_user: guest")


def spoilt(folder: Path, change: dict[str, str], text: str = SHOP, *, rows: tuple[int, ...] = (ROW,)) -> IngestRun:
    events = [row | (change if n in rows else {}) for n, row in enumerate(requests())]
    shop(folder, events=events)
    return run_ingest(folder, text)


@pytest.mark.parametrize(
    ("change", "reason", "shown"),
    [
        ({"at": "yesterday"}, "the time in column 'at' can't be parsed", {"at": "yesterday"}),
        ({"at": ""}, "the time in column 'at' can't be parsed", {"item": "b"}),
        ({"at": "2030-12-31T00:00:00"}, "the time lies in the future", {"at": "2030-12-31T00:00:00"}),
        ({"shown_price": "-0.01"}, "shown_price is below 0", {"shown_price": "-0.01"}),
        ({"action": "hover"}, "unknown action", {"action": "hover"}),
        ({"action": ""}, "unknown action", {"request": "r1"}),
        ({"user": ""}, "no user", {"item": "b", "request": "r1"}),
        ({"item": ""}, "no item", {"user": "u1"}),
        ({"request": ""}, "an impression without a request", {"user": "u1", "item": "b"}),
    ],
)
def test_a_row_that_cannot_be_used_is_rejected_counted_and_shown(
    tmp_path: Path, change: dict[str, str], reason: str, shown: dict[str, str]
) -> None:
    _, _, counts, samples = spoilt(tmp_path, change)
    assert (counts["rows read"], counts["rows kept"], counts[f"rejected: {reason}"]) == (60, 59, 1)
    assert counts["examples: train candidates"] == 13 * 2 - 1
    assert list(samples) == [reason]
    (sample,) = samples[reason]
    assert (sample["file"], sample["row"]) == (str(tmp_path / "events.csv"), str(ROW))
    assert shown.items() <= sample.items()


def test_ten_samples_are_kept_of_a_reason_and_all_rows_are_counted(tmp_path: Path) -> None:
    _, _, counts, samples = spoilt(tmp_path, {"user": ""}, rows=tuple(range(3, 27)))
    assert counts["rejected: no user"] == 24
    assert [sample["row"] for sample in samples["no user"]] == [str(row) for row in range(3, 13)]


def test_a_price_of_zero_is_not_negative(tmp_path: Path) -> None:
    assert spoilt(tmp_path, {"shown_price": "0"}).counts["rows kept"] == 60


def test_an_event_without_user_is_a_guest_where_the_file_says_so(tmp_path: Path) -> None:
    made, _, counts, _ = spoilt(tmp_path, {"user": ""}, GUESTS, rows=(3, 4, 5))
    assert counts["kept of guests: events without user"] == 3
    assert counts["rows kept"] == 60
    assert made.examples["train"]["", "r1"]["label"] == [1, 0]


def test_an_unknown_item_is_kept_with_missing_values_and_counted(tmp_path: Path) -> None:
    made, _, counts, samples = spoilt(tmp_path, {"item": "new"})
    reason = "with missing values: events of items that the catalogue lacks"
    assert (counts[f"kept {reason}"], counts["rows kept"]) == (1, 60)
    assert samples[reason] == [{"file": str(tmp_path / "events.csv"), "row": str(ROW), "user": "u1", "item": "new"}]
    example = made.examples["train"]["u1", "r1"]
    assert (example["item"], example["title"]) == (["a", "new"], ["blue mug", ""])
    assert math.isnan(example["price"][1])


def test_an_unknown_item_is_rejected_where_the_file_says_so(tmp_path: Path) -> None:
    made, _, counts, samples = spoilt(tmp_path, {"item": "new"}, f"{SHOP}unknown_items: reject\n")
    reason = "an item that the catalogue lacks"
    assert (counts[f"rejected: {reason}"], counts["rows kept"]) == (1, 59)
    assert samples[reason][0]["row"] == str(ROW)
    assert made.examples["train"]["u1", "r1"]["item"] == ["a"]


def test_a_user_that_the_table_lacks_is_kept_and_counted(tmp_path: Path) -> None:
    made, _, counts, _ = spoilt(tmp_path, {"user": "nobody"}, rows=(3, 4, 5))
    assert counts["kept with missing values: requests of users that the users' table lacks"] == 1
    assert math.isnan(made.examples["train"]["nobody", "r1"]["age"][0])


def test_a_number_that_is_none_is_missing_and_counted(tmp_path: Path) -> None:
    made, _, counts, samples = spoilt(tmp_path, {"shown_price": "cheap"})
    assert counts["kept as missing: shown_price isn't a number"] == 1
    assert samples["as missing: shown_price isn't a number"][0]["shown_price"] == "cheap"
    assert math.isnan(made.examples["train"]["u1", "r1"]["shown_price"][1])


def test_ten_megabytes_of_title_are_cut_and_counted_and_the_report_stays_small(tmp_path: Path) -> None:
    shop(tmp_path, items=[ITEMS[0] | {"title": "ü" * 5_000_000}, ITEMS[1]])
    made, _, counts, samples = run_ingest(tmp_path)
    assert counts["items: kept cut at 65,536 characters: title"] == 1
    (sample,) = samples["items: cut at 65,536 characters: title"]
    assert sample == {"file": str(tmp_path / "items.csv"), "row": "0", "title": f"{'ü' * 100}… (5,000,000 characters)"}
    assert made.examples["test"]["u2", "r17"]["title"] == ["ü" * 65_536, "red mug"]


def test_ten_megabytes_in_an_event_are_cut_and_counted(tmp_path: Path) -> None:
    made, _, counts, _ = spoilt(tmp_path, {"page": "x" * 10_000_000}, rows=(3,))
    assert counts["kept cut at 65,536 characters: page"] == 1
    assert made.examples["train"]["u1", "r1"]["page"] == ["x" * 65_536]


def test_flaws_of_the_tables_are_counted_behind_their_names(tmp_path: Path) -> None:
    flawed = [{"id": "", "title": "no name", "price": "1"}, ITEMS[0] | {"price": "-1"}, ITEMS[1] | {"price": "free"}]
    shop(tmp_path, items=[*ITEMS, *flawed], users=[*USERS, USERS[0] | {"age": "9"}])
    made, _, counts, samples = run_ingest(tmp_path)
    assert {name: number for name, number in counts.items() if name.startswith(("items: ", "users: "))} == {
        "items: rows read": 5,
        "items: rows kept": 2,
        "items: rejected: no id": 1,
        "items: left out: earlier rows of an id that stands twice": 2,
        "items: kept as missing: price is below 0": 1,
        "items: kept as missing: price isn't a number": 1,
        "users: rows read": 4,
        "users: rows kept": 3,
        "users: left out: earlier rows of an id that stands twice": 1,
    }
    assert {reason: (rows[0]["file"], rows[0]["row"]) for reason, rows in samples.items()} == {
        "items: no id": (str(tmp_path / "items.csv"), "2"),
        "items: as missing: price is below 0": (str(tmp_path / "items.csv"), "3"),
        "items: as missing: price isn't a number": (str(tmp_path / "items.csv"), "4"),
    }
    assert made.examples["train"]["u0", "r0"]["age"] == [9]
    assert all(math.isnan(price) for price in made.examples["train"]["u0", "r0"]["price"])


@pytest.mark.parametrize(
    ("change", "told_of"),
    [
        (
            {"at": "soon"},
            ["events.csv: no time in column 'at' can be parsed, the first is 'soon'; expected ISO 8601 or numbers since 1970"],
        ),
        (
            {"shown_price": "cheap"},
            [
                "events.csv, from row 0: expected numbers in column 'shown_price'",
                "got 'cheap'; is it the right column, and the right kind?",
            ],
        ),
        ({"at": "2030-12-31"}, ["events.csv, kept none (", "rejected: the time lies in the future: 60", "'row': '0'"]),
        ({"action": "hover"}, ["events.csv, kept none (", "rejected: unknown action: 60", "'action': 'hover'", "what its columns mean?"]),
        ({"user": ""}, ["events.csv, kept none (", "rejected: no user: 60", "'row': '0'"]),
    ],
)
def test_where_no_row_can_be_used_ingestion_stops_and_says_why(tmp_path: Path, change: dict[str, str], told_of: list[str]) -> None:
    with pytest.raises(InputError) as error:
        spoilt(tmp_path, change, rows=tuple(range(60)))
    assert str(tmp_path) in str(error.value)
    assert [part for part in told_of if part not in str(error.value)] == []


@pytest.mark.parametrize(
    ("windows", "empty"),
    [
        ("{eval: 2026-01-01, test: 2026-02-01 10:00}", "train"),
        ("{eval: 2026-02-01 10:00, test: 2026-02-01 10:30}", "eval"),
        ("{eval: 2026-02-01 10:00, test: 2026-03-01}", "test"),
        ("{eval: 2026-03-01, test: 2026-03-02}", "eval, test"),
        ("{eval: 2026-02-01 20:00, test: 50%}", "eval"),
    ],
)
def test_an_empty_split_is_an_error_that_names_the_windows_and_the_counts(tmp_path: Path, windows: str, empty: str) -> None:
    shop(tmp_path)
    report = run_ingest(tmp_path, f"{SHOP}windows: {windows}\n").report
    with pytest.raises(InputError) as error:
        require_examples(report)
    message = str(error.value)
    assert f"found none in {empty};" in message
    assert "look at `windows`" in message
    assert report["window"]["eval"] in message
    assert "rows read: 60" in message


def test_full_splits_are_no_error(tmp_path: Path) -> None:
    shop(tmp_path)
    require_examples(run_ingest(tmp_path).report)


def test_an_empty_file_among_others_is_listed(tmp_path: Path) -> None:
    shop(tmp_path)
    write(tmp_path, "logs/1.csv", as_csv(requests()))
    write(tmp_path, "logs/2.csv", "")
    write(tmp_path, "logs/3.csv", as_csv(requests()).splitlines()[0])
    _, report, counts, _ = run_ingest(tmp_path, SHOP.replace("events.csv", "logs/*.csv"))
    assert (counts["files read"], counts["empty files"], counts["rows read"]) == (2, 1, 60)  # 3.csv holds names of columns alone
    assert report["empty_files"] == [str(tmp_path / "logs" / "2.csv")]


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"events.csv": ""}, "events.csv: expected events, found no row; is this the right data folder"),
        ({"events.csv": "at,user,action,request,page,shown_price,item\n"}, "events.csv, kept none (no row); is this the right data folder"),
        ({"elsewhere.csv": "at\n"}, "events.csv: expected at least one file, found none; check `path` and the data folder"),
        ({"items.csv": ""}, "items.csv: expected rows with an id in column 'id', found none; is this the right data folder"),
        ({"items.csv": None}, "items.csv: expected at least one file, found none; check `path` and the data folder"),
    ],
)
def test_without_rows_or_files_ingestion_stops(tmp_path: Path, files: dict[str, Any], message: str) -> None:
    shop(tmp_path)
    if "elsewhere.csv" in files:
        (tmp_path / "events.csv").unlink()
    for name, content in files.items():
        if content is None:
            (tmp_path / name).unlink()
        else:
            write(tmp_path, name, content)
    with pytest.raises(InputError) as error:
        run_ingest(tmp_path)
    assert message in str(error.value)
    assert str(tmp_path) in str(error.value)


def test_what_the_file_leaves_out_is_counted(tmp_path: Path) -> None:
    text = SHOP.replace("  path: events.csv", "  path: events.csv\n  where: page <> 'bot'")
    shop(
        tmp_path,
        events=[row | ({"page": "bot"} if n in (3, 4) else {"action": "hover"} if n == 5 else {}) for n, row in enumerate(requests())],
    )
    counts = run_ingest(tmp_path, f"{text}ignore_actions: [hover]\n").counts
    assert counts["left out: by the condition `where`"] == 2
    assert counts["left out: ignored actions"] == 1
    assert counts["rows kept"] == 57


@pytest.mark.parametrize(("where", "message"), [("page >", "isn't SQL that can be read"), ("page > 5", "can't be applied")])
def test_a_condition_that_cannot_be_applied_is_an_error(tmp_path: Path, where: str, message: str) -> None:
    shop(tmp_path)
    with pytest.raises(InputError, match=message):
        run_ingest(tmp_path, SHOP.replace("  path: events.csv", f"  path: events.csv\n  where: {where}"))


def test_exact_duplicates_are_left_out_and_counted(tmp_path: Path) -> None:
    shop(tmp_path, events=[*requests(), *requests()[:4]])
    counts = run_ingest(tmp_path).counts
    assert (counts["rows read"], counts["left out: exact duplicates"], counts["rows kept"]) == (64, 4, 60)
