"""What has been added to a log's files since they were read last: whole lines only, while they are written, renamed and completed."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from serving.exposure.log_file import COMPLETE, OPEN

CHUNK_BYTES = 8 << 20


@dataclass(frozen=True)
class Chunk:
    """Lines of a file, and its size up to their end.

    The file goes by its name without ending, which it keeps when it is completed or its folder moves; no two writers give the same.
    """

    file: str
    lines: Sequence[bytes]
    end: int


def unread(folders: Sequence[Path], kind: str, read: Mapping[str, int]) -> Iterator[Chunk]:
    """What files of a kind hold beyond the sizes that were read.

    A line that isn't complete yet is left for the next time. Where a file was made shorter or written anew (recovery after a power failure
    takes torn lines out of the middle), reading goes on at the next line's beginning behind the old size.

    Args:
        folders: of the logs; one may also hold a folder for each service that comes and goes.
        kind: `decisions` or `interactions`.
        read: file to the size that was read.

    Raises:
        OSError: a folder or a file can't be read.
    """
    for file, paths in _files(folders, kind).items():
        yield from _rest(file, paths, read.get(file, 0))


def sizes(folders: Sequence[Path], kind: str) -> dict[str, int]:
    """The size of each file now, its last line left out where that isn't complete: to begin behind it without reading it."""
    return {file: _whole(paths) for file, paths in _files(folders, kind).items()}


def _files(folders: Sequence[Path], kind: str) -> dict[str, tuple[Path, Path]]:
    """File to the two paths it may have; the one it has while it is written comes first, for a file goes from there to the other."""
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


def _rest(file: str, paths: Sequence[Path], begin: int) -> Iterator[Chunk]:
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


def _whole(paths: Sequence[Path]) -> int:
    for path in paths:
        try:
            with path.open("rb") as opened:
                size = at = opened.seek(0, 2)
                while at > 0:
                    at = max(0, at - 65536)
                    opened.seek(at)
                    if (found := opened.read(min(65536, size - at)).rfind(b"\n")) >= 0:
                        return at + found + 1
                return 0
        except FileNotFoundError:
            continue
    return 0
