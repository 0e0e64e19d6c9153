"""Index the lines of one complete file of the log by their request's id, as an SQLite file of hashes and byte offsets.

The ids themselves aren't in it: the line at an offset has them. An index holds the size, the time of change and the
SHA-256 of its file, so that one of a file that has been rewritten (a forgotten shopper) is noticed and built again.
"""

import hashlib
import json
import os
import secrets
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import BinaryIO
from urllib.parse import quote

FORMAT = 1
SUFFIX, UNFINISHED = ".sqlite", ".unfinished"
_ROWS_AT_ONCE = 20_000
_DECODER = json.JSONDecoder()


@dataclass(frozen=True)
class IndexedFile:
    """Describe the log file of an index.

    Attributes:
        format: of the index.
        field: of the lines, that holds the request's id.
        size: bytes.
        mtime_ns: of the file.
        sha256: of its bytes.
        lines: with a request.
        unreadable: lines that are no JSON object.
        erased: lines that earlier versions of the file had and this one hasn't.
    """

    format: int
    field: str
    size: int
    mtime_ns: int
    sha256: str
    lines: int
    unreadable: int
    erased: int = 0


def request_hash(request: str) -> int:
    """Return the first 64 bits of an id's BLAKE2b, as SQLite's signed integer."""
    return int.from_bytes(hashlib.blake2b(request.encode("utf-8", "replace"), digest_size=8).digest(), "big", signed=True)


def open_index(index: Path, log_file: Path, field: str) -> tuple[sqlite3.Connection, IndexedFile]:
    """Open the index of a complete log file; it is built if there is none that fits the file.

    Args:
        index: of the file; its folder exists.
        log_file: complete: it may be replaced or removed, but not written to.
        field: of the lines, that holds the request's id.

    Raises:
        OSError: the log file can't be read, or the index can't be written.
    """
    opened = _read(index)
    if opened is not None:
        connection, facts = opened
        if _fits(facts, log_file, field):
            return connection, facts
        connection.close()
        before: IndexedFile | None = facts if (facts.format, facts.field) == (FORMAT, field) else None
    else:
        before = None
    _build(index, log_file, field, before)
    built = _read(index)
    if built is None:
        raise OSError(f"{index}: the index that was just written can't be read")
    return built


def offsets(connection: sqlite3.Connection, request: str) -> list[int]:
    """Return where lines begin whose request has the hash of this one."""
    rows = connection.execute("SELECT offset FROM lines WHERE request = ? ORDER BY offset", (request_hash(request),))
    return [offset for (offset,) in rows]


def _fits(facts: IndexedFile, log_file: Path, field: str) -> bool:
    stat = log_file.stat()
    if (facts.format, facts.field, facts.size) != (FORMAT, field, stat.st_size):
        return False
    if facts.mtime_ns == stat.st_mtime_ns:
        return True
    with log_file.open("rb") as file:  # a copied log has other times and the same bytes
        return hashlib.file_digest(file, "sha256").hexdigest() == facts.sha256


def _read(index: Path) -> tuple[sqlite3.Connection, IndexedFile] | None:
    """Open an index; None where there is none, or another program's file, or a damaged one."""
    if not index.exists():
        return None
    try:
        connection = sqlite3.connect(f"file:{quote(str(index.absolute()))}?mode=ro&immutable=1", uri=True)
    except sqlite3.Error:
        return None
    try:
        values = dict(connection.execute("SELECT name, value FROM facts"))
        return connection, IndexedFile(**{field.name: values[field.name] for field in fields(IndexedFile)})
    except (sqlite3.Error, KeyError):
        connection.close()
        return None


def _build(index: Path, log_file: Path, field: str, before: IndexedFile | None) -> None:
    """Write an index beside its place and rename it: whoever opens it sees a whole one, and two that build it do no harm."""
    unfinished = index.with_name(f".{index.name}.{os.getpid()}x{secrets.token_hex(4)}{UNFINISHED}")
    handle = os.open(unfinished, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o640)
    try:
        with log_file.open("rb") as file, closing(sqlite3.connect(unfinished)) as connection:
            _fill(connection, file, field, before)
        os.fsync(handle)
        unfinished.replace(index)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise
    finally:
        os.close(handle)


def _fill(connection: sqlite3.Connection, file: BinaryIO, field: str, before: IndexedFile | None) -> None:
    connection.executescript(
        "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;"
        "CREATE TABLE facts (name TEXT PRIMARY KEY, value) WITHOUT ROWID;"
        "CREATE TABLE lines (request INTEGER, offset INTEGER, PRIMARY KEY (request, offset)) WITHOUT ROWID;"
    )
    digest, stat = hashlib.sha256(), os.fstat(file.fileno())
    lines = unreadable = 0
    rows: list[tuple[int, int]] = []
    for offset, line in _lines(file):
        digest.update(line)
        readable, request = request_of(line, field)
        unreadable += not readable
        if request:
            rows.append((request_hash(request), offset))
            lines += 1
        if len(rows) >= _ROWS_AT_ONCE:
            _insert(connection, rows)
    _insert(connection, rows)
    erased = 0 if before is None else before.erased + max(0, before.lines - lines)
    facts = IndexedFile(FORMAT, field, stat.st_size, stat.st_mtime_ns, digest.hexdigest(), lines, unreadable, erased)
    connection.executemany("INSERT INTO facts VALUES (?, ?)", asdict(facts).items())
    connection.commit()


def _insert(connection: sqlite3.Connection, rows: list[tuple[int, int]]) -> None:
    connection.executemany("INSERT OR IGNORE INTO lines VALUES (?, ?)", sorted(rows))
    rows.clear()


def _lines(file: BinaryIO) -> Iterator[tuple[int, bytes]]:
    offset = 0
    for line in file:
        yield offset, line
        offset += len(line)


def request_of(line: bytes, field: str) -> tuple[bool, str]:
    """Return whether a line is a JSON object, as far as it is looked at, and the request's id in it, "" where it has none.

    A decision begins with its request: then the rest, most of it numbers, isn't parsed.
    """
    begin = f'{{"{field}":'.encode()
    try:
        if line.startswith(begin + b'"') and line.endswith(b"}\n"):
            request = _DECODER.raw_decode(line[len(begin) :].decode())[0]
        else:
            request = json.loads(line).get(field)
    except (ValueError, AttributeError):
        return False, ""
    return True, request if isinstance(request, str) else ""


def remove_orphans(folder: Path, log_files: Sequence[str]) -> None:
    """Remove the indexes of log files that aren't there any more: retention removed them, or all their lines were erased."""
    named = {f"{name}{SUFFIX}" for name in log_files}
    for path in folder.glob(f"*{SUFFIX}"):
        if path.name not in named:
            path.unlink(missing_ok=True)
