"""Columns of requests as TFRecords of tf.Examples: the same values give the same bytes.

Protobuf's own serialisation of an Example goes through a hash map, whose order differs from process to process; here features are in the
order of their names. Bytes are laid out in one buffer by compiled code, without an object for a value or an example.

Formats: tensorflow/core/example/feature.proto (Example, Features, Feature), protobuf's encoding guide (varints, packed fields), and
tensorflow/core/lib/io/record_writer.h (length, masked CRC-32C of the length, record, masked CRC-32C of the record).
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from components.contract.columns import Dtype
from components.state.jit import compiled

CHUNK_BYTES = 1 << 20  # of records that are laid out at a time: they stay in the processor's cache

TEXTS, FLOATS, INTS = 0x0A, 0x12, 0x1A  # a Feature's one field: bytes_list, float_list or int64_list
_HEAD, _TAIL = 12, 4  # bytes of a TFRecord before and after the record
_TAG = 0x0A  # of field 1, with a length
_VALUE = 0x12  # of field 2, with a length
_MASK = 0xA282EAD8  # added to a checksum, so that the checksum of a file of checksums is no constant

Ints = NDArray[np.int64]
Bytes = NDArray[np.uint8]


@dataclass(frozen=True)
class Field:
    """A feature of R requests: request r has the values at places `first[r]` to `end[r]`, and place i holds row `at[i]` of the pool.

    `pool`: strings, whole numbers, float32, or arrays of float32 of equal length. A product's title stands there once, however often it is
    shown.
    """

    name: str
    dtype: Dtype
    pool: pl.Series
    at: Ints
    first: Ints
    end: Ints


def records(fields: Sequence[Field], rows: Ints) -> Iterator[Bytes]:
    """The requests at `rows` as framed records, some millions of bytes at a time."""
    ordered = [_Laid(field, rows) for field in sorted(fields, key=lambda field: field.name)]
    features = np.sum([field.entry + 1 + _varint_sizes(field.entry) for field in ordered], axis=0)
    example = features + 1 + _varint_sizes(features)
    chunk = np.cumsum(example) // CHUNK_BYTES
    for first, end in pairwise(np.flatnonzero(np.diff(chunk, prepend=-1, append=-1)).tolist()):
        sizes = example[first:end]
        starts = np.concatenate([[0], np.cumsum(sizes + (_HEAD + _TAIL))])
        out = np.empty(starts[-1], np.uint8)
        cursor = starts[:-1] + _HEAD
        put_heads(out, cursor, features[first:end])
        for field in ordered:
            field.put(out, cursor, first, end)
        put_frames(out, starts, sizes, _CRC_TABLES)
        yield out


class _Laid:
    """A field of the requests at `rows`, with the sizes of what it is written as.

    `payload`: bytes of a request's values; `content`: of the list message that holds them; `entry`: of the whole map entry.
    """

    def __init__(self, field: Field, rows: Ints) -> None:
        self.key = np.frombuffer(field.name.encode(), np.uint8)
        self.at, self.first, self.end = (np.ascontiguousarray(array, np.int64) for array in (field.at, field.first[rows], field.end[rows]))
        self.payload = np.zeros(len(rows), np.int64)
        self.pool: NDArray[Any]
        self.put_values: Callable[..., None]
        match field.dtype:
            case "string":
                self.put_values, (self.pool, self.layout) = put_texts, _text_buffers(field.pool)
                size_texts(self.layout, self.at, self.first, self.end, self.payload)
                self.content = self.payload
            case "int64":
                self.put_values, self.pool, self.layout = put_ints, field.pool.cast(pl.Int64).to_numpy(), np.zeros(0, np.int64)
                size_ints(self.pool, self.at, self.first, self.end, self.payload)
                self.content = self._packed()
            case "float32":
                self.put_values, (self.pool, width) = put_floats, _float_bits(field.pool)
                self.layout = np.full(1, width, np.int64)
                self.payload = (self.end - self.first) * (4 * width)
                self.content = self._packed()
        feature = self.content + 1 + _varint_sizes(self.content)
        self.entry = feature + 1 + _varint_sizes(feature) + len(self.key) + 1 + varint_size(len(self.key))

    def put(self, out: Bytes, cursor: Ints, first: int, end: int) -> None:
        """Write the feature of requests `first` to `end` at their cursors, and move those on."""
        content, payload, begin, stop = (array[first:end] for array in (self.content, self.payload, self.first, self.end))
        self.put_values(out, cursor, self.key, content, payload, self.pool, self.layout, self.at, begin, stop)

    def _packed(self) -> Ints:
        return np.where(self.payload > 0, self.payload + 1 + _varint_sizes(self.payload), 0)


def _text_buffers(texts: pl.Series) -> tuple[Bytes, Ints]:
    """All bytes of the texts, and where each begins and the last ends."""
    array = texts.cast(pl.String).rechunk().to_arrow(compat_level=pl.CompatLevel.oldest())
    _, offsets, content = array.buffers()
    bounds = np.frombuffer(offsets, np.int64)[array.offset : array.offset + len(array) + 1] if len(array) else np.zeros(1, np.int64)
    return np.frombuffer(content, np.uint8) if content is not None else np.zeros(0, np.uint8), bounds


def _float_bits(numbers: pl.Series) -> tuple[NDArray[np.uint32], int]:
    """The numbers' bits, and how many numbers a value has."""
    width = numbers.dtype.size if isinstance(numbers.dtype, pl.Array) else 1
    flat = numbers.explode() if isinstance(numbers.dtype, pl.Array) else numbers
    return np.ascontiguousarray(flat.cast(pl.Float32).to_numpy()).view(np.uint32), width


