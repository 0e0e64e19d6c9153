"""Read the output of TFX's Evaluator. Imports TensorFlow Model Analysis: read once, then keep `results.to_json`."""

import json
import struct
from collections.abc import Iterator
from fnmatch import fnmatch

from tensorflow_model_analysis.proto import metrics_for_slice_pb2

from components.contract.errors import RunError
from components.contract.storage.object_store import Address
from components.evaluation.display_names import Slice
from components.evaluation.metrics.curves import CURVES, Curves
from components.evaluation.metrics.standard_errors import ESTIMATES
from components.evaluation.results import Model, SliceMetrics


def read_metrics(uri: str) -> tuple[SliceMetrics, ...]:
    """Read the metrics from an Evaluator's output folder, one entry for each slice and model, sorted by both.

    Raises:
        RunError: if the folder holds no metrics.
    """
    entries = []
    for record in _records(uri):
        message = metrics_for_slice_pb2.MetricsForSlice.FromString(record)
        values: dict[Model, dict[str, float]] = {}
        for metric in message.metric_keys_and_values:
            if metric.key.name in ESTIMATES and not metric.key.is_diff:
                values.setdefault(metric.key.model_name, {})[metric.key.name] = metric.value.double_value.value
        entries += [SliceMetrics(_slice(message.slice_key), model, named) for model, named in values.items()]
    return tuple(sorted(entries, key=lambda entry: (entry.slice, entry.model)))  # a runner writes them in its own order


def read_curves(uri: str) -> dict[Model, Curves]:
    """Read the curves of each model over all requests from an Evaluator's output folder."""
    curves = {}
    for record in _records(uri):
        message = metrics_for_slice_pb2.MetricsForSlice.FromString(record)
        for metric in message.metric_keys_and_values:
            if metric.key.name == CURVES and not message.slice_key.single_slice_keys:
                curves[metric.key.model_name] = json.loads(metric.value.bytes_value)
    return curves


def _records(uri: str) -> list[bytes]:
    folder = Address.parse(uri)
    names = [name for name in folder.files() if fnmatch(name, "metrics*.tfrecord")]
    records = [record for name in names for record in _tfrecords((folder / name).read() or b"")]
    if not records:
        raise RunError(
            f"expected metrics*.tfrecord with records under {uri}, found {len(names)} files without one; run the Evaluator again"
        )
    return records


def _tfrecords(content: bytes) -> Iterator[bytes]:
    """Yield the records of an uncompressed TFRecord file: 8 bytes of length, 4 of checksum, the record, 4 of checksum."""
    start = 0
    while start < len(content):
        (length,) = struct.unpack_from("<Q", content, start)
        start += 12
        yield content[start : start + length]
        start += length + 4


def _slice(key: metrics_for_slice_pb2.SliceKey) -> Slice:
    def text(single: metrics_for_slice_pb2.SingleSliceKey) -> str:
        kind = single.WhichOneof("kind")
        value = getattr(single, kind)
        return value.decode() if kind == "bytes_value" else str(value)

    return tuple((single.column, text(single)) for single in key.single_slice_keys)
