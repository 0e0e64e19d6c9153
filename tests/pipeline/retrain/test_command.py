"""`shelfrank retrain` and `shelfrank history` on the command line, with the training left to the cheap stand-in."""

import json
import os
import signal
import subprocess
import sys
import urllib.request
from datetime import UTC, datetime
from pathlib import Path

import pytest

from components.contract.errors import RunError
from components.contract.storage.object_store import Address
from components.drift.decision import Action, Reason
from components.release.outcomes import record_outcome
from components.release.run_outcome import RunOutcome
from pipeline.cli.main import main
from pipeline.retrain.training import LocalTrainer, _run
from pipeline.terminal.exit_code import EXIT_FROZEN, EXIT_ROLLED_BACK
from tests.bare_dataset import BARE
from tests.pipeline.kubeflow import tiny_package
from tests.pipeline.retrain.standin import T0, StandIn, drift_report
from tests.serving.service.bad_model_servers import free_port


class Shop:
    """A shop's folder, and its trainer."""

    def __init__(self, root: Path) -> None:
        self.root, self.trainer = root, StandIn(root / "runs" / "releases")
        (root / "shop.yaml").write_text(BARE)

    def __call__(self, *options: str) -> int:
        return main(["retrain", str(self.root / "shop.yaml"), "--root", str(self.root / "runs"), *options])

    def drift(self, action: Action, text: str) -> str:
        file = self.root / "drift.json"
        reason = Reason(action=action, kind="broken feature", subject="price", text=text)
        drift_report(file, reason, made_at=datetime.now(UTC))
        return str(file)


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shop:
    made = Shop(tmp_path)
    monkeypatch.setattr(LocalTrainer, "train", lambda _, cycle: made.trainer.train(cycle))
    return made


def test_now_retrains_once_promotes_and_the_history_says_so(shop: Shop, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert shop("--now", "--warm", "--data-until", "2026-03-01", "--json") == 0
    out, err = capsys.readouterr()
    printed = json.loads(out)
    assert (printed["outcome"], printed["release"], printed["decision"]["action"]) == ("promoted", 1, "retrain warm")
    assert "release 1 is promoted" in err
    assert shop.trainer.trained == ["warm 2026-03-01"]
    assert shop("--now") == 0
    assert shop.trainer.trained[1] == "full "  # as the dataset file says, whose rows have no time to end at
    capsys.readouterr()
    page = tmp_path / "history.html"
    assert main(["history", "--root", str(tmp_path / "runs"), "--html", str(page), "--json"]) == 0
    assert [row["release"] for row in json.loads(capsys.readouterr().out)] == [2, 1]
    assert "<h1>runs: retraining</h1>" in page.read_text()
    assert main(["history", "--root", str(tmp_path / "runs")]) == 0
    assert capsys.readouterr().out.startswith("Retraining")


def test_a_refused_model_and_a_failed_training_have_their_exit_codes(shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    shop.trainer.refused = True
    assert shop("--now") == 3
    assert "shelfrank retrain: the model was refused, nothing was released: AUC 0.412 is below 0.500." in capsys.readouterr().err
    shop.trainer.errors.append(RunError("no space left"))
    assert shop("--now") == 1
    assert capsys.readouterr().err == "shelfrank retrain: no space left\n"


def test_once_acts_on_drift_and_a_freeze_calls_a_person(shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    file = shop.drift(Action.RETRAIN_FULL, "Tastes have changed.")
    assert shop("--once", "--drift", file) == 0
    assert len(shop.trainer.trained) == 1
    assert shop("--once", "--drift", file) == 0
    assert capsys.readouterr().out.endswith("nothing asks for retraining\n")
    shop.drift(Action.FREEZE, "The price is 0 since noon.")
    for options in (["--once", "--drift", file], ["--now"]):
        assert shop(*options) == EXIT_FROZEN
        assert "The price is 0 since noon. Nothing is trained and no label moves." in capsys.readouterr().err
    assert shop("--lift", "the feed is mended") == 0
    assert shop("--now") == 0
    assert len(shop.trainer.trained) == 2
    assert shop("--lift", "again") == 2
    assert "nothing is frozen" in capsys.readouterr().err


def test_once_follows_a_canary_to_its_end(shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    assert shop("--now", "--canary") == 0
    assert shop("--now", "--canary") == 0
    assert "release 2 is on trial; `shelfrank guard` decides on it" in capsys.readouterr().out
    assert main(["releases", "rollback", "--label", "canary", "--root", str(shop.root / "runs")]) == 0
    assert shop("--once", "--every", "1d", "--canary") == EXIT_ROLLED_BACK


def test_a_live_figure_asks_for_retraining(shop: Shop) -> None:
    (shop.root / "page").write_text("shelfrank_ctr 0.01\n")
    options = ("--once", "--metrics-page", str(shop.root / "page"), "--when", "shelfrank_ctr < 0.02", "--rest", "30d")
    assert shop(*options) == 0
    assert shop(*options) == 0
    assert len(shop.trainer.trained) == 1


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ((), "expected what asks for retraining"),
        (("--every", "often"), "--every: expected a duration such as 90s"),
        (("--every", "0s"), "--every: expected a duration above 0"),
        (("--cron", "x"), "cron 'x': expected six fields"),
        (("--now", "--root", "s3://bucket/shop"), "--root s3://bucket/shop: expected a folder"),
        (("--when", "a < 1"), "--when goes with --metrics-page"),
        (("--now", "--kubeflow", "PIPELINE"), "--kubeflow: expected --host"),
    ],
)
def test_what_cant_be_is_bad_input(
    shop: Shop, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...], sentence: str
) -> None:
    monkeypatch.delenv("KF_PIPELINES_ENDPOINT", raising=False)
    pipeline = tiny_package.write(shop.root / "pipeline.yaml")
    assert shop(*(str(pipeline) if word == "PIPELINE" else word for word in options)) == 2
    assert sentence in capsys.readouterr().err


def test_no_history_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["history", "--root", str(tmp_path)]) == 1
    assert "nothing was retrained here" in capsys.readouterr().err