def _varint_sizes(values: Any) -> Any:
    """Bytes that each of some lengths takes as a varint."""
    sizes = np.ones_like(values)
    for bits in (7, 14, 21, 28, 35):
        sizes += values >= 1 << bits
    return sizes


def _crc_tables() -> NDArray[np.uint32]:
    """Eight tables of CRC-32C (Castagnoli): what a byte k places back adds to the checksum (Kounavis and Berry, 2005)."""
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
    """Bytes of each request's texts, with tag and length."""
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
    """Bytes of each request's whole numbers as varints; a negative one takes ten."""
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
def put_varint(out: Bytes, place: int, value: int) -> int:
    """Write a varint; the place after it."""
    rest = np.uint64(value)
    while rest >= np.uint64(128):
        out[place] = (rest & np.uint64(127)) | np.uint64(128)
        rest >>= np.uint64(7)
        place += 1
    out[place] = rest
    return place + 1


@compiled
def varint_size(value: int) -> int:
    """Bytes of a length as a varint."""
    size = 1
    while value >= 128:
        value >>= 7
        size += 1
    return size


@compiled
def put_heads(out: Bytes, cursor: Ints, features: Ints) -> None:
    """Write what stands before an Example's features."""
    for r in range(cursor.shape[0]):
        out[cursor[r]] = _TAG
        cursor[r] = put_varint(out, cursor[r] + 1, features[r])


@compiled
def put_entry(out: Bytes, place: int, key: Bytes, kind: int, content: int) -> int:
    """Write what stands before a feature's values: the map entry, its key, and which kind of list follows."""
    feature = content + 1 + varint_size(content)
    entry = feature + 1 + varint_size(feature) + key.shape[0] + 1 + varint_size(key.shape[0])
    out[place] = _TAG
    place = put_varint(out, place + 1, entry)
    out[place] = _TAG
    place = put_varint(out, place + 1, key.shape[0])
    for k in range(key.shape[0]):
        out[place + k] = key[k]
    place += key.shape[0]
    out[place] = _VALUE
    place = put_varint(out, place + 1, feature)
    out[place] = kind
    return put_varint(out, place + 1, content)


