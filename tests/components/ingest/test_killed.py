"""A run that is killed leaves nothing that looks complete, and the next one gives what an undisturbed one gives."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import polars as pl
import pytest

from tests.components.ingest.component_run import recorded
from tests.components.ingest.generators.random_shops import SHOPS, dataset_text, ingested, write_log
from tests.components.ingest.test_determinism import large_log
from tests.components.ingest.without_beam import digests

ROOT = Path(__file__).resolve().parents[3]
CODE = "from tests.components.ingest.component_run import main; main()"


def start(folder: Path, root: Path) -> subprocess.Popen[bytes]:
    """A run that has got as far as TFX; what it says goes to a file."""
    said = folder / f"said-{time.monotonic_ns()}"
    with said.open("wb") as out:
        command = [sys.executable, "-c", CODE, folder / "shop.yaml", folder / "data", root]
        process = subprocess.Popen(command, cwd=ROOT, stdout=out, stderr=out, start_new_session=True)
    while b"begun" not in said.read_bytes():
        assert process.poll() is None, said.read_text()
        time.sleep(0.05)
    return process


def finish(folder: Path, root: Path) -> None:
    """A run to its end."""
    assert start(folder, root).wait(timeout=300) == 0, max(folder.glob("said-*")).read_text()


def outcome(root: Path) -> dict[str, str]:
    result = recorded(root)
    assert result.complete
    assert result.artifacts.keys() == {"examples", "state", "report"}
    return {f"{name}/{path}": digest for name, folder in result.artifacts.items() for path, digest in digests(folder).items()}


@pytest.mark.slow
def test_a_killed_run_leaves_nothing_that_looks_complete_and_the_next_one_gives_the_same_bytes(tmp_path: Path) -> None:
    (tmp_path / "shop.yaml").write_text(dataset_text(SHOPS["impressions"], unattributed="100%"))
    write_log(tmp_path / "data", large_log(20_000), files=3)
    undisturbed = start(tmp_path, tmp_path / "undisturbed")
    began = time.monotonic()
    assert undisturbed.wait(timeout=300) == 0
    took_s = time.monotonic() - began
    wanted = outcome(tmp_path / "undisturbed")
    assert {name.split("/")[0] for name in wanted} == {"examples", "state", "report"}
    assert ".work" not in "".join(wanted)

    draw = random.Random(7)
    killed = 0
    for _ in range(3):
        process = start(tmp_path, tmp_path / "killed")
        time.sleep(draw.uniform(0.1, 0.8) * took_s)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        if not (tmp_path / "killed" / "metadata.sqlite").exists():
            continue
        result = recorded(tmp_path / "killed")
        killed += not result.complete
        assert result == (0, {}) or outcome(tmp_path / "killed") == wanted
    assert killed
    finish(tmp_path, tmp_path / "killed")
    assert outcome(tmp_path / "killed") == wanted


@pytest.mark.slow
def test_the_component_writes_what_its_steps_give(tmp_path: Path) -> None:
    """Beam changes nothing; beside the examples lie the state, with the codes of its items, and the report."""
    text = dataset_text(SHOPS["impressions"], unattributed="100%")
    (tmp_path / "shop.yaml").write_text(text)
    write_log(tmp_path / "data", large_log(500))
    finish(tmp_path, tmp_path / "root")
    result = recorded(tmp_path / "root").artifacts
    wanted = ingested(text, tmp_path / "data", tmp_path / "out")
    assert digests(result["examples"]) == digests(tmp_path / "out" / "examples")
    state = digests(result["state"])
    assert pl.read_parquet(result["state"] / "index.parquet")["item"].to_list() == ["i0", "i1", "i2", "i3", "x"]
    assert state == digests(tmp_path / "out" / "state")
    report = json.loads((result["report"] / "report.json").read_text())
    assert report["counts"] == {**wanted.counts.numbers, "files read": 1}
