"""One step shared by two devices beside its parts' gradients; in a process of its own, for devices are chosen before
TensorFlow's first operation.

Writes, as JSON, by weight the size of what the step should have changed and of what it did otherwise.
"""

import json
import sys
from pathlib import Path
from unittest.mock import patch

import numpy as np
import tensorflow as tf
import tensorflow_transform as tft
import tf_keras as keras

from components.contract.load import parse_dataset
from trainer.config import ranker_config
from trainer.data.input_pipeline import Epochs, TrainingExamples
from trainer.fit import train_step as steps
from trainer.fit.build import build_ranker
from trainer.fit.determinism import make_deterministic
from trainer.fit.strategy import batch_shard, strategy

RATE = 0.1


def main(settings_file: str, out: str) -> None:
    settings = json.loads(Path(settings_file).read_text())
    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
    dataset, graph, devices = parse_dataset(settings["text"]), tft.TFTransformOutput(settings["graph"]), strategy("mirrored")
    config = ranker_config(dataset)
    epochs = Epochs(
        TrainingExamples([settings["train"]]),
        graph,
        dataset=dataset,
        requests=config.batch_requests,
        seed=3,
        shard=batch_shard(devices),
        cached_bytes=0,
    )

    make_deterministic(3)
    alone = build_ranker(graph, dataset, config, sample=epochs.sample, precision="float32")
    before = [weight.numpy() for weight in alone.trainable_variables]
    batches = iter(epochs.epoch(0))
    parts = []
    for _ in range(2):
        with tf.GradientTape() as tape:
            loss = alone.compute_loss(next(batches), training=True) + tf.add_n([tf.reduce_sum(each) for each in alone.losses])
        parts.append(tape.gradient(loss, alone.trainable_variables, unconnected_gradients=tf.UnconnectedGradients.ZERO))
    expected = [-RATE * (first.numpy() + second.numpy()) / 2 for first, second in zip(*parts, strict=True)]

    make_deterministic(3)
    # Adam's first steps have the size of the learning rate, whatever the gradient's is: they would hide a wrong one.
    with devices.scope(), patch.object(steps, "optimizer", lambda _config, rate: keras.optimizers.legacy.SGD(rate)):
        model = build_ranker(graph, dataset, config, sample=epochs.sample, precision="float32")
        step = steps.TrainStep(model, config=config, rate=RATE)
    step(iter(devices.distribute_datasets_from_function(lambda _: epochs.epoch(0))))
    changes = [weight.numpy() - was for weight, was in zip(model.trainable_variables, before, strict=True)]
    rows = zip(model.trainable_variables, expected, changes, strict=True)
    sizes = {
        weight.name: (float(np.abs(expected_change).max()), float(np.abs(expected_change - change).max()))
        for weight, expected_change, change in rows
    }
    Path(out).write_text(json.dumps(sizes))


if __name__ == "__main__":
    main(*sys.argv[1:])
