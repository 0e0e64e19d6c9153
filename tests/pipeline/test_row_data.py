"""Data of rows (a label, numbers, categories; no shopper, no item, no time) goes through the whole graph by a dataset file alone."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

pytestmark = pytest.mark.slow

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "public" / "criteo.yaml"
ROWS = 20_000


def write_rows(file: Path) -> float:
    """Rows whose chance of a click is a sum over two counts and five categories; returns the AUC of the chance itself."""
    random = np.random.default_rng(5)
    counts = random.geometric(0.15, (ROWS, 13)) - 1
    missing = random.random((ROWS, 13)) < 0.1
    categories = random.zipf(1.5, (ROWS, 26)) % 300
    effects = random.normal(0, 0.8, (5, 300))
    logit = -2.0 + 0.5 * np.log1p(counts[:, 0]) - 0.5 * np.log1p(counts[:, 1]) + sum(effects[at, categories[:, at]] for at in range(5))
    chance = 1 / (1 + np.exp(-logit))
    labels = (random.random(ROWS) < chance).astype(int)
    with file.open("w") as out:
        for row in range(ROWS):
            numbers = ["" if missing[row, at] else str(counts[row, at]) for at in range(13)]
            names = [f"{at:02x}{value:06x}" for at, value in enumerate(categories[row])]
            out.write("\t".join([str(labels[row]), *numbers, *names]) + "\n")
    return float(roc_auc_score(labels, chance))


def test_rows_train_and_are_judged_by_the_dataset_file_alone(tmp_path: Path) -> None:
    truth = write_rows(tmp_path / "train.txt")
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(map(os.path.abspath, sys.path))}
    command = [sys.executable, "-m", "pipeline.cli", "run", EXAMPLE, "--data", tmp_path, "--root", tmp_path / "run", "--json"]
    ended = subprocess.run([*map(str, command)], env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    result = json.loads(ended.stdout)
    (overall,) = (row["metrics"] for row in result["slices"] if not row["slice"])
    assert result["release"] == 1
    learned = overall["auc"]["challenger"]
    assert truth > 0.75  # or there would be little to learn
    assert (learned - 0.5) / (truth - 0.5) > 0.8
    counts = result["ingestion"]["counts"]
    assert sum(counts[f"examples: {split} requests"] for split in ("train", "eval", "test")) == ROWS
