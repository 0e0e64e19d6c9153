"""`shelfrank compile`, and every container of what it wrote run to the end: the same releases and the same figures as `shelfrank run`."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from components.contract.storage.object_store import Address
from components.contract.storage.store_layout import UNFINISHED
from components.release.manifest import Manifest, read_manifest
from components.release.outcomes import recorded_outcome
from components.release.publish import versions
from components.release.run_outcome import RunOutcome, read_outcome
from pipeline.results.result import read_result
from tests.pipeline.kubeflow.emulation.compiled import Compiled, read
from tests.pipeline.kubeflow.emulation.pod import Cluster
from tests.pipeline.kubeflow.emulation.run import Event, Run, execute
from tests.pipeline.shop import shop_without_model

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3_000)]  # each run starts 13 processes that import TFX

SETTINGS = """
model: {epochs: 2, checkpoint_steps: 1}
gates: {floor: {auc: 0.5}, drop: {auc: 0.9}, slice_drop: {}}
"""
PLANTED = Path(__file__).with_name("planted_container.py")
MEASURED = ("created_us", "rehearsal", "verdict", "content")  # Times, and bytes of a graph whose names TensorFlow gives anew each time.


def shelfrank(*arguments: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(map(os.path.abspath, sys.path))}
    command = [sys.executable, "-m", "pipeline.cli", *map(str, arguments)]
    ended = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    return ended


def run_here(work: Path, root: str) -> dict[str, Any]:
    """What `shelfrank run` tells."""
    document: dict[str, Any] = json.loads(shelfrank("run", "shop.yaml", "--data", "shop", "--root", root, "--json", cwd=work).stdout)
    return document


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a shop, compiled, its logs on the cluster's volume."""
    work = tmp_path_factory.mktemp("work")
    shelfrank("simulate", "--out", "shop", "--events", 5_000, cwd=work)
    (work / "shop.yaml").write_text(shop_without_model() + SETTINGS)
    shelfrank("compile", "shop.yaml", "--image", "shelfrank/pipeline:1", "-o", "pipeline.yaml", cwd=work)
    shutil.copytree(work / "shop", work / "cluster" / "volumes" / "shelfrank" / "data")
    return work


@pytest.fixture(scope="module")
def compiled(work: Path) -> Compiled:
    return read(work / "pipeline.yaml")


@pytest.fixture(scope="module")
def store(work: Path) -> Path:
    return work / "cluster" / "volumes" / "shelfrank"


def run_there(work: Path, compiled: Compiled, run_id: str, **plants: str) -> tuple[Run, list[Event]]:
    events: list[Event] = []
    containers = {step: (sys.executable, str(PLANTED), plant) for step, plant in plants.items()}
    run = execute(compiled, Cluster(work / "cluster", containers=containers), run_id=run_id, on_event=events.append)
    assert run.failed == {}
    assert set(run.finished) == set(compiled.steps)
    assert list((work / "cluster" / "pods").iterdir()) == []
    return run, events


@pytest.fixture(scope="module")
def first(work: Path, compiled: Compiled) -> Run:
    return run_there(work, compiled, "first")[0]


@pytest.fixture(scope="module")
def second(work: Path, compiled: Compiled, first: Run) -> tuple[Run, list[Event]]:
    """With a champion, and killed twice: while it learned and while it published."""
    return run_there(work, compiled, "second", Trainer="killed-training", Release="killed-publishing")


def result(run: Run) -> dict[str, Any]:
    """What SliceReport left, as `shelfrank report --json` would tell it."""
    return read_result(run.path("SliceReport", "report") / "result.json").shown()


def facts(manifest: Manifest) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(manifest.to_json())
    return {name: value for name, value in document.items() if name not in MEASURED}


def variables(release: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (release / "variables").iterdir()}


def test_the_first_run_ends_in_a_release_with_the_local_runs_figures_to_the_last_digit(work: Path, store: Path, first: Run) -> None:
    here = run_here(work, "local")
    assert first.metadata("Champion", "model")["champion"] == "baseline"
    assert (here["champion"], here["release"]) == ("baseline", 1)
    assert facts(read_manifest(store / "releases" / "1")) == facts(read_manifest(work / "local" / "releases" / "1"))
    assert result(first)["slices"] == here["slices"]
    assert variables(store / "releases" / "1") == variables(work / "local" / "releases" / "1")
    assert first.metadata("Release", "pushed_model")["pushed_destination"] == "/shelfrank/releases/1"


def test_the_outcome_of_each_run_stands_in_the_store_and_in_what_the_next_step_was_given(
    store: Path, first: Run, second: tuple[Run, list[Event]]
) -> None:
    for run, version in ((first, 1), (second[0], 2)):
        released = RunOutcome(True, version)
        assert recorded_outcome(Address.parse(store), run.id) == released
        assert read_outcome(run.metadata("Release", "pushed_model")["outcome"]) == released


