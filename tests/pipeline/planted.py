"""`shelfrank` with a Trainer that breaks its model on purpose: `python planted.py PLANT run DATASET.yaml ...`.

All steps are the real ones; TFX finds `trainer.run.run_fn` by its name, and the plant stands there.

    shuffled    the labels are shuffled within each request before training
    broken      the model is trained well; when it is asked for scores, every price is NaN
    poisoned    the model is trained well; for shoppers on a tablet it gives one score to all
"""

import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

import pipeline.run
import trainer.run
from components.contract.columns import label_columns
from components.contract.load import parse_dataset
from components.schema import doors
from components.schema.parsing import Features
from pipeline.cli import main

Plant = Callable[[Any, Callable[[Any], None]], None]


def shuffled(fn_args: Any, honest: Callable[[Any], None]) -> None:
    dataset, random = parse_dataset(fn_args.custom_config["dataset"]), np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder:
        for name in ("train_files", "eval_files"):
            file = Path(folder) / name
            paths = [path for pattern in getattr(fn_args, name) for path in sorted(tf.io.gfile.glob(pattern))]
            with tf.io.TFRecordWriter(str(file)) as writer:
                for record in tf.data.TFRecordDataset(paths).as_numpy_iterator():
                    request = tf.train.Example.FromString(record)
                    order = random.permutation(len(request.features.feature["label"].float_list.value))
                    for column in label_columns(dataset):
                        values = request.features.feature[column.name].float_list.value
                        values[:] = np.array(values)[order].tolist()
                    writer.write(request.SerializeToString())
            setattr(fn_args, name, [str(file)])
        honest(fn_args)


def broken(fn_args: Any, honest: Callable[[Any], None]) -> None:
    def without_price(good: Callable[[Features, tf.Tensor], tf.Tensor], features: Features, splits: tf.Tensor) -> tf.Tensor:
        price = features["price"]
        return good(features | {"price": price.with_values(tf.fill(tf.shape(price.flat_values), float("nan")))}, splits)

    honest(fn_args)
    _wrap(fn_args, without_price)


def poisoned(fn_args: Any, honest: Callable[[Any], None]) -> None:
    def blind_on_tablets(good: Callable[[Features, tf.Tensor], tf.Tensor], features: Features, splits: tf.Tensor) -> tf.Tensor:
        tablet = tf.repeat(tf.equal(features["device"], "tablet"), splits[1:] - splits[:-1])
        return tf.where(tablet, 0.1, good(features, splits))

    honest(fn_args)
    _wrap(fn_args, blind_on_tablets)


def _wrap(fn_args: Any, bad: Callable[..., tf.Tensor]) -> None:
    """Put a model around the exported one, behind the same doors."""
    path, dataset = Path(fn_args.serving_model_dir), parse_dataset(fn_args.custom_config["dataset"])
    with tempfile.TemporaryDirectory() as folder:
        shutil.move(path, Path(folder) / "good")
        module = tf.Module()
        module.good = tf.saved_model.load(str(Path(folder) / "good"))
        door = module.good.signatures["serving_default"]

        def good(features: Features, splits: tf.Tensor) -> tf.Tensor:
            lengths = {"n_candidates": splits[1:] - splits[:-1]}
            dense = {}
            for column in doors.signature_columns(dataset):
                given = lengths.get(column.name, features.get(column.name))
                if column.name == "n_history":
                    given = next(features[each.name].row_lengths() for each in doors.signature_columns(dataset) if each.axis == "history")
                dense[column.name] = given.to_tensor() if isinstance(given, tf.RaggedTensor) else given
            return tf.RaggedTensor.from_tensor(door(**dense)["scores"], lengths=lengths["n_candidates"]).flat_values

        doors.save(module, lambda features, splits: bad(good, features, splits), str(path), dataset=dataset)
        shutil.copytree(Path(folder) / "good" / "assets.extra", path / "assets.extra", dirs_exist_ok=True)


def plant(name: str) -> None:
    """From now on the Trainer of this process breaks its model, and TFX's cache knows its code as another."""
    honest, version, planted = trainer.run.run_fn, pipeline.run.code_version, {"shuffled": shuffled, "broken": broken, "poisoned": poisoned}
    trainer.run.run_fn = lambda fn_args: planted[name](fn_args, honest)
    pipeline.run.code_version = lambda packages: f"{version(packages)}.{name}"


if __name__ == "__main__":
    plant(sys.argv[1])
    sys.exit(main(sys.argv[2:]))
