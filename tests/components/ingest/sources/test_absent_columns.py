"""Columns that only some sources, or some files of a source, have: missing in the others and counted; nowhere, an error."""

import json
import re
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from components.contract.errors import InputError
from components.contract.load import parse_dataset
from components.contract.sources import FillDown
from components.ingest.sources.files import layout
from components.ingest.sources.fill_down import filled_down
from components.validate import validate
from tests.components.ingest.generators.plain_shop import ITEMS, SHOP, Rows, requests, run_ingest, shop
from tests.components.ingest.generators.random_shops import ingested
from tests.components.ingest.without_beam import NOW_US

WRITERS: dict[str, Callable[[pl.DataFrame, Path], Any]] = {
    "csv": pl.DataFrame.write_csv,
    "parquet": pl.DataFrame.write_parquet,
    "jsonl": pl.DataFrame.write_ndjson,
}
DOC = Path(__file__).resolve().parents[4] / "docs" / "reference" / "dataset-file.md"
DOCUMENTED = re.findall(r"```yaml\n(.*?)```", DOC.read_text(), flags=re.DOTALL)[0]
COLUMNS = "columns: {time: at, user: user, item: item, action: action, request: request}"
ABSENT = "kept as missing: the file has no column 'page'"


def without(rows: Rows, *names: str) -> Rows:
    return [{name: value for name, value in row.items() if name not in names} for row in rows]


def write_log(folder: Path, name: str, rows: Rows) -> None:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    WRITERS[name.rpartition(".")[2]](pl.DataFrame(rows), path)


def checks(folder: Path, text: str) -> dict[str, tuple[str, str]]:
    return {check.name: (check.verdict, check.result) for check in validate(parse_dataset(text), str(folder), now_us=NOW_US)}


@pytest.mark.parametrize("ending", WRITERS)
def test_a_source_that_shows_nothing_needs_no_column_of_what_is_shown(tmp_path: Path, ending: str) -> None:
    """The documentation's own example: orders have neither the device nor the price that was shown."""
    shop(tmp_path)
    rows = requests()
    shown = [row for row in rows if row["action"] == "show"]
    write_log(tmp_path, f"shown.{ending}", shown)
    write_log(tmp_path, f"clicks.{ending}", without([row for row in rows if row["action"] == "click"], "page", "shown_price", "action"))
    sources = f"  - {{path: shown.{ending}, {COLUMNS}}}\n  - {{path: clicks.{ending}, action: click, {COLUMNS}}}".replace(
        "click, columns: {time: at, user: user, item: item, action: action", "click, columns: {time: at, user: user, item: item"
    )
    text = SHOP.replace(f"  path: events.csv\n  {COLUMNS}", sources)
    made, _, counts, samples = run_ingest(tmp_path, text)
    whole = run_ingest(tmp_path).made
    assert (counts["rows kept"], samples) == (60, {})
    assert repr(sorted(made.examples["train"].items())) == repr(sorted(whole.examples["train"].items()))
    assert {verdict for verdict, _ in checks(tmp_path, text).values()} == {"PASS"}


@pytest.mark.parametrize("ending", WRITERS)
def test_a_column_that_came_later_is_missing_in_the_files_before_and_counted(tmp_path: Path, ending: str) -> None:
    shop(tmp_path)
    rows = requests()
    write_log(tmp_path, f"log/1.{ending}", without(rows[:30], "page"))
    write_log(tmp_path, f"log/2.{ending}", rows[30:])
    text = SHOP.replace("events.csv", "log/*")
    made, _, counts, samples = run_ingest(tmp_path, text)
    assert (counts["rows kept"], counts[ABSENT]) == (60, 30)
    assert samples[ABSENT.removeprefix("kept ")] == [{"file": str(tmp_path / "log" / f"1.{ending}")}]
    pages = [example["page"][0] for split in made.examples.values() for example in split.values()]
    assert sorted(set(pages)) == ["", "home"]
    assert checks(tmp_path, text)[ABSENT] == ("WARN", "30 of 60 rows")
    assert checks(tmp_path, text)["events: columns are there"] == ("PASS", "all")


