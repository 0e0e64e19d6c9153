"""`shelfrank init`: what it writes, says and refuses, and that it never waits where nobody can answer."""

import json
import os
import pty
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from benchmarks.ingest.public_logs import make_world, write_public
from pipeline.cli import init as init_module
from pipeline.cli.main import main
from pipeline.terminal.exit_code import EXIT_BAD_INPUT
from tests.components.profiling.drafted import write_csv
from tests.components.profiling.test_draft import catalogue, visits

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """Two logs and a catalogue."""
    folder = tmp_path / "shop"
    common = [{"at": v["at"].isoformat(), "shopper": f"s{v['user']}", "request": f"r{v['n']}"} for v in visits()]
    shown = [
        {**row, "sku": f"SKU-{item:04d}", "place": at}
        for row, v in zip(common, visits(), strict=True)
        for at, item in enumerate(v["shown"])
    ]
    bought = [{**row, "sku": f"SKU-{v['taken'][0]:04d}"} for row, v in zip(common, visits(), strict=True)]
    write_csv(folder / "shown.csv", shown)
    write_csv(folder / "orders.csv", bought)
    write_csv(folder / "products.csv", [{"sku": row["code"], "title": row["caption"], "price": row["retail"]} for row in catalogue()])
    return folder


def test_it_writes_a_file_that_fits_and_says_what_it_took_for_what(
    shop: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(shop.parent)
    assert main(["init", "shop", "-o", "shop.yaml"]) == 0
    dataset = yaml.safe_load((shop.parent / "shop.yaml").read_text())
    assert {source["path"]: source["action"] for source in dataset["events"]} == {
        "shop/orders.csv": "purchase",
        "shop/shown.csv": "impression",
    }
    assert dataset["items"] == {"path": "shop/products.csv", "id": "sku"}
    printed = capsys.readouterr().out
    assert "shopper" in printed
    assert "PASS" in printed
    assert "shop.yaml is written" in printed
    assert main(["validate", "shop.yaml"]) == 0


def test_it_says_the_same_as_json(shop: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "drafts" / "mine.yaml"
    assert main(["init", str(shop), "-o", str(out), "--name", "mine", "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["dataset_file"] == str(out)
    assert printed["data_set"] is None
    roles = {(guess["file"], guess["what"]): guess["value"] for guess in printed["guesses"]}
    assert roles["shown.csv", "user"] == "shopper"
    assert roles["products.csv", "holds"] == "items"
    assert {check["verdict"] for check in printed["checks"]} <= {"PASS", "WARN"}
    dataset = yaml.safe_load(out.read_text())
    assert dataset["name"] == "mine"
    assert dataset["events"][0]["path"] == "../shop/orders.csv"


def test_a_file_that_is_there_is_kept_unless_told_otherwise(shop: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "shop.yaml"
    out.write_text("mine: true\n")
    assert main(["init", str(shop), "-o", str(out)]) == EXIT_BAD_INPUT
    assert "there is such a file already; --force replaces it" in capsys.readouterr().err
    assert out.read_text() == "mine: true\n"
    assert main(["init", str(shop), "-o", str(out), "--force"]) == 0
    assert "events" in yaml.safe_load(out.read_text())


def test_what_lies_beside_logs_in_a_folder_is_none(shop: Path) -> None:
    for name in ("README.txt", "notes.md", ".hidden.csv", "_SUCCESS", "plot.png", "shop.yaml"):
        (shop / name).write_text("not a log")
    assert [Path(path).name for path in init_module.files_of([str(shop)])] == ["orders.csv", "products.csv", "shown.csv"]


def test_flags_are_taken_at_their_word(shop: Path, tmp_path: Path) -> None:
    out = tmp_path / "shop.yaml"
    flags = ["--file", "shown.csv=ignore", "--action", "buy=orders:7", "--role", "request=-"]
    assert main(["init", str(shop), "-o", str(out), *flags]) == 0
    dataset = yaml.safe_load(out.read_text())
    assert [source["path"] for source in dataset["events"]] == ["shop/orders.csv"]
    assert dataset["actions"] == {"buy": {"label": 7}}
    assert "request" not in dataset["events"][0]["columns"]


def test_bad_files_end_with_bad_input(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["init", str(tmp_path / "none.csv"), "-o", str(tmp_path / "x.yaml")]) == EXIT_BAD_INPUT
    assert "expected a file or a folder, found none" in capsys.readouterr().err
    assert main(["init", "s3://bucket/a.csv", "-o", str(tmp_path / "x.yaml")]) == EXIT_BAD_INPUT
    assert "expected files of this machine" in capsys.readouterr().err
    assert not (tmp_path / "x.yaml").exists()


def test_a_draft_that_does_not_fit_is_written_and_ends_with_bad_input(
    shop: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = (shop / "orders.csv").read_text().splitlines()
    # From the 80th line on no order has a time that can be read.
    spoilt = [line if at < 80 else line.replace(line.split(",")[0], "yesterday") for at, line in enumerate(lines)]
    (shop / "orders.csv").write_text("\n".join(spoilt) + "\n")
    out = tmp_path / "shop.yaml"
    assert main(["init", str(shop), "-o", str(out), "--role", "orders.csv:time=at"]) == EXIT_BAD_INPUT
    assert "shop.yaml is written, and doesn't fit its data yet: times can be read" in capsys.readouterr().err
    assert out.exists()


def ambiguous(folder: Path) -> Path:
    rows = [
        {"date": f"{1 + n * 5 % 12:02d}/{1 + n * 7 % 11:02d}/2025", "user": f"u{n % 9}", "sku": f"k{n % 20}", "event": "purchase"}
        for n in range(300)
    ]
    return write_csv(folder / "log.csv", rows)


def environment() -> dict[str, str]:
    return os.environ | {"PYTHONPATH": os.pathsep.join(map(os.path.abspath, sys.path))}


def test_without_a_terminal_it_asks_nothing_and_names_the_flag(tmp_path: Path) -> None:
    log = ambiguous(tmp_path)
    command = [sys.executable, "-m", "pipeline.cli", "init", str(log), "-o", str(tmp_path / "shop.yaml")]
    # The pipe stays open and says nothing: whoever waited for it would wait for ever.
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment(), text=True
    ) as process:
        assert process.wait(timeout=300) == EXIT_BAD_INPUT
        assert process.stderr is not None
        assert "which comes first? Say it with --day-first or --month-first" in process.stderr.read()
    assert not (tmp_path / "shop.yaml").exists()


def test_on_a_terminal_it_asks_and_takes_the_answer(tmp_path: Path) -> None:
    log = ambiguous(tmp_path)
    out = tmp_path / "shop.yaml"
    ours, its = pty.openpty()
    command = [sys.executable, "-m", "pipeline.cli", "init", str(log), "-o", str(out)]
    with subprocess.Popen(command, stdin=its, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment(), text=True) as process:
        os.write(ours, b"sometime\nday\n")  # the first is no answer, and is asked again
        _, errors = process.communicate(timeout=300)
    os.close(its)
    os.close(ours)
    assert "which comes first?" in errors
    assert "expected one of month, day" in errors or "expected one of day, month" in errors
    assert yaml.safe_load(out.read_text())["events"][0]["time_format"] == "%d/%m/%Y"


def test_a_public_data_set_that_must_be_joined_says_so_and_is_prepared(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_public("mind", tmp_path / "mind", make_world(visits=300))
    command = ["init", str(tmp_path / "mind"), "-o", str(tmp_path / "mind.yaml")]
    assert main(command) == EXIT_BAD_INPUT
    said = capsys.readouterr().err
    assert "this is MIND (Microsoft News), which a dataset file can't describe as it is" in said
    assert "--prepare FOLDER" in said
    assert main([*command, "--prepare", str(tmp_path / "prepared"), "--json"]) == 0
    printed: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert printed["data_set"] == "MIND (Microsoft News)"
    assert yaml.safe_load((tmp_path / "mind.yaml").read_text())["events"][0]["path"] == "prepared/shown.parquet"


def test_known_data_sets_can_be_taken_for_unknown_ones(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_public("movielens", tmp_path / "ml", make_world(visits=300))
    assert main(["init", str(tmp_path / "ml"), "-o", str(tmp_path / "a.yaml"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["data_set"] == "MovieLens"
    assert main(["init", str(tmp_path / "ml"), "-o", str(tmp_path / "b.yaml"), "--json", "--unknown"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["data_set"] is None
    assert yaml.safe_load((tmp_path / "b.yaml").read_text())["events"][0]["columns"] == {
        "time": "timestamp",
        "user": "userId",
        "item": "movieId",
    }


def test_of_large_files_a_sample_is_validated(
    shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(init_module, "MAX_VALIDATED_BYTES", 1000)
    assert main(["init", str(shop), "-o", str(tmp_path / "shop.yaml"), "--json"]) == 0
    checks = json.loads(capsys.readouterr().out)["checks"]
    assert all(check["found"].endswith("(of a sample)") for check in checks)
    assert any(check["name"] == "events: files can be read" and "1,050 rows in 2 files" in check["found"] for check in checks)
