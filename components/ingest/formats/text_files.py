"""Open a text file as UTF-8 bytes: decompressed by its first bytes, decoded by its byte-order mark or the encoding
declared."""

import bz2
import codecs
import lzma
import re
import zipfile
from collections.abc import Callable
from contextlib import ExitStack, closing
from typing import Any, Self, cast

import pyarrow as pa

from components.contract.errors import InputError
from components.ingest.sources.beam_filesystem import opened

HEAD_BYTES = 16  # enough for every signature below
_PACKED_TWICE = 3  # how often a file may be packed into itself; exports of object stores are gzipped twice now and then

_MARKS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF32_LE, "utf-32-le"), (codecs.BOM_UTF32_BE, "utf-32-be"))
_MARKS_16 = ((codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))  # the mark of UTF-32 begins with that of UTF-16

# What a file is that is no text, by how it begins, and what to do.
_NO_TEXT: tuple[tuple[bytes, str], ...] = (
    (b"PAR1", "a Parquet file; give `format: parquet`"),
    (b"\xd0\xcf\x11\xe0", "a workbook of Excel; save its sheet as CSV"),
    (b"ORC", "an ORC file; convert it to Parquet"),
    (b"Obj\x01", "an Avro file; convert it to Parquet"),
    (b"ARROW1", "an Arrow file; convert it to Parquet"),
    (b"\xff\x06\x00\x00sNaPpY", "packed with Snappy; pack it with gzip or zstd"),
    (b"\x04\x22\x4d\x18", "packed with LZ4; pack it with gzip or zstd"),
)
_FAULTS = (OSError, EOFError, lzma.LZMAError, pa.ArrowException, zipfile.BadZipFile, RuntimeError, NotImplementedError)


class TextFile:
    """A stream of UTF-8 bytes. Faults of compression and encoding are InputErrors that name the file and the line."""

    def __init__(self, path: str, stream: Any, encoding: str | None, files: ExitStack) -> None:
        self._path, self._stream, self._files = path, stream, files
        self._encoding = encoding  # None: the bytes are passed on as they are
        self._decoder = codecs.getincrementaldecoder(encoding)() if encoding else None
        self._line, self._began = 1, False
        self.closed = False

    def read(self, size: int) -> bytes:
        """Read about `size` bytes; none at the end."""
        try:
            chunk = cast(bytes, self._stream.read(size))
        except _FAULTS as error:
            raise InputError(f"{self._path}: can't be read: {error}; is the file whole?") from None
        if self._decoder is None:
            return chunk
        return self._decoded(chunk, size)

    def _decoded(self, chunk: bytes, size: int) -> bytes:
        """Decode until there is output: an encoding may hold some bytes back."""
        assert self._decoder is not None
        while True:
            self._check_encoding(chunk)
            try:
                text = self._decoder.decode(chunk, not chunk)
            except UnicodeDecodeError as error:
                bad = error.object[error.start : error.end]
                line = self._line + len(re.findall("\r\n|\r|\n", error.object[: error.start].decode(str(self._encoding), "replace")))
                raise InputError(
                    f"{self._path}, line {line:,}: can't be read as {self._encoding}: {bad!r} stands for nothing there;"
                    " give the file's `encoding`"
                ) from None
            except UnicodeError as error:
                raise InputError(
                    f"{self._path}: can't be read as {self._encoding}: {error}; give the file's `encoding`, such as utf-16-le"
                ) from None
            if text or not chunk:
                self._line += text.count("\n") or text.count("\r")
                return text.encode("utf-8", "surrogatepass")
            chunk = self._stream.read(size)

    def _check_encoding(self, chunk: bytes) -> None:
        """Raise InputError for an encoding that was declared for a file in UTF-8: most one-byte encodings would
        decode it, and garble each letter."""
        if self._began or not chunk:
            return
        self._began = True
        if str(self._encoding).startswith("utf"):
            return
        letters = re.findall(rb"[\xc2-\xf4][\x80-\xbf]+", chunk)
        try:
            codecs.getincrementaldecoder("utf-8")().decode(chunk)
        except UnicodeDecodeError:
            return
        if letters:
            shown = letters[0].decode("utf-8", "replace")
            raise InputError(
                f"{self._path}: expected text in {self._encoding}, met UTF-8 (such as {shown!r}); leave `encoding` out, or correct it"
            )

    def close(self) -> None:
        """Close the file, and whatever unpacks it."""
        self.closed = True
        self._files.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _Peeked:
    """A stream whose first bytes have been read ahead."""

    closed = False  # Arrow reads it

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        head = b""
        while len(head) < HEAD_BYTES and (chunk := stream.read(HEAD_BYTES - len(head))):
            head += chunk
        self.head = head
        self._rest = head

    def drop(self, number: int) -> None:
        """Skip some of the first bytes."""
        self._rest = self._rest[number:]

    def close(self) -> None:
        """Do nothing: the opener closes the file."""

    def read(self, size: int) -> bytes:
        """Read on."""
        if not self._rest:
            return cast(bytes, self._stream.read(size))
        first, self._rest = self._rest[:size], self._rest[size:]
        return first + cast(bytes, self._stream.read(size - len(first))) if size > len(first) else first


