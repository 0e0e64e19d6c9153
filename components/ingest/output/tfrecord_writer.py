"""Serialise columns of requests as TFRecords of tf.Examples, deterministically: the same values give the same bytes.

Protobuf's own serialisation of an Example goes through a hash map, whose order differs from process to process; here
features are in the order of their names. Compiled code writes the bytes into one buffer, without an object for each
value or example.

Formats: tensorflow/core/example/feature.proto (Example, Features, Feature), protobuf's encoding guide (varints, packed
fields), and tensorflow/core/lib/io/record_writer.h (length, masked CRC-32C of the length, record, masked CRC-32C of the
record).
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from components.contract.columns import Dtype
from components.state.jit import compiled

CHUNK_BYTES = 1 << 20  # of records that are serialised at a time: they stay in the processor's cache

TEXTS, FLOATS, INTS = 0x0A, 0x12, 0x1A  # tags of a Feature's one field: bytes_list, float_list or int64_list
_HEADER_BYTES, _FOOTER_BYTES = 12, 4  # of a TFRecord, before and after the record
_TAG = 0x0A  # of field 1, with a length
_VALUE_TAG = 0x12  # of field 2, with a length
_CRC_MASK = 0xA282EAD8  # added to a checksum, so that the checksum of a file of checksums is no constant

Ints = NDArray[np.int64]
Bytes = NDArray[np.uint8]


@dataclass(frozen=True)
class Field:
    """A feature of R requests: request r has the values `pool[at[first[r]:end[r]]]`.

    `pool`: strings, whole numbers, float32, or arrays of float32 of equal length. A product's title is stored there
    once, however often it is shown.
    """

    name: str
    dtype: Dtype
    pool: pl.Series
    at: Ints
    first: Ints
    end: Ints


def records(fields: Sequence[Field], rows: Ints) -> Iterator[Bytes]:
    """Yield the requests at `rows` as framed records, about CHUNK_BYTES of them at a time."""
    ordered = [_FieldWriter(field, rows) for field in sorted(fields, key=lambda field: field.name)]
    features = np.sum([field.entry + 1 + _varint_sizes(field.entry) for field in ordered], axis=0)
    example = features + 1 + _varint_sizes(features)
    chunk = np.cumsum(example) // CHUNK_BYTES
    for first, end in pairwise(np.flatnonzero(np.diff(chunk, prepend=-1, append=-1)).tolist()):
        sizes = example[first:end]
        starts = np.concatenate([[0], np.cumsum(sizes + (_HEADER_BYTES + _FOOTER_BYTES))])
        out = np.empty(starts[-1], np.uint8)
        cursor = starts[:-1] + _HEADER_BYTES
        write_example_headers(out, cursor, features[first:end])
        for field in ordered:
            field.write(out, cursor, first, end)
        write_record_frames(out, starts, sizes, _CRC_TABLES)
        yield out


class Feature(NamedTuple):
    """One feature of R requests, as compiled code takes it."""

    key: Bytes  # the feature's name, UTF-8
    content: Ints  # (R,) bytes of the list message
    payload: Ints  # (R,) bytes of the values in it
    pool: NDArray[Any]  # bytes of all texts, whole numbers, or the bits of floats
    layout: Ints  # of texts: where each begins in the pool and the last ends; of floats: (1,) how many a value has; of ints: empty
    at: Ints  # which value of the pool comes where
    first: Ints  # (R,) the request's first index in `at`
    end: Ints  # (R,) the index after its last


class _FieldWriter:
    """Write a field of the requests at `rows`. `entry`: (R,) bytes of the feature's map entry in the Example."""

    def __init__(self, field: Field, rows: Ints) -> None:
        key = np.frombuffer(field.name.encode(), np.uint8)
        at, first, end = (np.ascontiguousarray(array, np.int64) for array in (field.at, field.first[rows], field.end[rows]))
        payload, layout = np.zeros(len(rows), np.int64), np.zeros(0, np.int64)
        pool: NDArray[Any]
        self._write_values: Callable[[Bytes, Ints, Feature], None]
        match field.dtype:
            case "string":
                self._write_values, (pool, layout) = write_texts, _text_buffers(field.pool)
                size_texts(layout, at, first, end, payload)
                content = payload
            case "int64":
                self._write_values, pool = write_ints, field.pool.cast(pl.Int64).to_numpy()
                size_ints(pool, at, first, end, payload)
                content = _packed_sizes(payload)
            case "float32":
                self._write_values, (pool, width) = write_floats, _float_bits(field.pool)
                layout, payload = np.full(1, width, np.int64), (end - first) * (4 * width)
                content = _packed_sizes(payload)
        self._feature = Feature(key, content, payload, pool, layout, at, first, end)
        size = content + 1 + _varint_sizes(content)
        self.entry = size + 1 + _varint_sizes(size) + len(key) + 1 + varint_size(len(key))

    def write(self, out: Bytes, cursor: Ints, first: int, end: int) -> None:
        """Write the feature of requests `first` to `end` at their cursors, and advance those."""
        per_request = ("content", "payload", "first", "end")
        part = self._feature._replace(**{name: getattr(self._feature, name)[first:end] for name in per_request})
        self._write_values(out, cursor, part)


