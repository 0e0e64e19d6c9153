"""Where a run ends the data, all is as if the logs ended there, and what is left out is counted."""

from dataclasses import replace
from pathlib import Path

import pytest

from components.contract.errors import InputError
from components.ingest.block_steps import Job
from components.ingest.requests.splits import data_end_us
from components.ingest.sources.files import layout
from tests.components.ingest.generators.plain_shop import SHOP, parsed, requests, shop
from tests.components.ingest.without_beam import digests, job_of, run_steps

END = "2026-02-01T12:01:00+00:00"  # of 20 hours; the click of the thirteenth request comes at this moment


def made(folder: Path, text: str, data: Path, *, until: str = "") -> tuple[dict[str, str], dict[str, int]]:
    job: Job = replace(job_of(text, data, folder), ends_us=data_end_us(parsed(text), until))
    _, counts = run_steps(job, layout(parsed(text), str(data)).blocks)
    (folder / "state" / "sources.json").unlink()  # which names the run's end
    return digests(folder / "examples") | digests(folder / "state"), counts.numbers


@pytest.mark.parametrize("windows", ["", "windows: {until: 2026-02-01T16:00:00}\n"])
def test_the_data_ends_where_it_is_told_to_whatever_the_dataset_file_says(tmp_path: Path, windows: str) -> None:
    shop(tmp_path / "whole")
    shop(tmp_path / "cut", events=[row for row in requests() if row["at"] <= END])
    ended, counts = made(tmp_path / "ended", SHOP + windows, tmp_path / "whole", until=END)
    expected, _ = made(tmp_path / "expected", SHOP, tmp_path / "cut")
    assert ended == expected
    assert counts["left out: after data_until"] == 3 * 7
    assert counts["rows read"] == counts["rows kept"] + 3 * 7


def test_a_run_that_names_no_end_is_as_before(tmp_path: Path) -> None:
    shop(tmp_path / "data")
    whole, counts = made(tmp_path / "a", SHOP, tmp_path / "data")
    later, _ = made(tmp_path / "b", SHOP, tmp_path / "data", until="2027-01-01")
    assert whole == later
    assert not [name for name in counts if "data_until" in name]


def test_an_end_is_read_as_the_dates_of_the_dataset_file() -> None:
    dataset = parsed(SHOP)
    assert data_end_us(dataset, "") is None
    assert data_end_us(dataset, "2026-02-01") == data_end_us(dataset, "2026-02-01T01:00:00+01:00") == 1_769_904_000_000_000


@pytest.mark.parametrize("data_until", ["1.2.2026", "15%", "0.5"])
def test_an_end_that_is_no_moment_is_refused(data_until: str) -> None:
    with pytest.raises(InputError, match="data_until: expected a date or date-time such as 2026-01-31"):
        data_end_us(parsed(SHOP), data_until)


def test_rows_without_time_have_no_end() -> None:
    text = (
        "name: rows\nevents: {path: e.csv, columns: {user: u, item: i, label: y}}\nactions: {click: {label: 1}}\n"
        "candidates: {from: rows}\nwindows: {by: hash}\nfeatures: [{name: item, kind: id, side: item}]\n"
    )
    with pytest.raises(InputError, match="data_until: expected rows with a time to end at 2026-02-01, got a source without"):
        data_end_us(parsed(text), "2026-02-01")
