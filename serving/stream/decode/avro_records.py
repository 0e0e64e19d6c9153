"""Read Avro payloads: of one schema from a file, or each of the schema whose id of a registry it begins with."""

import json
from io import BytesIO
from pathlib import Path
from typing import Any, final

import fastavro
from fastavro.schema import SchemaParseException, UnknownType

from components.contract.errors import InputError
from serving.stream.decode.schema_registry import HEADER_BYTES, SchemaRegistry, UnknownSchema, schema_id

_FAULTS = (SchemaParseException, UnknownType, ValueError, TypeError, KeyError)


@final
class AvroRecords:
    """Records of the schema in a file.

    Raises:
        InputError: the file has no schema of Avro.
    """

    def __init__(self, file: Path) -> None:
        try:
            self._schema = fastavro.parse_schema(json.loads(file.read_text()))
        except (OSError, *_FAULTS) as error:
            raise InputError(f"{file}: expected a schema of Avro (.avsc), {type(error).__name__}: {error}") from None

    def __call__(self, payload: bytes) -> Any:
        """Return a payload's record."""
        return _record(payload, 0, self._schema)


@final
class RegisteredAvroRecords:
    """Records of schemas in a registry."""

    def __init__(self, registry: SchemaRegistry) -> None:
        self._registry = registry
        self._schemas: dict[int, Any] = {}

    def __call__(self, payload: bytes) -> Any:
        """Return a payload's record.

        Raises:
            UnknownSchema: the registry doesn't know its id, or has no schema of Avro under it.
            SourceUnavailable: the registry doesn't answer.
        """
        number = schema_id(payload)
        if number not in self._schemas:
            self._schemas[number] = self._parsed(number)
        return _record(payload, HEADER_BYTES, self._schemas[number])

    def _parsed(self, number: int) -> Any:
        registered = self._registry.schema(number)
        kind = registered.get("schemaType", "AVRO")
        if kind != "AVRO":
            raise UnknownSchema(f"schema {number} is one of {kind}, not of AVRO")
        named: dict[str, Any] = {}
        try:
            self._with_references(registered, named)
            return fastavro.parse_schema(json.loads(registered["schema"]), named_schemas=named)
        except _FAULTS as error:
            raise UnknownSchema(f"schema {number} can't be read: {type(error).__name__}: {error}") from None

    def _with_references(self, registered: dict[str, Any], named: dict[str, Any]) -> None:
        """Parse the schemas that one refers to, those first that they refer to themselves."""
        for reference in registered.get("references") or ():
            if reference["name"] not in named:
                other = self._registry.reference(reference["subject"], reference["version"])
                self._with_references(other, named)
                fastavro.parse_schema(json.loads(other["schema"]), named_schemas=named)


def _record(payload: bytes, begin: int, schema: Any) -> Any:
    stream = BytesIO(payload)
    stream.seek(begin)
    record = fastavro.schemaless_reader(stream, schema, None)
    if stream.tell() != len(payload):
        raise ValueError(f"expected a record of {len(payload) - begin:,} bytes, and it ends after {stream.tell() - begin:,}")
    return record
