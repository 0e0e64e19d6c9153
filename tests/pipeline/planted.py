"""`shelfrank` with a Trainer that breaks its model on purpose: `python planted.py PLANT run DATASET.yaml ...`.

All steps are the real ones. TFX imports `trainer.run` anew for its step, which finds the plants in the modules that it imports from.

    shuffled    the labels are shuffled within each request before training
    broken      the model is trained well; when it is asked for scores, every price is 0
    poisoned    the model is trained well; for shoppers on a tablet it gives one score to all
"""

import json
import shutil
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from tfx.orchestration.pipeline import Pipeline

import pipeline.local.run
import trainer.export.saved_model
import trainer.fit.training
from components.contract.columns import label_columns, signature_columns
from components.contract.dataset import Dataset
from components.schema import signatures
from components.schema.parsing import Features
from pipeline.cli.main import main
from pipeline.graph import GraphConfig
from pipeline.results.fingerprint import LEARNING

Score = Callable[[Features, tf.Tensor], tf.Tensor]


def shuffle_labels(files: Sequence[str], target: Path, dataset: Dataset) -> list[str]:
    """Copies of the examples, each request's labels handed round among its candidates."""
    random = np.random.default_rng(0)
    paths = [path for pattern in files for path in sorted(tf.io.gfile.glob(pattern))]
    with tf.io.TFRecordWriter(str(target)) as writer:
        for record in tf.data.TFRecordDataset(paths).as_numpy_iterator():
            request = tf.train.Example.FromString(record)
            order = random.permutation(len(request.features.feature["label"].float_list.value))
            for column in label_columns(dataset):
                values = request.features.feature[column.name].float_list.value
                values[:] = np.array(values)[order].tolist()
            writer.write(request.SerializeToString())
    return [str(target)]


def without_price(good: Score, features: Features, splits: tf.Tensor) -> tf.Tensor:
    price = features["price"]
    return good(features | {"price": price.with_values(tf.zeros_like(price.flat_values))}, splits)


def blind_on_tablets(good: Score, features: Features, splits: tf.Tensor) -> tf.Tensor:
    tablet = tf.repeat(tf.equal(features["device"], "tablet"), splits[1:] - splits[:-1])
    return tf.where(tablet, 0.1, good(features, splits))


def wrap(path: Path, bad: Callable[[Score, Features, tf.Tensor], tf.Tensor], dataset: Dataset) -> None:
    """Put a model around the exported one, behind the same doors."""
    asked = signature_columns(dataset)
    with tempfile.TemporaryDirectory() as folder:
        shutil.move(path, Path(folder) / "good")
        module = tf.Module()
        module.good = tf.saved_model.load(str(Path(folder) / "good"))
        door = module.good.signatures["serving_default"]

        def good(features: Features, splits: tf.Tensor) -> tf.Tensor:
            lengths = splits[1:] - splits[:-1]
            dense_features = features | {"n_candidates": lengths}
            dense_features["n_history"] = next(features[column.name].row_lengths() for column in asked if column.axis == "history")
            dense = {column.name: dense_features[column.name] for column in asked}
            dense = {name: value.to_tensor() if isinstance(value, tf.RaggedTensor) else value for name, value in dense.items()}
            return tf.RaggedTensor.from_tensor(door(**dense)["scores"], lengths=lengths).flat_values

        signatures.save(module, lambda *asked: {"scores": bad(good, *asked)}, str(path), dataset=dataset)


def plant(name: str) -> None:
    """From now on the Trainer of this process breaks its model, and TFX's cache and the run's record take it for another."""
    train, export = trainer.fit.training.train, trainer.export.saved_model.export

    def train_on_noise(train_files: Sequence[str], eval_files: Sequence[str], *rest: Any, dataset: Dataset, **settings: Any) -> Any:
        with tempfile.TemporaryDirectory() as folder:
            files = [shuffle_labels(each, Path(folder, str(i)), dataset) for i, each in enumerate((train_files, eval_files))]
            return train(*files, *rest, dataset=dataset, **settings)

    def export_wrapped(model: Any, graph: Any, path: str, *, dataset: Dataset) -> None:
        export(model, graph, path, dataset=dataset)
        wrap(Path(path), {"broken": without_price, "poisoned": blind_on_tablets}[name], dataset)

    if name == "shuffled":
        trainer.fit.training.train = train_on_noise
    else:
        trainer.export.saved_model.export = export_wrapped

    create_pipeline, code_version = pipeline.local.run.create_pipeline, pipeline.local.run.code_version

    def planted_pipeline(config: GraphConfig) -> Pipeline:
        graph = create_pipeline(replace(config, code=config.code.removesuffix(name)))
        step = next(component for component in graph.components if component.id == "Trainer")
        custom_config = json.loads(step.spec.exec_properties["custom_config"])
        step.spec.exec_properties["custom_config"] = json.dumps(custom_config | {"plant": name})
        return graph

    pipeline.local.run.create_pipeline = planted_pipeline
    pipeline.local.run.code_version = lambda packages: code_version(packages) + (name if packages == LEARNING else "")


if __name__ == "__main__":
    plant(sys.argv[1])
    sys.exit(main(sys.argv[2:]))
