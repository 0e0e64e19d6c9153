"""Runs of the whole graph on one shop with Beam's steps on different runners, and what must be equal among them."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.components.ingest.without_beam import digests
from tests.pipeline.shop import shop_without_model

RESULTS = ("metrics", "training", "curves", "importance", "ingestion", "example")  # of last_run.json
OUTPUTS = (
    ("EventExampleGen", "examples"),
    ("EventExampleGen", "state"),
    ("EventExampleGen", "report"),
    ("StatisticsGen", "statistics"),
    ("Trainer", "model"),
    ("Evaluator", "evaluation"),
)
UNLIKE = ("eval_config.json", "history.json", "fingerprint.pb", "saved_model.pb")  # hold paths, times or random ids


def write_shop(work: Path) -> None:
    """Simulate a small shop under a folder, with its dataset file."""
    simulate = [sys.executable, "-m", "pipeline.cli", "simulate", "--out", "data", "--events", "5000"]
    subprocess.run(simulate, cwd=work, env=environment(), capture_output=True, check=True)
    (work / "shop.yaml").write_text(shop_without_model() + "\nmodel: {epochs: 1}\ngates: {drop: {auc: 0.9}, slice_drop: {}}\n")


def whole_run(work: Path, name: str, preset: str, options: Mapping[str, str | int] | None = None) -> dict[str, Any]:
    """What a run of the whole graph released and found, and a digest of each file of the steps on Beam and of the model's weights."""
    code = "from tests.pipeline.beam.beam_run import main; main()"
    command = [sys.executable, "-c", code, preset, "shop.yaml", "data", name, json.dumps(options or {})]
    done = subprocess.run(command, cwd=work, env=environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    files: dict[str, str] = {}
    for step, output in OUTPUTS:
        (folder,) = (work / name / "artifacts" / step / output).iterdir()
        files |= {f"{step}/{output}/{path}": digest for path, digest in digests(folder).items()}
    results = json.loads((work / name / "last_run.json").read_text())
    return {"files": {path: digest for path, digest in files.items() if not path.endswith(UNLIKE)}, "results": results}


def environment() -> dict[str, str]:
    """The environment in which a process imports what this one does."""
    return os.environ | {"PYTHONPATH": os.pathsep.join(map(os.path.abspath, sys.path))}