def test_the_history_of_a_store_shows_runs_on_kubeflow_that_have_no_ledger(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = Address.parse(tmp_path)
    assert main(["history", "--store", str(tmp_path)]) == 1
    record_outcome(store, "run-a", RunOutcome(True, 3))
    record_outcome(store, "run-b", RunOutcome(False, None, ("AUC 0.412 is below 0.500.",)))
    os.utime(tmp_path / "outcomes" / "run-a.json", (T0.timestamp(), T0.timestamp()))
    capsys.readouterr()
    assert main(["history", "--store", str(tmp_path), "--json"]) == 0
    newest, oldest = json.loads(capsys.readouterr().out)
    assert (newest["run"], newest["outcome"], newest["reasons"]) == ("run-b", "refused", ["AUC 0.412 is below 0.500."])
    assert oldest == {"run": "run-a", "recorded": T0.isoformat(), "outcome": "released", "release": 3, "reasons": []}
    assert main(["history", "--store", str(tmp_path)]) == 0
    assert "AUC 0.412 is below 0.500." in capsys.readouterr().out
    assert main(["history", "--store", str(tmp_path), "--html", "page.html"]) == 2


def test_a_run_in_a_process_gives_its_output_and_its_last_words() -> None:
    code = "import sys; print('out'); [print(text, file=sys.stderr) for text in ('[Step] ...', 'why')]; sys.exit(3)"
    assert _run([sys.executable, "-c", code]) == (3, "out\n", ["why"])


LOOP = """
import sys
from pathlib import Path
from pipeline.retrain.training import LocalTrainer, _run
from tests.pipeline.retrain.standin import StandIn
trainer = StandIn(Path(sys.argv[1]) / "runs" / "releases")
LocalTrainer.train = lambda _, cycle: trainer.train(cycle)
from pipeline.cli.main import main
sys.exit(main(["retrain", sys.argv[1] + "/shop.yaml", "--root", sys.argv[1] + "/runs", *sys.argv[2:]]))
"""


def test_the_process_retrains_exports_metrics_and_ends_gracefully(tmp_path: Path) -> None:
    (tmp_path / "shop.yaml").write_text(BARE)
    port = free_port()
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(map(os.path.abspath, sys.path))}
    options = [str(tmp_path), "--every", "1d", "--look", "0.1", "--metrics-port", str(port)]
    with subprocess.Popen([sys.executable, "-c", LOOP, *options], stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(2)]
        assert "cycle 1: retrain full: The schedule's time" in lines[0]
        assert lines[1].endswith(" cycle 1: release 1 is promoted\n")
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=60) as answer:
            page = answer.read().decode()
        assert 'shelfrank_retrain_cycles_total{outcome="promoted"} 1.0' in page
        process.send_signal(signal.SIGTERM)
        assert process.stdout.read().endswith(" ended; the next start goes on from here\n")
        assert process.wait() == 0
