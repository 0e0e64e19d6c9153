"""Rows of a CSV file: those of too few or too many fields are rejected, and a quote that swallows lines is told."""

from pathlib import Path

import polars as pl
import pytest

from components.contract.errors import InputError
from components.ingest.formats import readers
from components.ingest.formats.csv_rows import SWALLOWED
from tests.components.ingest.generators.plain_shop import SHOP, IngestRun, as_csv, requests, run_ingest, shop

LINES = as_csv(requests()).splitlines()  # LINES[n] is row n - 1 and, in an editor, line n + 1
UNEVEN = "a CSV row has too few or too many fields"


def changed(folder: Path, changes: dict[int, str]) -> IngestRun:
    """The shop, with other text on some lines of its events."""
    shop(folder, events="".join(f"{changes.get(n, line)}\n" for n, line in enumerate(LINES)))
    return run_ingest(folder)


@pytest.mark.parametrize("text", ["x,y", f"{LINES[5]},z", LINES[5].rsplit(",", 1)[0]])
def test_a_row_of_too_few_or_too_many_fields_is_rejected_and_shown(tmp_path: Path, text: str) -> None:
    _, _, counts, samples = changed(tmp_path, {5: text})
    assert (counts["rows read"], counts[f"rejected: {UNEVEN}"], counts["rows kept"]) == (60, 1, 59)
    assert samples == {UNEVEN: [{"file": str(tmp_path / "events.csv"), "row": "4", "expected": "7", "got": text}]}


def test_the_rows_after_a_rejected_one_are_still_told_by_their_place_in_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readers, "CHUNK_BYTES", 300)  # four rows
    hover = {n: LINES[n].replace("show", "hover").replace("click", "hover") for n in (2, 9, 41)}
    _, _, counts, samples = changed(tmp_path, {5: "x", 6: "y", 20: "z"} | hover)
    assert (counts["rows read"], counts[f"rejected: {UNEVEN}"], counts["rejected: unknown action"]) == (60, 3, 3)
    assert [sample["row"] for sample in samples[UNEVEN]] == ["4", "5", "19"]
    assert [sample["row"] for sample in samples["unknown action"]] == ["1", "8", "40"]


def test_a_file_cut_off_within_a_row_is_read_but_for_that_row(tmp_path: Path) -> None:
    shop(tmp_path, events="\n".join(LINES)[:-30])
    counts = run_ingest(tmp_path).counts
    assert (counts["rows read"], counts["rows kept"], counts[f"rejected: {UNEVEN}"]) == (60, 59, 1)


@pytest.mark.parametrize("line", [5, 41])
@pytest.mark.parametrize("chunk", [64 << 20, 300], ids=["whole", "in chunks"])
def test_a_quote_that_is_never_closed_is_an_error_that_names_its_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: int, chunk: int
) -> None:
    monkeypatch.setattr(readers, "CHUNK_BYTES", chunk)
    message = rf"events.csv, line {line + 1}: .* met a quote \(.\) that is never closed; .*give `quote: ..`, or correct the line"
    with pytest.raises(InputError, match=message):
        changed(tmp_path, {line: LINES[line].replace("home", '"home')})


def test_text_behind_the_quote_that_closes_a_value_is_an_error_that_names_the_line_of_the_first_quote(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"events.csv, line 6: expected a quoted value to end with a quote and a separator, met '"):
        changed(tmp_path, {5: LINES[5].replace("home", '"home'), 30: LINES[30].replace("home", '"home"')})


def test_a_file_cut_off_within_quotes_is_read_but_for_that_row(tmp_path: Path) -> None:
    shop(tmp_path, events="\n".join([*LINES[:-1], LINES[-1].replace("home", '"home')]))
    _, _, counts, samples = run_ingest(tmp_path)
    assert (counts["rows read"], counts["rows kept"], counts["rejected: the file ends within a CSV row"]) == (60, 59, 1)
    assert samples["the file ends within a CSV row"][0]["row"] == "59"


def test_lines_that_a_quote_joins_although_each_could_be_a_row_are_counted_and_shown(tmp_path: Path) -> None:
    """By the letter of CSV this is one row: only that each of its lines has as many separators as a row gives it away."""
    _, _, counts, samples = changed(tmp_path, {5: LINES[5].replace("home", '"home'), 7: LINES[7].replace("home", 'home"')})
    assert (counts["rows read"], counts[f"kept {SWALLOWED}"]) == (58, 2)
    (sample,) = samples[SWALLOWED]
    assert (sample["file"], sample["row"]) == (str(tmp_path / "events.csv"), "4")


@pytest.mark.parametrize("chunk", [64 << 20, 91, 92])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_blank_lines_are_no_rows_and_no_flaw(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chunk: int, end: str) -> None:
    monkeypatch.setattr(readers, "CHUNK_BYTES", chunk)
    shop(tmp_path, events="".join(f"{line}{end * (1 + n % 4)}" for n, line in enumerate(LINES)))
    _, _, counts, samples = run_ingest(tmp_path)
    assert (counts["rows read"], counts["rows kept"], samples) == (60, 60, {})


@pytest.mark.parametrize("chunk", [64 << 20, 30, 47, 48])
def test_values_of_several_lines_are_whole_values(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chunk: int) -> None:
    shop(tmp_path, items=[{"id": "a", "title": "blue\nmug", "price": "5"}, {"id": "b", "title": 'a "red" mug,\n\nbig', "price": "6"}])
    if chunk < 64 << 20:  # long enough for every row of the tables, not for those of the events
        (tmp_path / "events.csv").rename(tmp_path / "events.parquet")
        pl.DataFrame(requests()).write_parquet(tmp_path / "events.parquet")
    monkeypatch.setattr(readers, "CHUNK_BYTES", chunk)
    made, _, counts, samples = run_ingest(tmp_path, SHOP.replace("events.csv", "events.*"))
    assert made.examples["train"]["u0", "r0"]["title"] == ["blue\nmug", 'a "red" mug,\n\nbig']
    assert (counts["items: rows kept"], samples) == (2, {})


@pytest.mark.parametrize("text", [f"\ufeff{as_csv(requests())}", as_csv(requests()).replace("\n", "\r\n"), "\n".join(LINES)])
def test_a_mark_before_the_names_and_other_ends_of_lines_change_nothing(tmp_path: Path, text: str) -> None:
    shop(tmp_path, events=text)
    _, _, counts, samples = run_ingest(tmp_path)
    assert (counts["rows read"], counts["rows kept"], samples) == (60, 60, {})


def test_another_separator_is_taken_from_the_dataset_file(tmp_path: Path) -> None:
    shop(tmp_path, events=as_csv(requests()).replace(",", ";"))
    assert run_ingest(tmp_path, SHOP.replace("  path: events.csv", "  path: events.csv\n  separator: ;")).counts["rows kept"] == 60
