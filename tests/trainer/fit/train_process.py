"""Train in a process of its own, which a test may kill: `python train_process.py SETTINGS.json`."""

import json
import logging
import os
import sys
from pathlib import Path
from types import SimpleNamespace


def main() -> None:
    """Settings: `text` of the dataset file; `devices`, logical CPUs to make; `checkpoints`, a folder or null; the rest
    as of `FnArgs`.
    """
    settings = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    os.environ["TF_USE_LEGACY_KERAS"] = "1"
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    progress = logging.getLogger("shelfrank.progress")
    progress.setLevel(logging.INFO)
    progress.propagate = False
    progress.addHandler(logging.StreamHandler(sys.stdout))
    import tensorflow as tf

    if settings["devices"] > 1:
        cpu = tf.config.list_physical_devices("CPU")[0]
        tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * settings["devices"])
    from trainer.run import run_fn

    checkpoints = {"checkpoints": settings["checkpoints"]} if settings["checkpoints"] else {}
    run_fn(SimpleNamespace(**settings["fn_args"], custom_config={"dataset": settings["text"]} | checkpoints))


if __name__ == "__main__":
    main()
