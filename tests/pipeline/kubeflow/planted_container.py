"""The container's command with a fault planted: `python planted_container.py PLANT --executor_class_path ...`.

backwards          the Trainer's model is exported with its scores turned round
killed-training    the first attempt is killed when the first epoch has ended
killed-publishing  the first attempt is killed when the release is copied and hasn't its name yet
full-disk          each folder of an output is a file system without room for a file; mounts, and so needs a pod of its own
full-store         the store's is one; likewise
"""

import json
import logging
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any, NoReturn

from pipeline.kubeflow.step.artifact_paths import ArtifactPaths
from pipeline.kubeflow.step.entrypoint import _exit_now, main
from pipeline.kubeflow.step.invocation import LOG_ARTIFACT
from pipeline.terminal.display import PROGRESS


def die(*_args: Any, **_kwargs: Any) -> NoReturn:
    """As the kernel does it to a process that has taken too much memory."""
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("killed and still here")


class _Killer(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        if "eval AUC" in record.getMessage():
            die()


def fill_disks(invocation: str) -> None:
    for name, listed in json.loads(invocation)["outputs"]["artifacts"].items():
        if name != LOG_ARTIFACT:
            folder = Path(ArtifactPaths.here().local(listed["artifacts"][0]["uri"]))
            folder.mkdir(parents=True)
            fill(folder)


def fill_store(invocation: str) -> None:
    fill(Path(json.loads(invocation)["inputs"]["parameterValues"]["push_destination"]))


def fill(folder: Path) -> None:
    subprocess.run(["mount", "-t", "tmpfs", "-o", "nr_inodes=1", "tmpfs", str(folder)], check=True)


def plant(name: str, arguments: list[str]) -> None:
    first = os.environ.get("KFP_RETRY_INDEX", "0") == "0"  # not set for a step without retries
    if name == "backwards":
        os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")
        import trainer.export.saved_model
        from tests.pipeline.planted import wrap

        export = trainer.export.saved_model.export

        def export_backwards(model: Any, graph: Any, path: str, *, dataset: Any) -> None:
            export(model, graph, path, dataset=dataset)
            wrap(Path(path), lambda good, *asked: 1.0 - good(*asked), dataset)

        trainer.export.saved_model.export = export_backwards
    elif name == "killed-training" and first:
        logging.getLogger(PROGRESS).addHandler(_Killer())
    elif name == "killed-publishing" and first:
        Path.rename = die
    elif name in _FULL:
        _FULL[name](arguments[arguments.index("--json_serialized_invocation_args") + 1])


_FULL = {"full-disk": fill_disks, "full-store": fill_store}

if __name__ == "__main__":
    plant(sys.argv[1], sys.argv[2:])
    _exit_now(main(sys.argv[2:]))
