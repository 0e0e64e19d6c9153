"""Data of rows: each is a request with one candidate, and its label stands in it."""

from pathlib import Path

import polars as pl
import pytest

from components.ingest.report import require_examples
from tests.components.ingest.generators.plain_shop import IngestRun, run_ingest
from tests.components.ingest.generators.random_shops import everything

TEXT = """\
name: ads
events: {path: e.csv, columns: {label: clicked}}
actions: {click: {label: 1}}
candidates: {from: rows}
windows: {by: hash, eval: 30%, test: 30%}
features:
  - {name: site, kind: category, side: context}
  - {name: bid, kind: number, side: item, source: events, minimum: 0}
"""
TIMED = TEXT.replace("{label: clicked}", "{label: clicked, time: at, request: id}").replace("by: hash, ", "")


def rows(folder: Path, text: str = TEXT, **columns: list[str]) -> IngestRun:
    pl.DataFrame({"clicked": ["1", "0", "0.5", "-1"], "site": list("abab"), "bid": ["1", "2", "", "4"]} | columns).write_csv(
        folder / "e.csv"
    )
    return run_ingest(folder, text)


def test_each_row_is_a_request_that_is_named_by_its_place(tmp_path: Path) -> None:
    examples = {name: columns for (_, name), (_, columns) in everything(rows(tmp_path).made.examples).items()}
    assert sorted(examples) == ["row-0-0", "row-0-1", "row-0-2", "row-0-3"]
    assert [examples[f"row-0-{n}"]["label"] for n in range(4)] == [[1], [0], [1], [0]]  # more than 0 is positive
    assert [examples[f"row-0-{n}"]["site"] for n in range(4)] == [["a"], ["b"], ["a"], ["b"]]
    assert str([examples[f"row-0-{n}"]["bid"] for n in range(4)]) == "[[1.0], [2.0], [nan], [4.0]]"


def test_rows_that_are_alike_are_not_one(tmp_path: Path) -> None:
    """Without time and request nothing says that they are the same case."""
    counts = rows(tmp_path, clicked=["1"] * 4, site=["a"] * 4, bid=["1"] * 4).counts
    assert counts["rows kept"] == counts["requests formed"] == 4
    assert "left out: exact duplicates" not in counts


def test_rows_that_name_their_request_and_are_alike_are_one(tmp_path: Path) -> None:
    ids, at = ["x", "x", "y", "z"], ["2026-02-01", "2026-02-01", "2026-02-02", "2026-02-03"]
    counts = rows(tmp_path, TIMED, clicked=["1"] * 4, site=["a"] * 4, bid=["1"] * 4, id=ids, at=at).counts
    assert (counts["left out: exact duplicates"], counts["rows kept"]) == (1, 3)


def test_windows_of_time_split_rows_that_have_one(tmp_path: Path) -> None:
    at = [f"2026-02-0{day}" for day in (1, 4, 8, 9)]  # of eight days the last 2.4 test, and the 2.4 before them evaluate
    made = rows(tmp_path, TIMED, id=["x", "y", "z", "w"], at=at).made
    assert {split: sorted(name for _, name in result) for split, result in made.examples.items()} == {
        "train": ["x", "y"],
        "eval": [],
        "test": ["w", "z"],
    }


@pytest.mark.parametrize("label", ["", "yes", "nan", "inf"])
def test_a_label_that_is_no_number_is_rejected(tmp_path: Path, label: str) -> None:
    _, _, counts, samples = rows(tmp_path, clicked=["1", "0", label, "1"])
    assert (counts["rejected: the label isn't a number"], counts["rows kept"]) == (1, 3)
    assert samples["the label isn't a number"][0]["row"] == "2"


def test_a_bid_below_its_minimum_is_rejected(tmp_path: Path) -> None:
    counts = rows(tmp_path, bid=["1", "-2", "3", "4"]).counts
    assert (counts["rejected: bid is below 0"], counts["rows kept"]) == (1, 3)


def test_a_thousand_rows_fill_all_splits_by_their_shares(tmp_path: Path) -> None:
    result = rows(tmp_path, clicked=["1", "0"] * 500, site=["a"] * 1000, bid=["1"] * 1000)
    require_examples(result.report)
    shares = [result.counts[f"examples: {split} requests"] / 1000 for split in ("train", "eval", "test")]
    assert shares == pytest.approx([0.4, 0.3, 0.3], abs=0.06)  # 4 standard deviations
