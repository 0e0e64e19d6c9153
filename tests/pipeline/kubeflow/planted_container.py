"""The container's command with a fault planted: `python planted_container.py PLANT --executor_class_path ...`.

backwards          the Trainer's model is exported with its scores turned round
killed-training    the first attempt is killed when the first epoch has ended
killed-publishing  the first attempt is killed when the release is copied and hasn't its name yet
"""

import logging
import os
import signal
import sys
from pathlib import Path
from typing import Any, NoReturn

from pipeline.kubeflow.step.entrypoint import _exit_now, main
from pipeline.terminal.display import PROGRESS


def die(*_args: Any, **_kwargs: Any) -> NoReturn:
    """As the kernel does it to a process that has taken too much memory."""
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("killed and still here")


class _Killer(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        if "eval AUC" in record.getMessage():
            die()


def plant(name: str) -> None:
    first = os.environ["KFP_RETRY_INDEX"] == "0"
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


if __name__ == "__main__":
    plant(sys.argv[1])
    _exit_now(main(sys.argv[2:]))
