"""Read a bounded sample of a file: its compression, format, encoding, and lines from its start and later offsets."""

import io
import os
import zlib
from dataclasses import dataclass
from typing import IO, Any, Literal

import zstandard
from charset_normalizer import from_bytes

from components.contract.errors import InputError
from components.contract.sources import Format

HEAD_BYTES = 4 << 20  # some 50,000 events
SPOT_BYTES = 512 << 10
SPOTS = (0.5, 0.9)  # offsets, as shares of the length, where other columns and actions may occur than at the start
_FEW = 10  # fewest bytes above 127 to guess an encoding from
_ENCODING_BYTES = 64 << 10  # of lines with bytes above 127 to look at

Compression = Literal["gzip", "zstd"]
_MAGIC: dict[bytes, Compression] = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd"}
_UNREADABLE = {
    b"PK\x03\x04": "a zip archive (or a spreadsheet)",
    b"BZh": "packed by bzip2",
    b"\xfd7zXZ\x00": "packed by xz",
    b"7z\xbc\xaf\x27\x1c": "a 7z archive",
    b"Obj\x01": "Avro",
    b"ORC": "ORC",
    b"SQLite format 3\x00": "an SQLite database",
    b"%PDF": "a PDF",
}
_MARKS = {b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16", b"\xef\xbb\xbf": "utf-8-sig"}


@dataclass(frozen=True)
class FileSample:
    """The sample of a file.

    `head`: whole lines from its start; `spots`: whole lines from later offsets, one text each. Both are empty for
    Parquet. `whole`: the head is all of the file. `size`: in bytes, as stored.
    """

    path: str
    size: int
    format: Format
    compression: Compression | None = None
    encoding: str = "utf-8"
    head: str = ""
    spots: tuple[str, ...] = ()
    whole: bool = True


def read_sample(path: str, *, head_bytes: int = HEAD_BYTES) -> FileSample:
    """Sample a file; `HEAD_BYTES` and a few spots of it are read, however large it is.

    Raises:
        InputError: it is missing, empty, or of a format that ingestion can't read.
    """
    try:
        size = os.path.getsize(path)
        with open(path, "rb") as file:
            start = file.read(16)
            if start.startswith(b"PAR1"):
                return FileSample(path, size, "parquet")
            _refuse_unreadable(path, start)
            compression = next((name for magic, name in _MAGIC.items() if start.startswith(magic)), None)
            file.seek(0)
            head, whole = _head(path, file, compression, head_bytes)
            spots = [] if whole or compression else [_spot(file, int(size * share)) for share in SPOTS]
    except FileNotFoundError:
        raise InputError(f"{path}: expected a file, found none; check the path") from None
    except OSError as error:
        raise InputError(f"{path}: can't be read: {error}; check the path and the access rights") from None
    if not head.strip():
        raise InputError(f"{path}: expected rows, found an empty file; leave it out")
    encoding = text_encoding(head)
    if "\x00" in (text := _decoded(head, encoding)):
        raise InputError(f"{path}: expected Parquet, CSV or JSON Lines, found bytes that are no text; convert it to one of them")
    kind: Format = "jsonl" if text.lstrip("\ufeff \r\n\t").startswith(("{", "[")) else "csv"
    # UTF-16 can't be split at the byte of a line break.
    further = () if encoding == "utf-16" else tuple(_decoded(spot, encoding) for spot in spots if spot)
    return FileSample(path, size, kind, compression, encoding, text.removeprefix("\ufeff"), further, whole)


def text_encoding(data: bytes) -> str:
    """Detect the encoding of a text: by its byte-order mark, UTF-8 if it is valid, else the likeliest one."""
    for mark, name in _MARKS.items():
        if data.startswith(mark):
            return name
    try:
        data.decode("utf-8")
    except UnicodeDecodeError as error:
        # The end of the sample may cut a character.
        if error.end == len(data) and len(data) - error.start < 4 and error.reason == "unexpected end of data":
            return "utf-8"
    else:
        return "utf-8"
    return _legacy_encoding(data)


def _legacy_encoding(data: bytes) -> str:
    """Detect a legacy encoding. Western European text is recognised by its letters, others by a library."""
    telling = b"\n".join(line for line in data.splitlines() if not line.isascii())[:_ENCODING_BYTES]
    high = [byte for byte in telling if byte >= 0x80]
    # In Western European text letters above 127 are single between ASCII ones; in others they are the majority.
    letters = sum(chr(byte).isalpha() for byte in telling if byte < 0x80)
    if len(high) < max(0.25 * (letters + len(high)), _FEW):
        return "cp1252" if any(0x80 <= byte < 0xA0 for byte in high) else "latin-1"
    best = from_bytes(telling).best()
    return best.encoding.replace("_", "-") if best else "latin-1"


def _refuse_unreadable(path: str, start: bytes) -> None:
    for magic, name in _UNREADABLE.items():
        if start.startswith(magic):
            raise InputError(f"{path}: expected Parquet, CSV or JSON Lines (also .gz, .zst), found {name}; unpack or convert it")


def _head(path: str, file: IO[bytes], compression: Compression | None, limit: int) -> tuple[bytes, bool]:
    """Read the first bytes, decompressed and cut after a line; also returns whether they are all."""
    stream: Any = file
    if compression == "gzip":
        stream = _Inflated(file)
    elif compression == "zstd":
        stream = zstandard.ZstdDecompressor().stream_reader(file, read_across_frames=True)
    chunks, length = [], 0
    try:
        while length < limit and (chunk := stream.read(min(1 << 20, limit - length))):
            chunks.append(chunk)
            length += len(chunk)
        truncated = bool(stream.read(1))
    except (zlib.error, zstandard.ZstdError) as error:
        raise InputError(f"{path}: can't be unpacked as {compression}: {error}; is the file whole?") from None
    data = b"".join(chunks)
    return (data if not truncated else _whole_lines(data)), not truncated


class _Inflated(io.RawIOBase):
    """A reader of a gzip file of one or several members; a truncated end is no error, as only a sample is read."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file, self._member, self._ready = file, zlib.decompressobj(wbits=31), b""

    def read(self, size: int = -1) -> bytes:
        """Read the next bytes of the content, at most `size`."""
        while not self._ready:
            packed = self._member.unused_data or self._file.read(256 << 10)
            if not packed:
                break
            if self._member.eof:
                self._member = zlib.decompressobj(wbits=31)
            self._ready = self._member.decompress(packed)
        piece, self._ready = self._ready[:size], self._ready[size:]
        return piece


def _spot(file: IO[bytes], at: int) -> bytes:
    """Read whole lines from an offset on."""
    file.seek(at)
    data = _whole_lines(file.read(SPOT_BYTES))
    return data.partition(b"\n")[2]


def _whole_lines(data: bytes) -> bytes:
    end = data.rfind(b"\n")
    return data[: end + 1] if end >= 0 else data


def _decoded(data: bytes, encoding: str) -> str:
    return data.decode(encoding, errors="replace")
