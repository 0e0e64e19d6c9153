"""Make the decoder of a source of a dataset file."""

from pathlib import Path
from typing import Literal

from components.contract.dataset import Dataset
from components.contract.errors import InputError
from serving.exposure.serialization import EventRows
from serving.stream.decode.avro_records import AvroRecords, RegisteredAvroRecords
from serving.stream.decode.decoder import LONGEST_BYTES, EventDecoder, Payloads
from serving.stream.decode.payloads import ConvertedPayloads, HeadedJson
from serving.stream.decode.protobuf_records import ProtobufRecords, RegisteredProtobufRecords
from serving.stream.decode.schema_registry import SchemaRegistry

MessageFormat = Literal["json", "avro", "protobuf"]


def make_decoder(
    dataset: Dataset,
    source_index: int,
    *,
    format: MessageFormat = "json",
    schema: Path | None = None,
    message: str | None = None,
    registry: str | None = None,
    longest_bytes: int = LONGEST_BYTES,
) -> EventDecoder:
    """Return the decoder of messages whose columns have the roles of one of the dataset's event sources.

    Beside them `raw` has the version and the arms that the service writes with impressions.

    Args:
        dataset: the dataset file.
        source_index: which of its `events`.
        format: of the messages.
        schema: file with a schema of Avro, or a descriptor set of Protobuf.
        message: full name of the message type in a descriptor set.
        registry: URL of the schema registry instead; messages begin with a schema's id then.
        longest_bytes: longer messages are rejected.

    Raises:
        InputError: the source's rows can't be messages, or the schema can't be read.
    """
    payloads = _payloads(format, schema, message, None if registry is None else SchemaRegistry(registry))
    rows = EventRows(dataset)
    return EventDecoder(dataset, source_index, payloads, described_by=(rows.version, rows.arms), longest_bytes=longest_bytes)


def _payloads(kind: MessageFormat, schema: Path | None, message: str | None, registry: SchemaRegistry | None) -> Payloads | None:
    if kind == "json":
        return None if registry is None else HeadedJson()
    if (schema is None) == (registry is None):
        raise InputError(f"{kind}: expected a schema's file or a registry, got {'neither' if schema is None else 'both'}; give one")
    if kind == "avro":
        return ConvertedPayloads(AvroRecords(schema) if schema is not None else RegisteredAvroRecords(registry))  # type: ignore[arg-type]
    if schema is not None and message is None:
        raise InputError(f"{schema}: expected the name of the message type in the descriptor set, such as shop.Event, got none")
    return ConvertedPayloads(
        ProtobufRecords(schema, message) if schema is not None else RegisteredProtobufRecords(registry)  # type: ignore[arg-type]
    )