def _packed_sizes(payload: Ints) -> Ints:
    """Return the bytes of packed fields with tag and length; an empty one takes none."""
    return np.where(payload > 0, payload + 1 + _varint_sizes(payload), 0)


def _text_buffers(texts: pl.Series) -> tuple[Bytes, Ints]:
    """Return all bytes of the texts, and where each begins and the last ends."""
    array = texts.cast(pl.String).rechunk().to_arrow(compat_level=pl.CompatLevel.oldest())
    _, offsets, content = array.buffers()
    bounds = np.frombuffer(offsets, np.int64)[array.offset : array.offset + len(array) + 1] if len(array) else np.zeros(1, np.int64)
    return np.frombuffer(content, np.uint8) if content is not None else np.zeros(0, np.uint8), bounds


def _float_bits(numbers: pl.Series) -> tuple[NDArray[np.uint32], int]:
    """Return the numbers' bits, and how many numbers a value has."""
    width = numbers.dtype.size if isinstance(numbers.dtype, pl.Array) else 1
    flat = numbers.explode() if isinstance(numbers.dtype, pl.Array) else numbers
    return np.ascontiguousarray(flat.cast(pl.Float32).to_numpy()).view(np.uint32), width


def _varint_sizes(values: Any) -> Any:
    """Return the bytes that each of some lengths takes as a varint."""
    sizes = np.ones_like(values)
    for bits in (7, 14, 21, 28, 35):
        sizes += values >= 1 << bits
    return sizes


def _crc_tables() -> NDArray[np.uint32]:
    """Return eight tables of CRC-32C (Castagnoli): what a byte k bytes back adds to the checksum (Kounavis and
    Berry, 2005)."""
    tables = np.zeros((8, 256), np.uint32)
    tables[0] = np.arange(256)
    for _ in range(8):
        tables[0] = (tables[0] >> np.uint32(1)) ^ np.where(tables[0] & 1, np.uint32(0x82F63B78), np.uint32(0))
    for k in range(1, 8):
        tables[k] = (tables[k - 1] >> np.uint32(8)) ^ tables[0][tables[k - 1] & 0xFF]
    return tables


_CRC_TABLES = _crc_tables()


@compiled
def size_texts(offsets: Ints, at: Ints, first: Ints, end: Ints, sizes: Ints) -> None:
    """Write the bytes of each request's texts, with tag and length, to `sizes`."""
    for r in range(first.shape[0]):
        total = 0
        for i in range(first[r], end[r]):
            length = offsets[at[i] + 1] - offsets[at[i]]
            total += length + 2
            while length >= 128:
                length >>= 7
                total += 1
        sizes[r] = total


@compiled
def size_ints(pool: Ints, at: Ints, first: Ints, end: Ints, sizes: Ints) -> None:
    """Write the bytes of each request's whole numbers as varints to `sizes`; a negative number takes ten."""
    for r in range(first.shape[0]):
        total = 0
        for i in range(first[r], end[r]):
            value = np.uint64(pool[at[i]])
            total += 1
            while value >= np.uint64(128):
                value >>= np.uint64(7)
                total += 1
        sizes[r] = total


@compiled
def write_varint(out: Bytes, position: int, value: int) -> int:
    """Write a varint; return the position after it."""
    rest = np.uint64(value)
    while rest >= np.uint64(128):
        out[position] = (rest & np.uint64(127)) | np.uint64(128)
        rest >>= np.uint64(7)
        position += 1
    out[position] = rest
    return position + 1


@compiled
def varint_size(value: int) -> int:
    """Return the bytes of a length as a varint."""
    size = 1
    while value >= 128:
        value >>= 7
        size += 1
    return size


@compiled
def write_example_headers(out: Bytes, cursor: Ints, features: Ints) -> None:
    """Write the tag and length of each Example's `features` field."""
    for r in range(cursor.shape[0]):
        out[cursor[r]] = _TAG
        cursor[r] = write_varint(out, cursor[r] + 1, features[r])