@compiled
def put_texts(
    out: Bytes, cursor: Ints, key: Bytes, content: Ints, payload: Ints, pool: Bytes, offsets: Ints, at: Ints, first: Ints, end: Ints
) -> None:
    """Write a feature of texts."""
    for r in range(cursor.shape[0]):
        place = put_entry(out, cursor[r], key, TEXTS, content[r])
        for i in range(first[r], end[r]):
            begin, length = offsets[at[i]], offsets[at[i] + 1] - offsets[at[i]]
            out[place] = _TAG
            place = put_varint(out, place + 1, length)
            for k in range(length):
                out[place + k] = pool[begin + k]
            place += length
        cursor[r] = place


@compiled
def put_ints(
    out: Bytes, cursor: Ints, key: Bytes, content: Ints, payload: Ints, pool: Ints, offsets: Ints, at: Ints, first: Ints, end: Ints
) -> None:
    """Write a feature of whole numbers."""
    for r in range(cursor.shape[0]):
        place = put_entry(out, cursor[r], key, INTS, content[r])
        if payload[r] > 0:
            out[place] = _TAG
            place = put_varint(out, place + 1, payload[r])
            for i in range(first[r], end[r]):
                place = put_varint(out, place, pool[at[i]])
        cursor[r] = place


@compiled
def put_floats(
    out: Bytes,
    cursor: Ints,
    key: Bytes,
    content: Ints,
    payload: Ints,
    pool: NDArray[np.uint32],
    width: Ints,
    at: Ints,
    first: Ints,
    end: Ints,
) -> None:
    """Write a feature of floats, or of vectors of `width[0]` floats."""
    for r in range(cursor.shape[0]):
        place = put_entry(out, cursor[r], key, FLOATS, content[r])
        if payload[r] > 0:
            out[place] = _TAG
            place = put_varint(out, place + 1, payload[r])
            for i in range(first[r], end[r]):
                for k in range(width[0]):
                    bits = pool[at[i] * width[0] + k]
                    for byte in range(4):
                        out[place + byte] = (bits >> np.uint32(8 * byte)) & np.uint32(255)
                    place += 4
        cursor[r] = place


@compiled
def masked_crc(content: Bytes, begin: int, length: int, tables: NDArray[np.uint32]) -> Any:
    """CRC-32C of some bytes, eight at a time, as TFRecord masks it."""
    crc, place, end = np.uint32(0xFFFFFFFF), begin, begin + length
    while place + 8 <= end:
        low = crc ^ (
            np.uint32(content[place])
            | np.uint32(content[place + 1]) << np.uint32(8)
            | np.uint32(content[place + 2]) << np.uint32(16)
            | np.uint32(content[place + 3]) << np.uint32(24)
        )
        crc = (
            tables[7, low & np.uint32(255)]
            ^ tables[6, (low >> np.uint32(8)) & np.uint32(255)]
            ^ tables[5, (low >> np.uint32(16)) & np.uint32(255)]
            ^ tables[4, low >> np.uint32(24)]
            ^ tables[3, content[place + 4]]
            ^ tables[2, content[place + 5]]
            ^ tables[1, content[place + 6]]
            ^ tables[0, content[place + 7]]
        )
        place += 8
    while place < end:
        crc = tables[0, (crc ^ content[place]) & np.uint32(255)] ^ (crc >> np.uint32(8))
        place += 1
    crc ^= np.uint32(0xFFFFFFFF)
    return ((crc >> 15 | crc << 17) + _MASK) & 0xFFFFFFFF


@compiled
def put_frames(out: Bytes, starts: Ints, sizes: Ints, tables: NDArray[np.uint32]) -> None:
    """Write length and checksums around each record."""
    for r in range(sizes.shape[0]):
        start = starts[r]
        for byte in range(8):
            out[start + byte] = (sizes[r] >> (8 * byte)) & 255
        crc = masked_crc(out, start, 8, tables)
        for byte in range(4):
            out[start + 8 + byte] = (crc >> (8 * byte)) & 255
        crc = masked_crc(out, start + _HEAD, sizes[r], tables)
        for byte in range(4):
            out[start + _HEAD + sizes[r] + byte] = (crc >> (8 * byte)) & 255
