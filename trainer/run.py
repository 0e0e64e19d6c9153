"""Train and export a ranker: `run_fn`, the entry point of TFX's Trainer."""

import hashlib
import json
import os
from tempfile import TemporaryDirectory

import tensorflow as tf
import tensorflow_transform as tft
from tfx.components.trainer.fn_args_utils import FnArgs

from components.contract.load import parse_dataset
from trainer.config import ranker_config, started, warmed
from trainer.data.input_pipeline import request_times
from trainer.export.files import CURVE_FILE, TRANSFORM_GRAPH
from trainer.export.saved_model import export
from trainer.fit.checkpoints import Checkpoints
from trainer.fit.strategy import is_chief, strategy
from trainer.fit.training import Folders, train
from trainer.tuning.search_space import tuned
from trainer.warm_start.champion_weights import write_metadata
from trainer.warm_start.request_sample import chosen_requests
from trainer.warm_start.warm_start import warm_start


def run_fn(fn_args: FnArgs) -> None:
    """Train on the raw examples through the Transform graph, and export the best epoch's ranker.

    Settings are the `model` part of the dataset file, overridden by the Tuner's best values where there was a search.
    With several workers each runs this; only the chief exports.

    Args:
        fn_args: `train_files`, `eval_files`, `transform_output`, `serving_model_dir` and `hyperparameters` are read;
            `train_steps`, which overrides the settings' `max_steps`; `model_run_dir`, for TensorBoard's curves;
            `custom_config["dataset"]`, the text of the dataset file; and with `warm_start` in the settings
            `base_model` and `custom_config["champion"]`, the champion's model and its name;
            `custom_config["training_start"]`, `warm` or `full`, which overrides the settings' `warm_start`.
    """
    dataset = parse_dataset(fn_args.custom_config["dataset"])
    config = ranker_config(dataset, tuned(getattr(fn_args, "hyperparameters", None)))
    if steps := getattr(fn_args, "train_steps", None):
        config = config.model_copy(update={"max_steps": steps})
    config = started(config, fn_args.custom_config.get("training_start", ""))
    graph = tft.TFTransformOutput(fn_args.transform_output)
    devices = strategy(config.strategy)  # before the first operation, which comes with the next line
    times = request_times(fn_args.train_files)
    until_us = int(times.max())
    base_model, champion = (fn_args.base_model, fn_args.custom_config["champion"]) if config.warm_start else (None, "")
    warm = warm_start(base_model, champion, config=config, dataset=dataset, last_request_us=until_us)
    folders = Folders(checkpoints=checkpoint_folder(fn_args), tensorboard=getattr(fn_args, "model_run_dir", None))
    train_files, eval_files = fn_args.train_files, fn_args.eval_files
    with TemporaryDirectory() as folder:
        if warm.champion is not None:
            config = warmed(config)
            train_files, eval_files = chosen_requests(
                train_files, eval_files, folder, times=times, since_us=warm.since_us, replay=config.warm_replay, seed=dataset.seed
            )
        model, curve = train(train_files, eval_files, graph, dataset=dataset, config=config, warm=warm, devices=devices, folders=folders)
    if not is_chief(config.strategy):
        return
    export(model, graph, fn_args.serving_model_dir, dataset=dataset)
    copy_graph(fn_args.transform_output, os.path.join(fn_args.serving_model_dir, TRANSFORM_GRAPH))
    write_metadata(model, fn_args.serving_model_dir, dataset=dataset, trained_until_us=until_us)
    curve_file = os.path.join(fn_args.serving_model_dir, CURVE_FILE)
    tf.io.gfile.makedirs(os.path.dirname(curve_file))
    with tf.io.gfile.GFile(curve_file, "w") as file:
        file.write(json.dumps(curve, indent=1))
    if folders.checkpoints:
        Checkpoints(folders.checkpoints).clear()


def checkpoint_folder(fn_args: FnArgs) -> str | None:
    """Return the folder of this training's checkpoints, the same whenever the same training is started again.

    TFX gives each attempt an execution and a `model_run_dir` of its own, `.../Trainer/model_run/17`, and a resumed run
    clears the folder of a killed attempt. So the checkpoints are in `.../Trainer/checkpoints/DIGEST`, or in
    `custom_config["checkpoints"]`/DIGEST where that is set (for an orchestrator whose folders don't outlive an
    attempt); None without either.

    The digest covers `custom_config` (the dataset file and the version of ShelfRank's code among it), the model to
    start from, the Tuner's best values, the number of steps where it is set, TensorFlow's version, and the examples and
    Transform graph that are read: names, sizes and modification times of their files, or where
    `custom_config["checkpoints"]` is set their names and content, as each attempt reads a new copy of them there.
    """
    root = fn_args.custom_config.get("checkpoints")
    copied = root is not None
    if root is None:
        run_dir = getattr(fn_args, "model_run_dir", None)
        if run_dir is None:
            return None
        root = os.path.join(os.path.dirname(os.path.dirname(os.path.normpath(run_dir))), "checkpoints")
    custom_config = {name: value for name, value in sorted(fn_args.custom_config.items()) if name != "checkpoints"}
    # Where the settings name it, the folder of the model is another in each attempt.
    base_model = None if "base" in custom_config else getattr(fn_args, "base_model", None)
    values = [custom_config, base_model, getattr(fn_args, "hyperparameters", None), tf.__version__]
    values += [steps] if (steps := getattr(fn_args, "train_steps", None)) else []
    digest = hashlib.sha256(json.dumps(values, default=str).encode())
    graph_files = sorted(os.path.join(folder, name) for folder, _, names in tf.io.gfile.walk(fn_args.transform_output) for name in names)
    for pattern in (*fn_args.train_files, *fn_args.eval_files, *graph_files):
        for name in sorted(tf.io.gfile.glob(pattern)):
            digest.update(f"{name}\0{_content(name) if copied else _stamp(name)}\n".encode())
    return os.path.join(root, digest.hexdigest()[:32])


def copy_graph(source: str, target: str) -> None:
    """Copy Transform's output."""
    for folder, _, names in tf.io.gfile.walk(source):
        to = os.path.join(target, os.path.relpath(folder, source))
        tf.io.gfile.makedirs(to)
        for name in names:
            tf.io.gfile.copy(os.path.join(folder, name), os.path.join(to, name))


def _stamp(path: str) -> str:
    stat = tf.io.gfile.stat(path)
    return f"{stat.length}\0{stat.mtime_nsec}"


def _content(path: str) -> str:
    with tf.io.gfile.GFile(path, "rb") as file:
        digest = hashlib.sha256()
        while chunk := file.read(1 << 24):
            digest.update(chunk)
    return digest.hexdigest()
