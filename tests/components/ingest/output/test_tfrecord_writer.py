"""TensorFlow reads back what was written, checks its sums, and protobuf would have written the same."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from components.ingest.output import tfrecord_writer as writing
from components.ingest.output.tfrecord_writer import Field, records
from tests.components.ingest.generators.random_shops import records_of, values_of

Lists = list[list[Any]]  # of each request, its values
KINDS = {"string": "bytes_list", "int64": "int64_list", "float32": "float_list"}

INTS = st.one_of(st.integers(-(2**63), 2**63 - 1), st.sampled_from([0, 127, 128, -1, 2**31, -(2**63), 2**63 - 1]))
FLOATS = st.one_of(st.floats(width=32), st.sampled_from([-0.0, math.inf, -math.inf, math.nan, 1e-45]))
TEXTS = st.one_of(st.text(max_size=9), st.sampled_from(["", "zoë", "鞋", "🥿", "\x00", "x" * 127, "x" * 128]))
VALUES: dict[str, st.SearchStrategy[Any]] = {"string": TEXTS, "int64": INTS, "float32": FLOATS}


def field(name: str, dtype: Any, lists: Lists, *, size: int = 1) -> Field:
    """The lists as a field; each value stands once in the pool, in another order than it is used."""
    flat = [value for values in lists for value in values]
    distinct = list({repr(value): value for value in reversed(flat)}.values())
    kind: Any = {"string": pl.String, "int64": pl.Int64, "float32": pl.Float32}[dtype]
    pool = pl.Series(distinct, dtype=pl.Array(kind, size) if size > 1 else kind)
    places = {repr(value): index for index, value in enumerate(distinct)}
    ends = np.cumsum([len(values) for values in lists])
    return Field(name, dtype, pool, np.array([places[repr(value)] for value in flat], np.int64), ends - [len(v) for v in lists], ends)


def written(folder: Path, fields: list[Field], rows: list[int]) -> Path:
    path = folder / "part.tfrecord"
    path.write_bytes(b"".join(chunk.tobytes() for chunk in records(fields, np.array(rows, np.int64))))
    return path


def read_by_tensorflow(path: Path, fields: list[Field]) -> list[dict[str, list[Any]]]:
    """By tf.data, which checks length and sum of each record, and tf.io, as a model does."""
    spec = {field.name: tf.io.RaggedFeature(tf.as_dtype(field.dtype)) for field in fields}
    result = []
    for record in tf.data.TFRecordDataset(str(path)):
        parsed = tf.io.parse_single_example(record, spec)
        result.append(
            {
                name: [each.decode() if isinstance(each, bytes) else each for each in values.numpy().tolist()]
                for name, values in parsed.items()
            }
        )
    return result


@st.composite
def some_fields(draw: st.DrawFn) -> tuple[dict[str, tuple[str, Lists]], list[int]]:
    """Fields by name, and which requests to write."""
    requests = draw(st.integers(1, 4))
    names = draw(st.lists(st.sampled_from(["item", "a", "b" * 60, "history_action", "é"]), min_size=1, max_size=4, unique=True))
    fields = {}
    for name in names:
        dtype = draw(st.sampled_from(list(VALUES)))
        lists = st.lists(VALUES[dtype], max_size=4)
        fields[name] = (dtype, draw(st.lists(lists, min_size=requests, max_size=requests)))
    return fields, draw(st.lists(st.integers(0, requests - 1), max_size=5))


@settings(max_examples=20, deadline=None)
@given(some_fields())
def test_tensorflow_reads_back_every_value(
    tmp_path_factory: pytest.TempPathFactory, drawn: tuple[dict[str, tuple[str, Lists]], list[int]]
) -> None:
    described, rows = drawn
    fields = [field(name, dtype, lists) for name, (dtype, lists) in described.items()]
    result = read_by_tensorflow(written(tmp_path_factory.mktemp("records"), fields, rows), fields)
    wanted = [
        {name: [np.float32(v) for v in lists[row]] if dtype == "float32" else lists[row] for name, (dtype, lists) in described.items()}
        for row in rows
    ]
    assert [{name: repr([_plain(v) for v in values]) for name, values in example.items()} for example in result] == [
        {name: repr([_plain(v) for v in values]) for name, values in example.items()} for example in wanted
    ]


def _plain(value: Any) -> Any:
    return float(value) if isinstance(value, float | np.floating) else value


def by_protobuf(described: dict[str, tuple[str, Lists]], row: int) -> bytes:
    """An example as protobuf writes it, its map in the order of the keys' bytes."""
    example = tf.train.Example()
    for name, (dtype, lists) in described.items():
        getattr(example.features.feature[name], KINDS[dtype]).value.extend(v.encode() if dtype == "string" else v for v in lists[row])
        getattr(example.features.feature[name], KINDS[dtype]).SetInParent()
    return example.SerializeToString(deterministic=True)


