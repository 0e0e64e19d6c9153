"""Convert payloads one by one to JSON objects; those that can't be are rejected."""

import base64
import json
from collections.abc import Callable, Sequence
from typing import Any, final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from components.contract.errors import InputError, SourceUnavailable
from serving.stream.decode.rejections import NO_SCHEMA, NOT_OF_SCHEMA, rejected
from serving.stream.decode.schema_registry import HEADER_BYTES, UnknownSchema, schema_id

_ENCODE = json.JSONEncoder(separators=(",", ":"), default=lambda value: plain(value)).encode


@final
class ConvertedPayloads:
    """Payloads of a binary format.

    Args:
        record: makes a dict of a payload; whatever it raises but for a registry's faults rejects that message.
    """

    def __init__(self, record: Callable[[bytes], Any]) -> None:
        self._record = record

    def to_json(self, values: Sequence[bytes]) -> tuple[Sequence[bytes], NDArray[np.int64], pl.DataFrame]:
        """Return the objects, the index of each one's message, and the rejected messages."""
        objects, at, rows, reasons, details = [], [], [], [], []
        for index, value in enumerate(values):
            try:
                record = self._record(value)
                if not isinstance(record, dict):
                    raise ValueError(f"expected a record, got {type(record).__name__}")
                objects.append(_ENCODE(record).encode())
                at.append(index)
            except (SourceUnavailable, InputError, MemoryError):
                raise
            except Exception as error:  # The readers of formats raise whatever they meet in bytes that aren't theirs.
                unknown = isinstance(error, UnknownSchema)
                rows.append(index)
                reasons.append(NO_SCHEMA if unknown else NOT_OF_SCHEMA)
                details.append(str(error) if unknown else f"{type(error).__name__}: {error}")
        return objects, np.array(at, np.int64), rejected(rows, reasons, details)


@final
class HeadedJson:
    """JSON objects behind the id of their schema, which isn't needed to read them."""

    def to_json(self, values: Sequence[bytes]) -> tuple[Sequence[bytes], NDArray[np.int64], pl.DataFrame]:
        """Return the objects, the index of each one's message, and the rejected messages."""
        objects, at, rows, details = [], [], [], []
        for index, value in enumerate(values):
            try:
                schema_id(value)
            except UnknownSchema as error:
                rows.append(index)
                details.append(str(error))
                continue
            objects.append(value[HEADER_BYTES:])
            at.append(index)
        return objects, np.array(at, np.int64), rejected(rows, NO_SCHEMA, details)


def plain(value: Any) -> Any:
    """Return a value that JSON doesn't have as text: times in ISO 8601, decimals exactly, bytes as UTF-8 or else base64."""
    if isinstance(value, bytes | bytearray):
        try:
            return value.decode()
        except UnicodeDecodeError:
            return base64.b64encode(value).decode()
    if hasattr(value, "isoformat"):
        return value.isoformat()
    return str(value)