def open_text(path: str, encoding: str | None = None) -> TextFile:
    """Open a text file.

    Args:
        path: on any file system that Beam supports.
        encoding: of a file without byte-order mark; default: UTF-8, which the caller validates.

    Raises:
        InputError: it can't be opened or unpacked, or is a file of another kind.
    """
    with ExitStack() as files:  # closed here where an error is raised
        try:
            stream = _unpacked(path, files)
        except _FAULTS as error:
            raise InputError(f"{path}: can't be read: {error}; is the file whole?") from None
        decode_from = _encoding(path, stream, encoding)
        return TextFile(path, stream, decode_from, files.pop_all())


def _encoding(path: str, stream: _Peeked, declared: str | None) -> str | None:
    """Return the encoding to decode from, None for UTF-8, and skip a byte-order mark."""
    head = stream.head
    for mark, name in (*_MARKS, *_MARKS_16):
        if head.startswith(mark):
            stream.drop(len(mark))
            return None if name == "utf-8" else name
    for start, what in _NO_TEXT:
        if head.startswith(start):
            raise InputError(f"{path}: expected text, met {what}")
    plain = declared is None or codecs.lookup(declared).name in ("utf-8", "ascii")
    if plain and (guess := _utf16_without_mark(head)):
        raise InputError(f"{path}: expected UTF-8, met a zero byte beside each letter, as in UTF-16; give `encoding: {guess}`")
    return None if plain else declared


def _utf16_without_mark(head: bytes) -> str | None:
    pairs = [head[at : at + 2] for at in range(0, len(head) - 1, 2)]
    if len(pairs) > 1 and all(pair[0] and not pair[1] for pair in pairs):
        return "utf-16-le"
    if len(pairs) > 1 and all(pair[1] and not pair[0] for pair in pairs):
        return "utf-16-be"
    return None


def _unpacked(path: str, files: ExitStack) -> _Peeked:
    stream = _Peeked(files.enter_context(closing(opened(path))))
    for _ in range(_PACKED_TWICE):
        unpack = next((unpack for start, unpack in _UNPACK if stream.head.startswith(start)), None)
        if unpack is None:
            break
        stream = _Peeked(files.enter_context(closing(unpack(path, stream, files))))
    return stream


def _arrow(name: str) -> Callable[[str, _Peeked, ExitStack], Any]:
    def unpack(_: str, stream: _Peeked, files: ExitStack) -> Any:
        return pa.CompressedInputStream(files.enter_context(closing(pa.PythonFile(stream, mode="r"))), name)

    return unpack


def _bzip2(_: str, stream: _Peeked, __: ExitStack) -> Any:
    return bz2.BZ2File(cast(Any, stream))


def _xz(_: str, stream: _Peeked, __: ExitStack) -> Any:
    return lzma.LZMAFile(cast(Any, stream))


def _zip(path: str, _: _Peeked, files: ExitStack) -> Any:
    """Open the one file of an archive."""
    archive = files.enter_context(zipfile.ZipFile(files.enter_context(closing(opened(path)))))
    names = [entry.filename for entry in archive.infolist() if not entry.is_dir() and not entry.filename.startswith("__MACOSX/")]
    if "[Content_Types].xml" in names:
        raise InputError(f"{path}: expected text, met a workbook of Excel; save its sheet as CSV")
    if len(names) != 1:
        raise InputError(f"{path}: expected a zip archive of one file, met one of {len(names):,}; unpack it, and give their `path`")
    return archive.open(names[0])


_UNPACK: tuple[tuple[bytes, Callable[[str, _Peeked, ExitStack], Any]], ...] = (
    (b"\x1f\x8b", _arrow("gzip")),
    (b"\x28\xb5\x2f\xfd", _arrow("zstd")),
    (b"BZh", _bzip2),
    (b"\xfd7zXZ\x00", _xz),
    (b"PK\x03\x04", _zip),
)
