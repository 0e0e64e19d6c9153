"""Read JSON Lines in chunks of bounded size, as Arrow tables of a schema."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pyarrow as pa
from pyarrow import json

CHUNK_BYTES = 16 << 20
_LATE_US = 3_600_000_000

Say = Callable[[str], None]


def log_files(log: Path, kind: str, from_us: int) -> list[Path]:
    """List a kind's complete files, without those whose last line was written an hour or more before a time."""
    return [file for file in sorted(log.glob(f"{kind}-*.jsonl")) if file.stat().st_mtime_ns // 1000 >= from_us - _LATE_US]


def progress_of(files: Sequence[Path], say: Say) -> Callable[[int], None]:
    """Return what is called with the number of bytes read, and says which share of the files that makes."""
    total, done = sum(file.stat().st_size for file in files), 0

    def advance(read: int) -> None:
        nonlocal done
        done += read
        say(f"{done / total:.0%} of {total / 1e6:,.0f} MB")

    return advance


def read_chunks(files: Sequence[Path], schema: pa.Schema, counts: "Counter[str]", *, advance: Callable[[int], None]) -> Iterator[pa.Table]:
    """Yield the lines of the files in tables of about `CHUNK_BYTES` of text; fields that the schema lacks are left out.

    Args:
        files: complete files.
        schema: of the tables; a field that a line lacks is null.
        counts: takes the number of lines that can't be read, by kind of file.
        advance: called with the number of bytes read.
    """
    for path in files:
        with path.open("rb") as file:
            while text := file.read(CHUNK_BYTES):
                text += file.readline()
                advance(len(text))
                yield _table(text, schema, counts, f"unreadable lines of {path.name.partition('-')[0]}")


def _table(text: bytes, schema: pa.Schema, counts: "Counter[str]", unreadable: str) -> pa.Table:
    try:
        return _parsed(text, schema)
    except pa.ArrowInvalid:
        kept = [line for line in text.splitlines(keepends=True) if _is_readable(line, schema)]
        counts[unreadable] += len(text.splitlines()) - len(kept)
        return _parsed(b"".join(kept), schema) if kept else schema.empty_table()


def _is_readable(line: bytes, schema: pa.Schema) -> bool:
    try:
        return len(_parsed(line, schema)) == 1
    except pa.ArrowInvalid:
        return False


def _parsed(text: bytes, schema: pa.Schema) -> pa.Table:
    """Parse as one block, which no line can straddle."""
    return json.read_json(
        pa.BufferReader(text),
        json.ReadOptions(use_threads=False, block_size=len(text) + 1),
        json.ParseOptions(explicit_schema=schema, unexpected_field_behavior="ignore"),
    )
