"""`shelfrank guard` on the command line: it moves labels by what the log says, and never forgets a decision."""

import json
import os
from pathlib import Path

import pytest

from components.release.labels import read_labels
from components.release.manifest import Manifest
from components.release.publish import publish
from pipeline.cli.main import main
from pipeline.ops.guard import LEDGER
from pipeline.terminal.exit_code import EXIT_PROMOTED, EXIT_ROLLED_BACK
from serving.guard.trial_store import TrialStore
from tests.serving.exposure.shop_log import SHOP
from tests.serving.guard.stream import GOOD, Side, stream, write

LIMITS = ("--click-loss", "0.2", "--error-rise", "0.02", "--slow-rise", "0.05", "--min-requests", "300", "--click-s", "60")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Releases 1 to 3, of which 2 is stable and 3 the canary since before the log began."""
    for version in (1, 2, 3):
        model = tmp_path / "made" / str(version)
        model.mkdir(parents=True)
        (model / "saved_model.pb").write_text(f"model {version}")
        publish(model, tmp_path / "releases", Manifest(version, "shop", "", {}, {}, (), ("x",), "c"))
    (tmp_path / "shop.yaml").write_text(SHOP)
    for version, label in ((1, "stable"), (2, "stable"), (3, "canary")):
        assert main(["releases", "promote", str(version), "--label", label, "--root", str(tmp_path)]) == 0
    os.utime(tmp_path / "releases" / "labels.json", (1_700_000_000, 1_700_000_000))
    (tmp_path / "log").mkdir()
    return tmp_path


def guard(root: Path, *options: str) -> int:
    places = ("--dataset", str(root / "shop.yaml"), "--releases", str(root / "releases"), "--log", str(root / "log"))
    return main(["guard", *places, *LIMITS, *options])


def labels(root: Path) -> dict[str, int]:
    labels = read_labels(root / "releases")
    assert labels is not None
    return labels.now


def journal(root: Path) -> list[dict[str, object]]:
    file = root / "releases" / "guard.jsonl"
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def test_a_bad_canary_is_rolled_back_onto_stable_and_the_journal_says_why(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(root / "log", stream(Side(failed=0.3), requests=2_000, seed=1))
    assert guard(root, "--dry-run", "--once") == EXIT_ROLLED_BACK
    assert (labels(root)["canary"], journal(root), (root / "releases" / LEDGER).exists()) == (3, [], False)
    assert guard(root, "--once") == EXIT_ROLLED_BACK
    assert labels(root) == {"canary": 2, "previous": 1, "stable": 2}
    (entry,) = journal(root)
    assert (entry["canary"], entry["stable"], entry["decision"], entry["done"]) == (3, 2, "roll back", True)
    assert "requests failed" in str(entry["reason"])
    assert f"release 3 against 2: roll back: {entry['reason']}" in capsys.readouterr().out
    assert guard(root, "--once") == 0
    assert "nothing is on trial: canary is release 2, stable release 2" in capsys.readouterr().out


def test_a_better_canary_is_promoted_and_the_former_stable_is_previous(root: Path) -> None:
    write(root / "log", stream(Side(clicked=0.35), requests=5_000, seed=1))
    assert guard(root, "--once") == EXIT_PROMOTED
    assert labels(root) == {"canary": 3, "previous": 2, "stable": 3}
    ((clicked, settled),) = [(entry["clicked"], entry["settled"]) for entry in journal(root)]
    assert isinstance(clicked, dict)
    assert isinstance(settled, dict)
    assert all(0.1 < clicked[side] / settled[side] < 0.5 for side in ("canary", "stable"))


def test_while_nothing_is_decided_it_goes_on(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(root / "log", stream(GOOD, requests=600, seed=1))
    assert guard(root, "--once") == 0
    assert labels(root)["canary"] == 3
    assert "release 3 against 2: go on: " in capsys.readouterr().out


def test_a_decision_outlives_a_model_server_that_does_not_answer(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(root / "log", stream(Side(failed=0.3), requests=2_000, seed=1))
    assert guard(root, "--once", "--model-server", "127.0.0.1:1", "--timeout", "0.5") == 1
    assert "it didn't answer in time" in capsys.readouterr().err
    assert (labels(root)["canary"], journal(root)) == (3, [])
    for path in (root / "log").iterdir():
        path.unlink()
    assert guard(root, "--once") == EXIT_ROLLED_BACK
    assert labels(root)["canary"] == 2
    assert len(journal(root)) == 1


def test_a_decision_on_labels_that_somebody_moved_is_dropped(root: Path) -> None:
    write(root / "log", stream(Side(failed=0.3), requests=2_000, seed=1))
    assert guard(root, "--once", "--model-server", "127.0.0.1:1", "--timeout", "0.5") == 1
    assert main(["releases", "promote", "1", "--label", "canary", "--root", str(root)]) == 0
    assert guard(root, "--once") == 0
    assert labels(root) == {"canary": 1, "previous": 1, "stable": 2}
    assert [entry["done"] for entry in journal(root)] == [False]


def test_killed_between_labels_and_journal_it_completes_the_journal(root: Path) -> None:
    write(root / "log", stream(Side(failed=0.3), requests=2_000, seed=1))
    assert guard(root, "--once", "--model-server", "127.0.0.1:1", "--timeout", "0.5") == 1
    assert main(["releases", "rollback", "--label", "canary", "--root", str(root)]) == 0
    for _ in range(2):
        assert guard(root, "--once") == 0
    assert [(entry["decision"], entry["done"]) for entry in journal(root)] == [("roll back", True)]
    ledger = TrialStore(root / "releases" / LEDGER)
    assert ledger.state() is None
    ledger.close()


def test_a_log_that_is_not_there_is_bad_input(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (root / "log").rmdir()
    assert guard(root, "--once") == 2
    assert "log: expected a folder, there is none" in capsys.readouterr().err
