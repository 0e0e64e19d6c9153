"""`run_fn`: TFX Trainer's entry point."""

import json
import os

import tensorflow as tf
import tensorflow_transform as tft
import tf_keras as keras
from tfx.components.trainer.fn_args_utils import FnArgs

from components.contract.load import parse_dataset
from trainer.bequest import leave
from trainer.config import ranker_config
from trainer.export import export
from trainer.input import last_request_us
from trainer.training import train
from trainer.warm_start import warm_start

CURVE_FILE = os.path.join("assets.extra", "history.json")
"""Beneath the exported model: the training curve, one row an epoch."""


def run_fn(fn_args: FnArgs) -> None:
    """Train on the raw examples through the Transform graph, keep the epoch with the best eval AUC, export.

    `fn_args.custom_config["dataset"]` is the text of the dataset file; the settings are its `model` part. Of `fn_args` are read:
    `train_files`, `eval_files`, `transform_output`, `serving_model_dir`, `custom_config`; with `warm_start` in the settings also
    `base_model`, the champion, and `custom_config["champion"]`, what it is called.
    """
    dataset = parse_dataset(fn_args.custom_config["dataset"])
    config = ranker_config(dataset)
    graph = tft.TFTransformOutput(fn_args.transform_output)
    keras.utils.set_random_seed(dataset.seed)
    tf.config.experimental.enable_op_determinism()
    until_us = last_request_us(fn_args.train_files)
    base, called = (fn_args.base_model, fn_args.custom_config["champion"]) if config.warm_start else (None, "")
    warm = warm_start(base, called, config=config, dataset=dataset, last_request_us=until_us)
    model, curve = train(fn_args.train_files, fn_args.eval_files, graph, dataset=dataset, config=config, warm=warm)
    export(model, graph, fn_args.serving_model_dir, dataset=dataset)
    leave(model, fn_args.serving_model_dir, dataset=dataset, trained_until_us=until_us)
    curve_file = os.path.join(fn_args.serving_model_dir, CURVE_FILE)
    tf.io.gfile.makedirs(os.path.dirname(curve_file))
    with tf.io.gfile.GFile(curve_file, "w") as opened:
        opened.write(json.dumps(curve, indent=1))
