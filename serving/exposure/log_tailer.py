"""Tail a log's files: read complete lines while files are written, renamed and completed."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from serving.exposure.log_file import COMPLETE, OPEN

CHUNK_BYTES = 8 << 20


@dataclass(frozen=True)
class Chunk:
    """Hold lines of a file, and the offset at their end.

    The file is named without suffix, as it stays when completed; no two writers use the same name.
    """

    file: str
    lines: Sequence[bytes]
    end: int


def read_new_lines(folders: Sequence[Path], kind: str, offsets: Mapping[str, int]) -> Iterator[Chunk]:
    """Read the lines of a kind of files beyond the given offsets.

    An incomplete last line is left for the next time. Where a file became shorter or was rewritten (recovery after a
    power failure drops torn lines in the middle), reading continues at the next line after the old offset.

    Args:
        folders: of the logs; one may also hold a folder for each instance of a service.
        kind: `decisions` or `interactions`.
        offsets: file to the offset up to which it has been read.

    Raises:
        OSError: a folder or a file can't be read.
    """
    for file, paths in _files(folders, kind).items():
        yield from _read_from(file, paths, offsets.get(file, 0))


def complete_sizes(folders: Sequence[Path], kind: str) -> dict[str, int]:
    """Return the size of each file without an incomplete last line: offsets that skip what is there."""
    return {file: _complete_size(paths) for file, paths in _files(folders, kind).items()}


def _files(folders: Sequence[Path], kind: str) -> dict[str, tuple[Path, Path]]:
    """Map each file to its two possible paths, the first while it is written: it moves from there to the other."""
    names = sorted(
        {
            (folder, path.name.removesuffix(OPEN).removesuffix(COMPLETE))
            for outer in folders
            for folder in (outer, *(inner for inner in outer.iterdir() if inner.is_dir()))
            for path in folder.iterdir()
            if path.name.startswith(f"{kind}-") and path.name.endswith((OPEN, COMPLETE))
        }
    )
    return {name: (folder / f"{name}{OPEN}", folder / f"{name}{COMPLETE}") for folder, name in names}


def _read_from(file: str, paths: Sequence[Path], begin: int) -> Iterator[Chunk]:
    for path in paths:
        try:
            opened = path.open("rb")
        except FileNotFoundError:
            continue
        with opened:
            end = begin
            if begin:
                opened.seek(begin - 1)
                if opened.read(1) != b"\n":
                    end += len(opened.readline())
                    opened.seek(end)
            while lines := opened.readlines(CHUNK_BYTES):
                whole = lines if lines[-1].endswith(b"\n") else lines[:-1]
                end += sum(map(len, whole))
                if whole:
                    yield Chunk(file, whole, end)
                if len(whole) < len(lines):
                    return
        return


def complete_size(opened: BinaryIO) -> int:
    """Return the size of a file up to the end of its last complete line."""
    size = begin = opened.seek(0, 2)
    while begin > 0:
        begin = max(0, begin - 65536)
        opened.seek(begin)
        if (newline := opened.read(min(65536, size - begin)).rfind(b"\n")) >= 0:
            return begin + newline + 1
    return 0


def _complete_size(paths: Sequence[Path]) -> int:
    for path in paths:
        with suppress(FileNotFoundError), path.open("rb") as opened:
            return complete_size(opened)
    return 0
