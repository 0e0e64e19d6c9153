"""What is read from an Evaluator's output doesn't depend on the order, or on the files, that Beam's runner wrote it in."""

from itertools import permutations
from pathlib import Path

import tensorflow as tf
from tensorflow_model_analysis.proto import metrics_for_slice_pb2

from components.evaluation.tfma.results import read_metrics

SLICES = ((), (("device", "mobile"),), (("device", "tablet"),))


def record(where: tuple[tuple[str, str], ...], models: tuple[str, str]) -> bytes:
    message = metrics_for_slice_pb2.MetricsForSlice()
    for column, value in where:
        message.slice_key.single_slice_keys.add(column=column, bytes_value=value.encode())
    for model in models:
        metric = message.metric_keys_and_values.add()
        metric.key.name, metric.key.model_name = "auc", model
        metric.value.double_value.value = 0.5 + len(where) / 10 + len(model) / 100
    return message.SerializeToString()


def write(file: Path, records: list[bytes]) -> None:
    with tf.io.TFRecordWriter(str(file)) as out:
        for each in records:
            out.write(each)


def test_slices_and_models_come_in_one_order(tmp_path: Path) -> None:
    results = set()
    for number, order in enumerate(permutations(SLICES)):
        folder = tmp_path / str(number)
        folder.mkdir()
        models = ("challenger", "champion") if number % 2 else ("champion", "challenger")
        records = [record(where, models) for where in order]
        write(folder / "metrics-00000-of-00002.tfrecord", records[:1])
        write(folder / "metrics-00001-of-00002.tfrecord", records[1:])
        results.add(repr(read_metrics(str(folder))))
    assert len(results) == 1
    entries = read_metrics(str(tmp_path / "0"))
    assert [entry.slice for entry in entries[::2]] == list(SLICES)
    assert [entry.model for entry in entries[:2]] == ["challenger", "champion"]
    assert entries[2].values == {"auc": 0.5 + 1 / 10 + 10 / 100}