@settings(max_examples=100, deadline=None)
@given(some_fields())
def test_the_bytes_are_those_of_protobuf(
    tmp_path_factory: pytest.TempPathFactory, drawn: tuple[dict[str, tuple[str, Lists]], list[int]]
) -> None:
    described, rows = drawn
    fields = [field(name, dtype, lists) for name, (dtype, lists) in described.items()]
    path = written(tmp_path_factory.mktemp("records"), fields, rows)
    assert records_of(path) == [by_protobuf(described, row) for row in rows]


@pytest.mark.parametrize("length", [127, 128, 300])
def test_a_name_may_be_longer_than_a_byte_tells(tmp_path: Path, length: int) -> None:
    """A column of labels is named by its action, and an action's name may be long."""
    described: dict[str, tuple[str, Lists]] = {"n" * length: ("int64", [[7]])}
    fields = [field(name, dtype, lists) for name, (dtype, lists) in described.items()]
    path = written(tmp_path, fields, [0])
    assert records_of(path) == [by_protobuf(described, 0)]
    assert read_by_tensorflow(path, fields) == [{"n" * length: [7]}]


def test_a_vector_is_as_many_numbers_in_their_order(tmp_path: Path) -> None:
    vectors = field("look", "float32", [[[1.0, -2.5], [0.5, math.nan]], [], [[1.0, -2.5]]], size=2)
    assert str(read_by_tensorflow(written(tmp_path, [vectors], [0, 1, 2]), [vectors])) == str(
        [{"look": [1.0, -2.5, 0.5, math.nan]}, {"look": []}, {"look": [1.0, -2.5]}]
    )


def test_a_list_that_is_empty_keeps_its_type(tmp_path: Path) -> None:
    """An empty list of whole numbers isn't an empty list of texts: statistics tell them apart."""
    fields = [field("i", "int64", [[]]), field("s", "string", [[]]), field("f", "float32", [[]])]
    (record,) = records_of(written(tmp_path, fields, [0]))
    features = tf.train.Example.FromString(record).features.feature
    assert {name: feature.WhichOneof("kind") for name, feature in features.items()} == {
        "i": KINDS["int64"],
        "s": KINDS["string"],
        "f": KINDS["float32"],
    }
    assert [values_of(features[name]) for name in "isf"] == [[], [], []]


def test_without_rows_nothing_is_written(tmp_path: Path) -> None:
    assert written(tmp_path, [field("i", "int64", [[1]])], []).read_bytes() == b""


def test_however_many_records_are_laid_out_at_a_time_the_bytes_are_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fields = [field("s", "string", [["x" * n] * (n % 3) for n in range(200)]), field("i", "int64", [[n, -n] for n in range(200)])]
    rows = np.arange(199, -1, -1)
    whole = list(records(fields, rows))
    monkeypatch.setattr(writing, "CHUNK_BYTES", 1000)
    parts = list(records(fields, rows))
    assert len(whole) == 1
    assert len(parts) > 10
    assert b"".join(part.tobytes() for part in parts) == whole[0].tobytes()


def test_a_part_of_a_larger_column_is_read_from_its_own_place(tmp_path: Path) -> None:
    """A pool may be a slice, whose buffers begin elsewhere."""
    texts, numbers = pl.Series(["no", "zoë", "", "b"])[1:], pl.Series([9.0, 1.5, 2.5, 3.5], dtype=pl.Float32)[1:]
    at, first, end = np.array([2, 0, 1]), np.array([0]), np.array([3])
    fields = [Field("s", "string", texts, at, first, end), Field("f", "float32", numbers, at, first, end)]
    assert read_by_tensorflow(written(tmp_path, fields, [0]), fields) == [{"s": ["b", "zoë", ""], "f": [3.5, 1.5, 2.5]}]


@pytest.mark.parametrize("index", [3, 9, 20, -2])
def test_tensorflow_would_notice_a_bit_that_fell_over(tmp_path: Path, index: int) -> None:
    """The checks above are worth something: in length, its sum, record and its sum."""
    fields = [field("s", "string", [["shoes"]])]
    path = written(tmp_path, fields, [0])
    content = bytearray(path.read_bytes())
    content[index] ^= 1
    path.write_bytes(content)
    with pytest.raises(tf.errors.DataLossError):
        read_by_tensorflow(path, fields)
