"""Avro and Protobuf become the events that the same values in JSON become; schemas come from files or a registry."""

import base64
import json
import struct
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import Any

import fastavro
import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from polars.testing import assert_frame_equal

from components.contract.errors import InputError, SourceUnavailable
from serving.stream.decode.make_decoder import make_decoder
from serving.stream.decode.rejections import NO_SCHEMA, NOT_OF_SCHEMA
from serving.stream.decode.schema_registry import CREDENTIALS_VARIABLE
from serving.stream.interface import Decoded
from tests.serving.stream.decode.registry import Registry, registry
from tests.serving.stream.decode.shop import NOW_US, TIME_MS, event, message, shop

WHO = {"type": "record", "name": "Who", "fields": [{"name": "id", "type": "string"}]}
AVRO = {
    "type": "record",
    "name": "Event",
    "fields": [
        {"name": "ts", "type": {"type": "long", "logicalType": "timestamp-millis"}},
        {"name": "who", "type": WHO},
        {"name": "item", "type": ["null", "string"]},
        {"name": "what", "type": {"type": "enum", "name": "What", "symbols": ["impression", "click"]}},
        {"name": "request", "type": "string"},
        {"name": "visit", "type": "bytes"},
        {"name": "rank", "type": "int"},
        {"name": "paid", "type": ["null", {"type": "bytes", "logicalType": "decimal", "precision": 8, "scale": 2}]},
        {"name": "shown", "type": {"type": "map", "values": "double"}},
        {"name": "device", "type": "string"},
        {"name": "vector", "type": {"type": "array", "items": "float"}},
    ],
}
PROTO = """
syntax = "proto3";
package shop;
import "google/protobuf/timestamp.proto";
import "google/protobuf/wrappers.proto";
enum What { impression = 0; click = 1; }
message Other { string name = 1; }
message Event {
  message Who { string id = 1; }
  google.protobuf.Timestamp ts = 1;
  Who who = 2;
  google.protobuf.StringValue item = 3;
  What what = 4;
  string request = 5;
  bytes visit = 6;
  int32 rank = 7;
  optional double paid = 8;
  map<string, double> shown = 9;
  string device = 10;
  repeated float vector = 11;
}
"""


@pytest.fixture
def schemas() -> Iterator[Registry]:
    with registry() as server:
        yield server


@pytest.fixture
def avro_file(tmp_path: Path) -> Path:
    (tmp_path / "event.avsc").write_text(json.dumps(AVRO))
    return tmp_path / "event.avsc"


@pytest.fixture
def descriptor_set(tmp_path: Path) -> Path:
    (tmp_path / "event.proto").write_text(PROTO)
    out = tmp_path / "event.protoset"
    # In a process of its own: beside TensorFlow's Protobuf the compiler's crashes.
    command = [
        sys.executable,
        "-m",
        "grpc_tools.protoc",
        f"-I{tmp_path}",
        "--include_imports",
        f"--descriptor_set_out={out}",
        "event.proto",
    ]
    subprocess.run(command, check=True)
    return out


def avro(schema: Any = AVRO, **changed: Any) -> bytes:
    out = BytesIO()
    moment = datetime.fromtimestamp(TIME_MS / 1000, UTC)
    fastavro.schemaless_writer(out, fastavro.parse_schema(schema), {**event(ts=moment, visit=b"v1", paid=None), **changed})
    return out.getvalue()


def protobuf(file: Path, **changed: Any) -> bytes:
    pool = descriptor_pool.DescriptorPool()
    for each in descriptor_pb2.FileDescriptorSet.FromString(file.read_bytes()).file:
        pool.Add(each)
    kind = message_factory.GetMessageClass(pool.FindMessageTypeByName("shop.Event"))
    values = {**event(visit=b"v1", item=None, ts=None, what=1), **changed}
    made = kind(**{name: value for name, value in values.items() if value is not None})
    made.ts.FromMilliseconds(TIME_MS)
    made.item.value = "i1"
    return bytes(made.SerializeToString())


def headed(number: int, payload: bytes, path: bytes = b"") -> bytes:
    return b"\0" + struct.pack(">I", number) + path + payload


def decode(values: list[bytes], **options: Any) -> Decoded:
    return make_decoder(shop(), 0, **options).decode(values, now_us=NOW_US)


def test_avro_of_a_file(avro_file: Path) -> None:
    values = [avro(), b"", b"\xff" * 40, avro() + b"x", avro(item=None), avro(visit=b"\xff\xfe")]
    decoded = decode(values, format="avro", schema=avro_file)
    expected = decode([message(paid=None), b"", b"", b"", message(item=None), message(paid=None, visit="//4=")])
    assert_frame_equal(decoded.events, expected.events)
    assert decoded.rejected.select("row", "reason").rows() == [(1, NOT_OF_SCHEMA), (2, NOT_OF_SCHEMA), (3, NOT_OF_SCHEMA), (4, "no item")]
    assert "and it ends after" in decoded.rejected["detail"][2]


def test_protobuf_of_a_descriptor_set(descriptor_set: Path) -> None:
    values = [protobuf(descriptor_set), b"\xff", protobuf(descriptor_set, what=0, rank=0, vector=[], paid=None)]
    decoded = decode(values, format="protobuf", schema=descriptor_set, message="shop.Event")
    expected = decode([message(), b"", message(what="impression", rank=0, vector=None, paid=None)])
    assert_frame_equal(decoded.events, expected.events)
    assert decoded.rejected.select("row", "reason").rows() == [(1, NOT_OF_SCHEMA)]


