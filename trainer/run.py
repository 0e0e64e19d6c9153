"""`run_fn`: TFX Trainer's entry point."""

import hashlib
import json
import os

import tensorflow as tf
import tensorflow_transform as tft
from tfx.components.trainer.fn_args_utils import FnArgs

from components.contract.load import parse_dataset
from trainer.config import ranker_config
from trainer.data.input_pipeline import last_request_us
from trainer.export.saved_model import export
from trainer.fit.checkpoints import Checkpoints
from trainer.fit.strategy import is_chief, strategy
from trainer.fit.training import Folders, train
from trainer.tuning.search_space import tuned
from trainer.warm_start.champion_weights import leave
from trainer.warm_start.warm_start import warm_start

CURVE_FILE = os.path.join("assets.extra", "history.json")
"""Beneath the exported model: the training curve, one row an epoch."""


def run_fn(fn_args: FnArgs) -> None:
    """Train on the raw examples through the Transform graph, keep the best epoch, export.

    `fn_args.custom_config["dataset"]` is the text of the dataset file; the settings are its `model` part, with the Tuner's best
    values in their place where there was one. Of `fn_args` are read: `train_files`, `eval_files`, `transform_output`,
    `serving_model_dir`, `model_run_dir`, `custom_config`, `hyperparameters`, and `train_steps`, which stands in place of the settings'
    `max_steps`. Beneath `model_run_dir` come TensorBoard's curves; beside it,
    where the next attempt finds them, checkpoints while training runs (see `checkpoint_folder`). With `warm_start` in the settings also
    `base_model`, the champion, and `custom_config["champion"]`, what it is called.

    With several workers each runs this; only the chief exports.
    """
    dataset = parse_dataset(fn_args.custom_config["dataset"])
    config = ranker_config(dataset, tuned(getattr(fn_args, "hyperparameters", None)))
    if steps := getattr(fn_args, "train_steps", None):
        config = config.model_copy(update={"max_steps": steps})
    graph = tft.TFTransformOutput(fn_args.transform_output)
    devices = strategy(config.strategy)  # before the first operation, which comes with the next line
    until_us = last_request_us(fn_args.train_files)
    base, called = (fn_args.base_model, fn_args.custom_config["champion"]) if config.warm_start else (None, "")
    warm = warm_start(base, called, config=config, dataset=dataset, last_request_us=until_us)
    folders = Folders(checkpoints=checkpoint_folder(fn_args), board=getattr(fn_args, "model_run_dir", None))
    model, curve = train(
        fn_args.train_files, fn_args.eval_files, graph, dataset=dataset, config=config, warm=warm, devices=devices, folders=folders
    )
    if not is_chief(config.strategy):
        return
    export(model, graph, fn_args.serving_model_dir, dataset=dataset)
    leave(model, fn_args.serving_model_dir, dataset=dataset, trained_until_us=until_us)
    curve_file = os.path.join(fn_args.serving_model_dir, CURVE_FILE)
    tf.io.gfile.makedirs(os.path.dirname(curve_file))
    with tf.io.gfile.GFile(curve_file, "w") as opened:
        opened.write(json.dumps(curve, indent=1))
    if folders.checkpoints:
        Checkpoints(folders.checkpoints).clear()


def checkpoint_folder(fn_args: FnArgs) -> str | None:
    """Where the checkpoints of this training lie: the same folder whenever the same training is started again, and another for any other.

    TFX gives each attempt an execution and a `model_run_dir` of its own, `.../Trainer/model_run/17`, and a run that is taken up clears
    what a killed attempt left there. So it is `.../Trainer/checkpoints/DIGEST`, or `custom_config["checkpoints"]`/DIGEST where that is
    given (for an orchestrator whose folders don't outlive an attempt). The digest is over the dataset file, ShelfRank's code as
    `custom_config["code"]` tells it, the model to start from, the Tuner's best values, the number of steps where one is given, TensorFlow's
    version, and the files that are read, examples and Transform graph: their names, sizes and times of change, or where the folder is
    given their names and content, as each attempt finds a new copy of them there.
    """
    root = fn_args.custom_config.get("checkpoints")
    copied = root is not None
    if root is None:
        run_dir = getattr(fn_args, "model_run_dir", None)
        if run_dir is None:
            return None
        root = os.path.join(os.path.dirname(os.path.dirname(os.path.normpath(run_dir))), "checkpoints")
    told = {name: value for name, value in sorted(fn_args.custom_config.items()) if name != "checkpoints"}
    given = [told, *(getattr(fn_args, name, None) for name in ("base_model", "hyperparameters")), tf.__version__]
    given += [steps] if (steps := getattr(fn_args, "train_steps", None)) else []
    digest = hashlib.sha256(json.dumps(given, default=str).encode())
    graph_files = sorted(os.path.join(folder, name) for folder, _, names in tf.io.gfile.walk(fn_args.transform_output) for name in names)
    for pattern in (*fn_args.train_files, *fn_args.eval_files, *graph_files):
        for name in sorted(tf.io.gfile.glob(pattern)):
            digest.update(f"{name}\0{_content(name) if copied else _stamp(name)}\n".encode())
    return os.path.join(root, digest.hexdigest()[:32])


def _stamp(path: str) -> str:
    stat = tf.io.gfile.stat(path)
    return f"{stat.length}\0{stat.mtime_nsec}"


def _content(path: str) -> str:
    with tf.io.gfile.GFile(path, "rb") as opened:
        digest = hashlib.sha256()
        while piece := opened.read(1 << 24):
            digest.update(piece)
    return digest.hexdigest()
