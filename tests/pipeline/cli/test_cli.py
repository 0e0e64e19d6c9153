import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from components.contract.errors import DataFrozen, DatasetFileError, InputError, RefusedModel, RunError
from pipeline.cli.commands import default_shop
from pipeline.cli.main import main, parser
from pipeline.terminal.exit_code import exit_code
from tests.pipeline.shop import shop_without_model

COMMANDS = ("simulate", "validate", "run", "report", "releases", "compile", "submit", "schedule", "schema", "history")


EXITS = [(RunError("x"), 1), (DatasetFileError("x"), 2), (InputError("x"), 2), (RefusedModel("x"), 3), (DataFrozen("x"), 12)]


@pytest.mark.parametrize(("error", "code"), EXITS)
def test_exit_codes_tell_failure_bad_input_refused_model_and_frozen_data_apart(error, code: int) -> None:
    assert exit_code(error) == code


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_explains_itself_and_the_exit_codes(command: str, capsys) -> None:
    with pytest.raises(SystemExit) as ended:
        main([command, "--help"])
    assert ended.value.code == 0
    output = " ".join(capsys.readouterr().out.split())
    assert f"shelfrank {command}" in output
    assert "2 bad input" in output
    assert "3 the gates or the rehearsal refused the model" in output


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys; from pipeline.cli.main import parser; parser().format_help(); print(*{name.partition('.')[0] for name in sys.modules})"
    )
    loaded = subprocess.run(
        [sys.executable, "-c", code], env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}, capture_output=True, text=True, check=True
    )
    assert not {"numpy", "polars", "pydantic", "rich", "tensorflow", "tfx", "apache_beam", "kfp", "components.contract.dataset"} & set(
        loaded.stdout.split()
    )


def test_the_schema_is_json_schema_of_the_dataset_file(capsys) -> None:
    assert main(["schema"]) == 0
    schema = json.loads(capsys.readouterr().out)
    assert {"name", "events", "features"} <= set(schema["properties"])
    assert schema["additionalProperties"] is False


def test_a_missing_dataset_file_is_one_sentence_and_bad_input(capsys, tmp_path: Path) -> None:
    assert main(["run", str(tmp_path / "none.yaml")]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("shelfrank run: ")
    assert err.count("\n") == 1
    assert "none.yaml: expected a dataset file, found none" in err


def test_debug_shows_where_an_error_was_raised(tmp_path: Path) -> None:
    with pytest.raises(DatasetFileError):
        main(["run", str(tmp_path / "none.yaml"), "--debug"])


def test_a_report_without_a_run_says_how_to_start_one(capsys, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["report"]) == 1
    assert "no run has come to its end here; start one with `shelfrank run`" in capsys.readouterr().err
    assert main(["report", "--root", str(tmp_path)]) == 1
    assert f"{tmp_path}: no run has come to its end here" in capsys.readouterr().err


def test_the_same_seed_simulates_the_same_bytes_and_another_one_others(tmp_path: Path, capsys) -> None:
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        assert main(["simulate", "--out", str(tmp_path / name), "--events", "1500", "--days", "20", "--seed", str(seed), "--json"]) == 0
    capsys.readouterr()
    users = {name: (tmp_path / name / "users.parquet").read_bytes() for name in "abc"}
    assert users["a"] == users["b"] != users["c"]


def test_simulate_plants_what_is_asked_for_and_tells_what_it_wrote(tmp_path: Path, capsys) -> None:
    options = [
        "--events",
        "1500",
        "--days",
        "20",
        "--start",
        "2026-03-01",
        "--candidates",
        "4",
        "6",
        "--treatment",
        "0.5",
        "--drift-at",
        "2026-03-10",
        "--json",
    ]
    assert main(["simulate", "--out", str(tmp_path / "shop"), *options]) == 0
    output = json.loads(capsys.readouterr().out)
    assert output["out"] == str(tmp_path / "shop")
    assert sum(output["events"].values()) == pytest.approx(1500, rel=0.2)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (["--events", "3"], "events: expected a whole number from 1,000"),
        (["--start", "1.3.2026"], "--start: expected a day such as 2026-01-31, got '1.3.2026'"),
        (["--drift-at", "2020-01-01"], "drift_at: expected a day of the log"),
    ],
)
def test_a_shop_that_cannot_be_is_bad_input(tmp_path: Path, capsys, options: list[str], text: str) -> None:
    assert main(["simulate", "--out", str(tmp_path / "shop"), *options]) == 2
    assert text in capsys.readouterr().err


def test_simulate_overwrites_nothing(tmp_path: Path, capsys) -> None:
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "mine").write_text("kept")
    assert main(["simulate", "--out", str(tmp_path / "shop"), "--events", "1500"]) == 2
    assert "expected a folder that is new or empty" in capsys.readouterr().err
    assert (tmp_path / "shop" / "mine").read_text() == "kept"


def test_every_option_of_the_simulator_can_be_given() -> None:
    from dataclasses import fields

    from components.simulator import ShopConfig

    help_text = parser()._subparsers._group_actions[0].choices["simulate"].format_help()  # type: ignore[union-attr]
    for field in fields(ShopConfig):
        assert f"--{field.name.replace('_', '-')} " in help_text


def test_the_default_shop_is_the_one_the_simulator_writes(tmp_path: Path, capsys) -> None:
    assert main(["simulate", "--out", str(tmp_path / "shop"), "--events", "2500"]) == 0
    capsys.readouterr()
    assert main(["validate", str(default_shop()), "--data", str(tmp_path / "shop"), "--json"]) == 0
    assert "FAIL" not in {check["verdict"] for check in json.loads(capsys.readouterr().out)}


def test_data_that_does_not_fit_is_bad_input_with_the_table_printed(tmp_path: Path, capsys) -> None:
    assert main(["validate", str(default_shop()), "--data", str(tmp_path)]) == 2
    out, err = capsys.readouterr()
    assert "FAIL" in out
    assert "doesn't fit its data: events: files" in err


@pytest.mark.parametrize("command", ["validate", "run"])
@pytest.mark.parametrize(
    ("part", "message"),
    [
        ("model: {epocks: 1}", "model.epocks: unknown key 'epocks'; did you mean 'epochs'?"),
        ("tuning: {space: {droput: [0, 0.1]}}", "tuning.space.droput: unknown setting; did you mean 'dropout'?"),
    ],
)
def test_a_setting_of_the_model_that_cannot_be_is_told_before_anything_runs(
    tmp_path: Path, capsys, command: str, part: str, message: str
) -> None:
    (tmp_path / "shop.yaml").write_text(f"{shop_without_model()}\n{part}\n")
    assert main([command, str(tmp_path / "shop.yaml"), *(["--root", str(tmp_path / "run")] if command == "run" else [])]) == 2
    assert message in capsys.readouterr().err