def test_avro_of_a_registry_follows_each_payloads_schema_and_asks_once(schemas: Registry) -> None:
    apart = {**AVRO, "fields": [*({**field, "type": "Who"} if field["name"] == "who" else field for field in AVRO["fields"])]}  # type: ignore[dict-item,misc,union-attr]
    grown = {**AVRO, "fields": [{"name": "new", "type": "int"}, *AVRO["fields"]]}
    schemas.answers = {
        "/schemas/ids/1": {"schema": json.dumps(apart), "references": [{"name": "Who", "subject": "who/v", "version": 3}]},
        "/subjects/who%2Fv/versions/3": {"schema": json.dumps(WHO)},
        "/schemas/ids/2": {"schema": json.dumps(grown)},
        "/schemas/ids/3": {"schema": "{}", "schemaType": "JSON"},
        "/schemas/ids/4": {"schema": "{}"},
    }
    payloads = [headed(1, avro()), headed(2, avro(grown, new=5)), headed(1, avro()), avro(), headed(3, b""), headed(4, b""), headed(9, b"")]
    decoder = make_decoder(shop(), 0, format="avro", registry=schemas.url)
    for _ in range(2):
        decoded = decoder.decode(payloads, now_us=NOW_US)
        assert decoded.events["seq"].to_list() == [0, 1, 2]
        assert decoded.rejected.select("row", "reason").rows() == [(at, NO_SCHEMA) for at in (3, 4, 5, 6)]
    assert schemas.asked.count("/schemas/ids/1") == schemas.asked.count("/subjects/who%2Fv/versions/3") == 1
    assert "has no schema 9" in decoded.rejected["detail"][3]


def test_protobuf_of_a_registry(schemas: Registry, descriptor_set: Path) -> None:
    files = descriptor_pb2.FileDescriptorSet.FromString(descriptor_set.read_bytes()).file
    (own,) = (each for each in files if each.name == "event.proto")
    schemas.answers = {
        "/schemas/ids/7?format=serialized": {"schemaType": "PROTOBUF", "schema": base64.b64encode(own.SerializeToString()).decode()},
        "/schemas/ids/8?format=serialized": {"schemaType": "PROTOBUF", "schema": "no base64"},
    }
    payload = protobuf(descriptor_set)
    payloads = [headed(7, payload, b"\x02\x02"), headed(7, payload, b"\x02\x08"), headed(8, payload, b"\x00"), headed(7, b"")]
    decoded = decode(payloads, format="protobuf", registry=schemas.url)
    assert_frame_equal(decoded.events, decode([message()]).events)
    assert decoded.rejected["reason"].to_list() == [NO_SCHEMA, NO_SCHEMA, NOT_OF_SCHEMA]


def test_json_behind_a_schemas_id_is_read_without_the_registry(schemas: Registry) -> None:
    decoded = decode([headed(1, message()), message()], registry=schemas.url)
    assert decoded.events["seq"].to_list() == [0]
    assert decoded.rejected.select("row", "reason").rows() == [(1, NO_SCHEMA)]
    assert schemas.asked == []


@pytest.mark.parametrize("status", [500, 503])
def test_a_registry_that_is_down_is_asked_again_and_no_message_is_rejected(schemas: Registry, status: int) -> None:
    schemas.answers = {"/schemas/ids/1": {"schema": json.dumps(AVRO)}}
    decoder = make_decoder(shop(), 0, format="avro", registry=schemas.url)
    schemas.status = status
    with pytest.raises(SourceUnavailable, match=f"expected a schema of the registry, got HTTP {status}; check the address"):
        decoder.decode([headed(1, avro())], now_us=NOW_US)
    schemas.status = 200
    assert len(decoder.decode([headed(1, avro())], now_us=NOW_US).events) == 1
    schemas.status = status  # what is known needs no registry
    assert len(decoder.decode([headed(1, avro())], now_us=NOW_US).events) == 1


def test_a_registry_that_cannot_be_reached_or_refuses_is_said(schemas: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SourceUnavailable, match=r"http://127\.0\.0\.1:1: expected a schema of the registry, got .*refused"):
        decode([headed(1, avro())], format="avro", registry="http://127.0.0.1:1")
    monkeypatch.setenv(CREDENTIALS_VARIABLE, "me:secret")
    schemas.status = 401
    with pytest.raises(InputError, match=rf"the schema registry refuses \(HTTP 401\): give USER:PASSWORD in {CREDENTIALS_VARIABLE}"):
        decode([headed(1, avro())], format="avro", registry=schemas.url)
    assert schemas.credentials == ["Basic bWU6c2VjcmV0"]
    with pytest.raises(InputError, match="expected a schema registry's http://HOST:PORT, got http://host") as refused:
        decode([], format="avro", registry="http://me:secret@host")
    assert "secret" not in str(refused.value)


def test_schemas_that_cannot_be_used_are_refused_when_the_decoder_is_made(avro_file: Path, descriptor_set: Path, tmp_path: Path) -> None:
    for options, fault in (
        ({"format": "avro"}, "avro: expected a schema's file or a registry, got neither"),
        ({"format": "avro", "schema": avro_file, "registry": "http://host"}, "got both; give one"),
        ({"format": "avro", "schema": descriptor_set}, r"expected a schema of Avro \(.avsc\)"),
        ({"format": "protobuf", "schema": avro_file, "message": "shop.Event"}, "expected a descriptor set, .*--include_imports"),
        ({"format": "protobuf", "schema": descriptor_set}, "expected the name of the message type"),
        ({"format": "protobuf", "schema": descriptor_set, "message": "shop.Evnt"}, "which isn't there; did you mean 'shop.Event'"),
        ({"format": "protobuf", "schema": tmp_path / "none", "message": "x"}, "none: expected a descriptor set"),
    ):
        with pytest.raises(InputError, match=fault):
            decode([], **options)  # type: ignore[arg-type]