@pytest.mark.parametrize("ending", WRITERS)
def test_a_column_that_no_file_has_is_an_error_that_says_of_how_many(tmp_path: Path, ending: str) -> None:
    shop(tmp_path)
    rows = without(requests(), "page")
    write_log(tmp_path, f"log/1.{ending}", rows[:30])
    write_log(tmp_path, f"log/2.{ending}", rows[30:])
    text = SHOP.replace("events.csv", "log/*")
    message = r"1.\w+: expected a column 'page', which isn't there; .*; nor has any of the 1 other files that should"
    with pytest.raises(InputError, match=message):
        run_ingest(tmp_path, text)
    assert checks(tmp_path, text)["events: columns are there"][0] == "FAIL"


@pytest.mark.parametrize(("role", "column"), [("position", "place"), ("order", "step"), ("session", "visit")])
def test_a_role_that_a_row_can_do_without_may_be_absent_from_a_file(tmp_path: Path, role: str, column: str) -> None:
    shop(tmp_path)
    rows: Rows = [row | {column: str(n % 3)} for n, row in enumerate(requests())]
    write_log(tmp_path, "log/1.csv", without(rows[:30], column))
    write_log(tmp_path, "log/2.csv", rows[30:])
    text = SHOP.replace("events.csv", "log/*").replace("request: request}", f"request: request, {role}: {column}}}")
    counts = run_ingest(tmp_path, text).counts
    assert (counts["rows kept"], counts[f"kept as missing: the file has no column {column!r}"]) == (60, 30)
    write_log(tmp_path, "log/2.csv", without(rows[30:], column))
    with pytest.raises(InputError, match=f"expected a column '{column}'"):
        run_ingest(tmp_path, text)


@pytest.mark.parametrize("column", ["at", "user", "item", "action", "request"])
def test_a_role_that_a_row_can_not_do_without_is_needed_in_each_file(tmp_path: Path, column: str) -> None:
    shop(tmp_path)
    write_log(tmp_path, "log/1.csv", requests()[:30])
    write_log(tmp_path, "log/2.csv", without(requests()[30:], column))
    with pytest.raises(InputError, match=rf"2.csv: expected a column '{column}', which isn't there"):
        run_ingest(tmp_path, SHOP.replace("events.csv", "log/*"))


def test_a_feature_of_the_catalogue_may_be_absent_from_a_file_of_it(tmp_path: Path) -> None:
    shop(tmp_path)
    write_log(tmp_path, "items/1.csv", ITEMS[:1])
    write_log(tmp_path, "items/2.csv", without(ITEMS[1:], "title"))
    text = SHOP.replace("items.csv", "items/*")
    made, _, counts, _ = run_ingest(tmp_path, text)
    assert counts["items: kept as missing: the file has no column 'title'"] == 1
    assert made.examples["train"]["u0", "r0"]["title"] == ["blue mug", ""]
    assert checks(tmp_path, text)["items: kept as missing: the file has no column 'title'"][0] == "WARN"


def test_a_source_without_lists_needs_no_column_of_them(tmp_path: Path) -> None:
    shop(tmp_path)
    rows = requests()
    shown = without(rows[::3], "item", "action", "shown_price")
    write_log(tmp_path, "lists.csv", [row | {"items": "a|b", "prices": "5|6"} for row in shown])
    write_log(tmp_path, "clicks.csv", without([row for row in rows if row["action"] == "click"], "page", "shown_price", "action"))
    roles = "columns: {time: at, user: user, request: request, item: "
    sources = f"  - {{path: lists.csv, {roles}items}}, action: search}}\n  - {{path: clicks.csv, {roles}item}}, action: click}}"
    text = SHOP.replace(f"  path: events.csv\n  {COLUMNS}", sources)
    text = text.replace("actions: {show: {}", "attribution: 1h\nactions: {search: {}").replace(
        "{from: impressions, action: show}", "{from: list, action: search, items: items, columns: {shown_price: prices}}"
    )
    made = run_ingest(tmp_path, text).made
    assert made.examples["train"]["u0", "r0"]["item"] == ["a", "b"]
    assert made.examples["train"]["u0", "r0"]["shown_price"] == [5.0, 6.0]


