import os

import pyarrow as pa
import pytest
import tensorflow as tf
import tensorflow_data_validation as tfdv
from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import anomalies_pb2, schema_pb2
from tfx_bsl.coders.example_coder import RecordBatchToExamplesEncoder
from tfx_bsl.public import tfxio

from components.contract.columns import Column, columns
from components.contract.load import parse_dataset
from components.schema.parsing import from_dense, parse
from components.schema.schema import schema

SHOP = """
name: shop
events: {path: e.csv, columns: {time: t, user: u, item: i, action: a, request: r, position: p}}
items: {path: i.csv, id: i}
actions: {view: {}, click: {label: 1}}
candidates: {from: impressions, action: view}
half_lives: [1d]
features:
  - {name: hour, kind: category, side: context, column: time.hour}
  - {name: mood, kind: vector, side: context, source: events, size: 3}
  - {name: history, kind: history, side: user, actions: [click], fields: [item]}
  - {name: item, kind: id, side: item}
  - {name: image, kind: vector, side: item, size: 2}
  - {name: price, kind: number, side: item, minimum: 0}
  - {name: item_clicks, kind: state, side: item, measure: count, action: click}
"""
DATASET = parse_dataset(SHOP)
NAN = float("nan")

# Two requests: two candidates and one past event; one candidate and no past.
GOOD = {
    "request": ["r1", "r2"],
    "user": ["u", ""],
    "time": [1, 2],
    "interactions": [1, 0],
    "hour": ["0", "23"],
    "mood": [[1, 2, 3], [4, 5, 6]],
    "item": [["a", "b"], ["c"]],
    "position": [[0, 1], [-1]],
    "history_item": [["a"], []],
    "history_action": [["click"], []],
    "history_age_s": [[60], []],
    "image": [[1, 2, 3, 4], [5, 6]],
    "price": [[1.5, NAN], [0]],
    "item_clicks_1d": [[2, 0], [0.5]],
    "label": [[0, 1], [0]],
}
TYPES = {"string": pa.large_binary(), "int64": pa.int64(), "float32": pa.float32()}


def batch(values: dict[str, list]) -> pa.RecordBatch:
    arrays = []
    for column in columns(DATASET):
        rows = [row if isinstance(row, list) else [row] for row in values[column.name]]
        encoded = [[each.encode() if isinstance(each, str) else each for each in row] for row in rows]
        arrays.append(pa.array(encoded, pa.large_list(TYPES[column.dtype])))
    return pa.RecordBatch.from_arrays(arrays, [column.name for column in columns(DATASET)])


def serialized(values: dict[str, list]) -> list[bytes]:
    return RecordBatchToExamplesEncoder(schema(DATASET)).encode(batch(values))


def anomalies(values: dict[str, list], tmp_path) -> anomalies_pb2.Anomalies:
    file = str(tmp_path / "examples")
    with tf.io.TFRecordWriter(file) as writer:
        for each in serialized(values):
            writer.write(each)
    return tfdv.validate_statistics(tfdv.generate_statistics_from_tfrecord(file), schema(DATASET))


def test_the_schema_names_every_column_once_and_survives_its_text():
    built = schema(DATASET)
    assert [feature.name for feature in built.feature] == [column.name for column in columns(DATASET)]
    assert text_format.Parse(text_format.MessageToString(built), schema_pb2.Schema()) == built


def test_requests_as_the_contract_describes_them_are_no_anomaly(tmp_path):
    assert not anomalies(GOOD, tmp_path).anomaly_info


@pytest.mark.parametrize(
    ("column", "wrong"),
    [
        ("label", [[0, 2], [0]]),
        ("label", [[0, NAN], [0]]),
        ("price", [[-1, 2], [3]]),
        ("hour", ["0", "24"]),
        ("position", [[0, -2], [0]]),
        ("interactions", [-1, 0]),
        ("history_age_s", [[-60], []]),
        ("history_action", [["purchase"], []]),
        ("item_clicks_1d", [[-0.5, 0], [0]]),
        ("item", [["a", "b"], []]),
        ("user", [["u", "v"], [""]]),
    ],
)
def test_a_value_that_the_contract_rules_out_is_an_anomaly_of_its_column(column, wrong, tmp_path):
    assert list(anomalies({**GOOD, column: wrong}, tmp_path).anomaly_info) == [column]


def test_parsing_reads_what_tfxio_reads_by_the_schema(tmp_path):
    file = str(tmp_path / "examples")
    with tf.io.TFRecordWriter(file) as writer:
        for each in serialized(GOOD):
            writer.write(each)
    source = tfxio.TFExampleRecord(file, schema=schema(DATASET), telemetry_descriptors=["test"])
    parsed = parse(tf.constant(serialized(GOOD)), columns(DATASET))
    adapted = source.TensorAdapter().ToBatchTensors(batch(GOOD))
    assert parsed.keys() == adapted.keys()
    for name, values in parsed.items():
        assert type(values) is type(adapted[name])
        # As text, since NaN isn't equal to itself.
        assert str(_listed(values)) == str(_listed(adapted[name]))


def _listed(values):
    return values.to_list() if isinstance(values, tf.RaggedTensor) else values.numpy().tolist()


def test_padded_tensors_become_the_same_ragged_ones_and_padding_is_never_read():
    axes = (
        Column("c", "int64", "candidate", "input"),
        Column("v", "float32", "candidate", "input", size=2),
        Column("h", "string", "history", "input"),
    )
    dense = {
        "c": tf.constant([[1, 2, 99], [3, 99, 99]], tf.int64),
        "v": tf.constant([[[1, 2], [3, 4], [99, 99]], [[5, 6], [99, 99], [99, 99]]], tf.float32),
        "h": tf.constant([["junk"], ["x"]]),
    }
    ragged = from_dense(dense, axes, lengths={"candidate": tf.constant([2, 1], tf.int64), "history": tf.constant([0, 5], tf.int64)})
    assert ragged["c"].to_list() == [[1, 2], [3]]
    assert ragged["v"].to_list() == [[1, 2, 3, 4], [5, 6]]
    assert ragged["h"].to_list() == [[], [b"x"]]  # a count beyond the width means the whole row


def test_the_component_writes_the_schema(tmp_path):
    from tfx.types import standard_artifacts

    from components.schema.component import ContractSchema

    component = ContractSchema(dataset=SHOP)
    artifact = standard_artifacts.Schema()
    artifact.uri = str(tmp_path / "schema")
    executor = component.executor_spec.executor_class()
    executor.Do({}, {"schema": [artifact]}, component.exec_properties)
    with open(os.path.join(artifact.uri, "schema.pbtxt")) as opened:
        assert text_format.Parse(opened.read(), schema_pb2.Schema()) == schema(DATASET)
