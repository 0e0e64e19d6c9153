"""Run trainings as processes of their own, and read the models they export."""

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import tensorflow as tf


def launch(
    shop: SimpleNamespace,
    folder: Path,
    settings: str,
    *,
    attempt: int = 1,
    devices: int = 1,
    checkpoints: str | None = None,
    **environment: str,
) -> Any:
    """Start a process that trains with other settings in the `model:` part; attempts of one folder train the same
    model.

    `checkpoints` is the folder that outlives an attempt, where the training's own doesn't.
    """
    text = shop.text[: shop.text.index("model:")] + f"model: {settings}\n"
    fn_args = {
        "train_files": [shop.train],
        "eval_files": [shop.eval],
        "transform_output": shop.graph,
        "serving_model_dir": str(folder / "Trainer" / "model" / str(attempt)),
        "model_run_dir": str(folder / "Trainer" / "model_run" / str(attempt)),
    }
    folder.mkdir(parents=True, exist_ok=True)
    settings_file = folder / f"settings-{attempt}.json"
    settings_file.write_text(json.dumps({"text": text, "devices": devices, "checkpoints": checkpoints, "fn_args": fn_args}))
    return process("train_process.py", str(settings_file), **environment)


def process(script: str, *args: str, **environment: str) -> Any:
    """Start a script of this folder."""
    paths = os.pathsep.join(map(os.path.abspath, sys.path))
    return subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name(script)), *args],
        env=os.environ | {"PYTHONPATH": paths} | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def finish(process: Any) -> str:
    """Wait for the process to succeed; return its output."""
    output, _ = process.communicate(timeout=500)
    assert process.returncode == 0, output
    return output


def exported(folder: Path, attempt: int = 1) -> SimpleNamespace:
    """Read the exported weights and the training curve."""
    model = folder / "Trainer" / "model" / str(attempt)
    weights = [variable.numpy() for variable in tf.saved_model.load(str(model)).weights]
    return SimpleNamespace(weights=weights, curve=json.loads((model / "assets.extra" / "history.json").read_text()))