def test_folders_name_columns_that_files_do_not_have(tmp_path: Path) -> None:
    shop(tmp_path)
    rows = without(requests(), "page", "action")
    for n, row in enumerate(rows):
        page = ["page=home%2Fall", "page=__HIVE_DEFAULT_PARTITION__"][n // 30]
        action = "click" if n % 3 == 2 else "show"
        write_log(tmp_path, f"log/{page}/action={action}/{n}.{['csv', 'jsonl', 'parquet'][n % 3]}", [row])
    (tmp_path / "log" / "page=home%2Fall" / "action=show" / "_SUCCESS").write_bytes(b"")
    text = SHOP.replace("events.csv", "log/*/*/*")
    made, _, counts, samples = run_ingest(tmp_path, text)
    assert (counts["rows kept"], samples) == (60, {})
    pages = {key: example["page"][0] for split in made.examples.values() for key, example in split.items()}
    assert (pages["u0", "r0"], pages["u0", "r18"]) == ("home/all", "")
    assert "events: columns are there" in checks(tmp_path, text)


def test_a_column_of_the_file_wins_over_its_folder(tmp_path: Path) -> None:
    shop(tmp_path)
    write_log(tmp_path, "page=shelf/1.csv", requests())
    made = run_ingest(tmp_path, SHOP.replace("events.csv", "page=shelf/1.csv")).made
    assert made.examples["train"]["u0", "r0"]["page"] == ["home"]


def orders(rows: Rows) -> Rows:
    """Time, user and page stand on the first of the rows of a request; blank, empty or null on the others."""
    blank = ["", None, " "]
    return [row if n % 3 == 0 else row | dict.fromkeys(("user", "page"), blank[n % 3]) for n, row in enumerate(rows)]


@pytest.mark.parametrize("ending", WRITERS)
@pytest.mark.parametrize("batch", [4, 1_000_000])
def test_values_on_the_first_row_of_several_are_filled_down_also_across_frames(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ending: str, batch: int
) -> None:
    monkeypatch.setattr("components.ingest.formats.readers.BLOCK_ROWS", batch)
    monkeypatch.setattr("components.ingest.sources.files.BLOCK_ROWS", batch)
    monkeypatch.setattr("components.ingest.formats.csv_rows.FRAME_ROWS", batch)
    monkeypatch.setattr("components.ingest.formats.readers.CHUNK_BYTES", 200 * batch)
    shop(tmp_path)
    whole = run_ingest(tmp_path).made
    rows = orders(requests())
    if ending == "parquet":
        pl.DataFrame(rows).write_parquet(tmp_path / "o.parquet", row_group_size=5)
    else:
        write_log(tmp_path, f"o.{ending}", rows)
    text = SHOP.replace("path: events.csv", f"path: o.{ending}\n  fill_down: {{within: request, columns: [user, page]}}")
    assert len(layout(parse_dataset(text), str(tmp_path)).blocks) == 1
    made = run_ingest(tmp_path, text).made
    assert repr(sorted(made.examples["train"].items())) == repr(sorted(whole.examples["train"].items()))


def test_nothing_is_filled_from_another_run_nor_where_the_run_has_no_name(tmp_path: Path) -> None:
    shop(tmp_path)
    rows = requests()
    changes: Rows = [{}, {"user": ""}, {}, {"user": ""}, {"request": "", "user": ""}, {}]
    write_log(tmp_path, "events.csv", [row | change for row, change in zip(rows, [*changes, *([{}] * 54)], strict=True)])
    counts = run_ingest(
        tmp_path, SHOP.replace("path: events.csv", "path: events.csv\n  fill_down: {within: request, columns: [user]}")
    ).counts
    # Of r0 the second row is filled; of r1 the first has no user above it, and the second no request.
    assert counts["rejected: no user"] == 2


@pytest.mark.parametrize("written", [["7", " 7", "7.0", "8"], [7.0, 7.0, 7.0, 8.0]])
def test_one_name_of_a_run_written_in_several_ways_is_one_run(written: list[object]) -> None:
    frame = pl.DataFrame({"order": written, "user": ["ann", None, "", None]}, strict=False)
    rule = FillDown(within="order", columns=("user",))
    for parts in ([frame], [frame[:1], frame[1:2], frame[2:]]):
        assert pl.concat(filled_down(iter(parts), rule))["user"].to_list() == ["ann", "ann", "ann", None]


def test_a_column_to_fill_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    shop(tmp_path)
    with pytest.raises(InputError, match="expected a column 'usr', which isn't there; did you mean 'user'"):
        run_ingest(tmp_path, SHOP.replace("path: events.csv", "path: events.csv\n  fill_down: {within: request, columns: [usr]}"))


def test_a_file_may_lack_a_feature_that_is_filled_down_where_another_has_it(tmp_path: Path) -> None:
    shop(tmp_path)
    rows = requests()
    write_log(tmp_path, "events.csv", rows[:30])
    write_log(tmp_path, "events-later.csv", [{name: value for name, value in row.items() if name != "page"} for row in rows[30:]])
    counts = run_ingest(tmp_path, SHOP.replace("path: events.csv", "path: events*.csv")).counts
    filled = run_ingest(
        tmp_path, SHOP.replace("path: events.csv", "path: events*.csv\n  fill_down: {within: request, columns: [user, page]}")
    ).counts
    assert filled == counts
    assert any("'page'" in name for name in counts)


def test_a_json_file_whose_rows_leave_a_key_out_lacks_the_column(tmp_path: Path) -> None:
    shop(tmp_path)
    rows = requests()
    lines = [json.dumps(row if n > 40 else {name: value for name, value in row.items() if name != "page"}) for n, row in enumerate(rows)]
    (tmp_path / "a.jsonl").write_text("\n".join(lines))
    counts = run_ingest(tmp_path, SHOP.replace("events.csv", "a.jsonl")).counts
    assert counts["rows kept"] == 60
    assert ABSENT not in counts


def test_the_shop_of_the_documentation_runs_on_files_as_they_are_shown_there(tmp_path: Path) -> None:
    """Every request has an order of its second product, seven minutes later."""
    at = [datetime(2026, 3, 1) + timedelta(hours=n) for n in range(60)]
    shopper = [("ann", "bob")[n % 2] for n in range(60)]
    shown = [
        {"at": at[n].isoformat(), "shopper": shopper[n], "sku": f"mug-{k}", "request": f"r{n}", "place": k, "device": "phone"}
        for n in range(60)
        for k in range(3)
    ]
    orders = [{"at": (at[n] + timedelta(minutes=7)).isoformat(), "shopper": shopper[n], "sku": "mug-1"} for n in range(60)]
    products = [{"sku": f"mug-{k}", "title": f"mug {k}", "brand": "b", "price": 3.5 + k, "tags": "a|b"} for k in range(3)]
    for name, rows in (("shown.csv", shown), ("orders.csv", orders), ("products.csv", products)):
        pl.DataFrame(rows).write_csv(tmp_path / name)
    made = ingested(DOCUMENTED, tmp_path, tmp_path / "out")
    examples = [example for split in made.examples.values() for example in split.values()]
    assert examples
    assert all((example["label"], example["device"]) == ([0, 1, 0], ["phone"]) for example in examples)
    verdicts = {name: verdict for name, (verdict, _) in checks(tmp_path, DOCUMENTED).items()}
    assert {name for name, verdict in verdicts.items() if verdict == "FAIL"} == set()