def test_what_each_step_said_is_in_the_store_and_in_no_lineage(first: Run) -> None:
    for step in first.finished:
        assert first.path(step, "executor-logs").read_text().startswith(f"[{step}] ")
    assert "executor-logs" not in (first.path("SliceReport", "report") / "lineage.json").read_text(encoding="utf-8")


def test_kubeflow_gets_numbers_and_a_page_to_show(first: Run) -> None:
    assert (first.types["SliceReport"]["metrics"], first.types["SliceReport"]["page"]) == ("system.Metrics", "system.HTML")
    overall = next(row["metrics"] for row in result(first)["slices"] if not row["slice"])
    shown = first.metadata("SliceReport", "metrics")
    assert shown["auc"] == float(f"{overall['auc']['challenger']:.6g}")  # as many digits as ML Metadata keeps
    assert shown["released"] == 1
    assert first.path("SliceReport", "page").is_file()
    assert first.path("SliceReport", "page").read_text(encoding="utf-8").startswith("<!")


def test_the_lineage_names_what_the_store_has(first: Run) -> None:
    document = json.loads((first.path("SliceReport", "report") / "lineage.json").read_text(encoding="utf-8"))
    assert len(document["artifacts"]) == 9
    for name, address in document["artifacts"].items():
        step, artifact = name.split(".")
        assert address == first.finished[step].artifacts[artifact]["uri"]


def test_no_address_of_a_pod_is_left_in_the_metadata_store(work: Path, first: Run) -> None:
    document = (work / "cluster" / "runs" / "first" / "finished.json").read_text()
    assert str(work / "cluster" / "pods") not in document
    assert first.metadata("Evaluator", "blessing")["current_model"].startswith("minio://")


def test_each_container_says_only_its_progress(work: Path, first: Run) -> None:
    logs = {path.name.removesuffix("-0.log"): path.read_text() for path in (work / "cluster" / "runs" / "first" / "logs").iterdir()}
    assert set(logs) == set(first.finished)
    for step, said in logs.items():
        assert all(line.startswith(f"[{step}] ") for line in said.splitlines()), said
    assert "[Trainer] epoch 1 " in logs["Trainer"]
    assert "[Release] release 1\n" in logs["Release"]


def test_a_run_killed_while_it_learned_and_while_it_published_ends_as_if_it_hadnt_been(
    work: Path, store: Path, second: tuple[Run, list[Event]]
) -> None:
    run, events = second
    assert [event.step for event in events if event.kind == "failed"] == ["Trainer", "Release"]
    assert all("exit code -9" in event.text for event in events if event.kind == "failed")
    assert "taken up at step" in (work / "cluster" / "runs" / "second" / "logs" / "Trainer-1.log").read_text()
    # The same model was trained and pushed as the next release, whole.
    assert versions(store / "releases") == (1, 2)
    assert not [*(store / "releases").glob(f"{UNFINISHED}*")]
    assert variables(store / "releases" / "2") == variables(store / "releases" / "1")
    assert (store / "serving" / "2" / "dataset.yaml").exists()
    assert result(run)["release"] == 2


def test_the_second_run_is_compared_with_the_first_ones_release_as_a_local_run_would_be(
    work: Path, store: Path, second: tuple[Run, list[Event]]
) -> None:
    assert second[0].metadata("Champion", "model")["champion"] == "release 1"
    shutil.copytree(store / "releases" / "1", work / "local-2" / "releases" / "1")
    here = run_here(work, "local-2")
    assert (here["champion"], here["release"]) == ("release 1", 2)
    assert facts(read_manifest(store / "releases" / "2")) == facts(read_manifest(work / "local-2" / "releases" / "2"))
    assert result(second[0])["slices"] == here["slices"]


def test_a_bad_model_is_refused_and_not_pushed(work: Path, compiled: Compiled, store: Path, second: tuple[Run, list[Event]]) -> None:
    def files() -> dict[Path, int]:
        return {path: path.stat().st_mtime_ns for path in store.rglob("*") if path.is_file() and "checkpoints" not in path.parts}

    before = files()
    run, _ = run_there(work, compiled, "third", Trainer="backwards")
    assert run.metadata("Champion", "model")["champion"] in ("release 1", "release 2")
    assert run.metadata("Evaluator", "blessing")["blessed"] == 0
    assert run.metadata("Release", "pushed_model")["pushed"] == 0
    assert run.metadata("SliceReport", "metrics")["released"] == 0
    assert any(sentence.startswith("Refused: AUC 0.") and "below 0.500" in sentence for sentence in result(run)["verdict"])
    after = files()
    record = store / "outcomes" / "third.json"
    assert after.pop(record)
    assert after == before
    outcome = recorded_outcome(Address.parse(store), "third")
    assert outcome is not None
    assert not outcome.released
    assert any("below 0.500" in sentence for sentence in outcome.refusals)
    assert read_outcome(run.metadata("Release", "pushed_model")["outcome"]) == outcome
    assert versions(store / "releases") == (1, 2)