@compiled
def write_feature_header(out: Bytes, position: int, key: Bytes, kind: int, content: int) -> int:
    """Write what precedes a feature's values: the map entry, its key, and the tag of its list; return the position
    after it."""
    feature = content + 1 + varint_size(content)
    entry = feature + 1 + varint_size(feature) + key.shape[0] + 1 + varint_size(key.shape[0])
    out[position] = _TAG
    position = write_varint(out, position + 1, entry)
    out[position] = _TAG
    position = write_varint(out, position + 1, key.shape[0])
    for k in range(key.shape[0]):
        out[position + k] = key[k]
    position += key.shape[0]
    out[position] = _VALUE_TAG
    position = write_varint(out, position + 1, feature)
    out[position] = kind
    return write_varint(out, position + 1, content)


@compiled
def write_texts(out: Bytes, cursor: Ints, feature: Feature) -> None:
    """Write a feature of texts."""
    pool, offsets, at = feature.pool, feature.layout, feature.at
    for r in range(cursor.shape[0]):
        position = write_feature_header(out, cursor[r], feature.key, TEXTS, feature.content[r])
        for i in range(feature.first[r], feature.end[r]):
            begin, length = offsets[at[i]], offsets[at[i] + 1] - offsets[at[i]]
            out[position] = _TAG
            position = write_varint(out, position + 1, length)
            for k in range(length):
                out[position + k] = pool[begin + k]
            position += length
        cursor[r] = position


@compiled
def write_ints(out: Bytes, cursor: Ints, feature: Feature) -> None:
    """Write a feature of whole numbers."""
    for r in range(cursor.shape[0]):
        position = write_feature_header(out, cursor[r], feature.key, INTS, feature.content[r])
        if feature.payload[r] > 0:
            out[position] = _TAG
            position = write_varint(out, position + 1, feature.payload[r])
            for i in range(feature.first[r], feature.end[r]):
                position = write_varint(out, position, feature.pool[feature.at[i]])
        cursor[r] = position


@compiled
def write_floats(out: Bytes, cursor: Ints, feature: Feature) -> None:
    """Write a feature of floats, or of vectors of `layout[0]` floats, little-endian."""
    width = feature.layout[0]
    for r in range(cursor.shape[0]):
        position = write_feature_header(out, cursor[r], feature.key, FLOATS, feature.content[r])
        if feature.payload[r] > 0:
            out[position] = _TAG
            position = write_varint(out, position + 1, feature.payload[r])
            for i in range(feature.first[r], feature.end[r]):
                for k in range(width):
                    bits = feature.pool[feature.at[i] * width + k]
                    for byte in range(4):
                        out[position + byte] = (bits >> np.uint32(8 * byte)) & np.uint32(255)
                    position += 4
        cursor[r] = position


@compiled
def masked_crc(content: Bytes, begin: int, length: int, tables: NDArray[np.uint32]) -> Any:
    """Return the CRC-32C of some bytes, computed eight at a time, as TFRecord masks it."""
    crc, position, end = np.uint32(0xFFFFFFFF), begin, begin + length
    while position + 8 <= end:
        low = crc ^ (
            np.uint32(content[position])
            | np.uint32(content[position + 1]) << np.uint32(8)
            | np.uint32(content[position + 2]) << np.uint32(16)
            | np.uint32(content[position + 3]) << np.uint32(24)
        )
        crc = (
            tables[7, low & np.uint32(255)]
            ^ tables[6, (low >> np.uint32(8)) & np.uint32(255)]
            ^ tables[5, (low >> np.uint32(16)) & np.uint32(255)]
            ^ tables[4, low >> np.uint32(24)]
            ^ tables[3, content[position + 4]]
            ^ tables[2, content[position + 5]]
            ^ tables[1, content[position + 6]]
            ^ tables[0, content[position + 7]]
        )
        position += 8
    while position < end:
        crc = tables[0, (crc ^ content[position]) & np.uint32(255)] ^ (crc >> np.uint32(8))
        position += 1
    crc ^= np.uint32(0xFFFFFFFF)
    return ((crc >> 15 | crc << 17) + _CRC_MASK) & 0xFFFFFFFF


@compiled
def write_record_frames(out: Bytes, starts: Ints, sizes: Ints, tables: NDArray[np.uint32]) -> None:
    """Write the length and the checksums around each record."""
    for r in range(sizes.shape[0]):
        start = starts[r]
        for byte in range(8):
            out[start + byte] = (sizes[r] >> (8 * byte)) & 255
        crc = masked_crc(out, start, 8, tables)
        for byte in range(4):
            out[start + 8 + byte] = (crc >> (8 * byte)) & 255
        crc = masked_crc(out, start + _HEADER_BYTES, sizes[r], tables)
        for byte in range(4):
            out[start + _HEADER_BYTES + sizes[r] + byte] = (crc >> (8 * byte)) & 255
