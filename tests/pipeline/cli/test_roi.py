"""`shelfrank roi` on the command line: from files to a page, a PDF, JSON and a table; bad input ends in 2."""

import json
from pathlib import Path

import pytest

from pipeline.cli.main import main
from tests.components.experiment.roi.programme import PRICES, REPORTS


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    (tmp_path / "reports").mkdir()
    for report in REPORTS:
        (tmp_path / "reports" / f"{report.experiment}.json").write_text(report.model_dump_json())
    (tmp_path / "prices.yaml").write_text(PRICES)
    releases = tmp_path / "root" / "releases"
    releases.mkdir(parents=True)
    counts = {"settled": {"canary": 10_000, "stable": 100_000}, "clicked": {"canary": 800, "stable": 10_000}}
    entry = {"decided": "2026-03-05T03:00:00+00:00", "canary": 7, "reason": "worse", "decision": "roll back", "done": True, **counts}
    (releases / "guard.jsonl").write_text(json.dumps(entry) + "\n")
    return tmp_path


def roi(shop: Path, *options: str) -> int:
    return main(["roi", str(shop / "reports"), "--prices", str(shop / "prices.yaml"), *options])


def test_files_become_a_page_a_pdf_and_a_table(shop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert roi(shop, "--root", str(shop / "root"), "--html", str(shop / "out" / "roi.html"), "--pdf", str(shop / "out" / "roi.pdf")) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "2 improvements were given to all shoppers" in out
    assert "taken back: version 7, 2026-03-05: it lost 20.0 % of clicks" in out
    assert (shop / "out" / "roi.html").read_text().startswith("<!doctype html>")
    assert (shop / "out" / "roi.pdf").read_bytes().startswith(b"%PDF")


def test_reports_are_found_below_a_folder_beside_other_files(shop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for report in REPORTS:
        (shop / "nested" / report.experiment).mkdir(parents=True)
        (shop / "nested" / report.experiment / "experiment_report.json").write_text(report.model_dump_json())
    (shop / "nested" / "plan.json").write_text("{}")
    assert main(["roi", str(shop / "nested"), "--prices", str(shop / "prices.yaml"), "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["arms"]) == 3


def test_json_has_all_figures_and_is_the_same_each_time(shop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    documents = []
    for _ in range(2):
        assert roi(shop, "--json") == 0
        documents.append(json.loads(capsys.readouterr().out))
    assert documents[0] == documents[1]
    assert {"revenue", "margin", "basket", "retention", "holdout", "avoided", "costs", "payback", "sensitivity", "assumptions"} <= {
        *documents[0]
    }
    assert [row["experiment"] for row in documents[0]["arms"]] == ["one", "two", "three"]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("currency: EUR", "currency: ERU", "unknown currency 'ERU'"),
        ("currency: EUR", "currency: USD", "one: its report is in EUR, the price file in USD"),
        ("from: 2026-01-01\nuntil: 2026-04-11", "from: 2999-01-01", "isn't past yet"),
    ],
)
def test_bad_input_ends_in_2_with_what_to_do(shop: Path, capsys: pytest.CaptureFixture[str], old: str, new: str, message: str) -> None:
    assert old in PRICES
    (shop / "prices.yaml").write_text(PRICES.replace(old, new))
    assert roi(shop) == 2
    assert message in capsys.readouterr().err


def test_files_that_arent_there_are_named(shop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert roi(shop, "--root", str(shop / "nowhere")) == 2
    assert "expected a folder of runs, there is none" in capsys.readouterr().err
    (shop / "empty").mkdir()
    assert main(["roi", str(shop / "empty"), "--prices", str(shop / "prices.yaml")]) == 2
    assert (
        "expected reports of `shelfrank experiment report`, files `experiment_report.json` or `*.json`, found none"
        in capsys.readouterr().err
    )
    assert main(["roi", str(shop / "reports"), "--prices", str(shop / "none.yaml")]) == 2
    assert "expected a price file, found none" in capsys.readouterr().err
    (shop / "reports" / "four.json").write_text("{}")
    assert roi(shop) == 2
    assert "four.json: expected a report" in capsys.readouterr().err
