"""Training in a process of its own, which a test may kill: `python apart.py SETTINGS.json`."""

import json
import logging
import os
import sys
from pathlib import Path
from types import SimpleNamespace


def main() -> None:
    """Settings: `text` of the dataset file; `devices`, logical CPUs to make; `checkpoints`, a folder or null; the rest as of `FnArgs`."""
    given = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    os.environ["TF_USE_LEGACY_KERAS"] = "1"
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    progress = logging.getLogger("shelfrank.progress")
    progress.setLevel(logging.INFO)
    progress.propagate = False
    progress.addHandler(logging.StreamHandler(sys.stdout))
    import tensorflow as tf

    if given["devices"] > 1:
        cpu = tf.config.list_physical_devices("CPU")[0]
        tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * given["devices"])
    from trainer.run import run_fn

    kept = {"checkpoints": given["checkpoints"]} if given["checkpoints"] else {}
    run_fn(SimpleNamespace(**given["fn_args"], custom_config={"dataset": given["text"]} | kept))


if __name__ == "__main__":
    main()
