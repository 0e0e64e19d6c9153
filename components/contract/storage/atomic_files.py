"""Files and folders that are there whole or not at all: written under another name beside their place, which they take by one rename."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def write_whole(path: Path, content: bytes, *, mode: int = 0o666, beside: Path | None = None) -> None:
    """Write a file in place of what was there; its bytes are on the disk before it has its name.

    Args:
        path: of the file.
        content: all of it.
        mode: of the file, less the umask.
        beside: where it is written first, in the same folder; default: a hidden name of its own.

    Raises:
        OSError: the disk doesn't take it.
    """
    unfinished = beside or path.with_name(f".{path.name}.unfinished")
    with open(os.open(unfinished, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, mode), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    unfinished.replace(path)


def write_private(path: Path, text: str, *, beside: Path) -> None:
    """Write a file that only its owner may read, atomically; durable when this returns.

    Args:
        path: of the file.
        text: in ASCII.
        beside: path of the temporary file, in the same folder.

    Raises:
        OSError: the write failed.
    """
    write_whole(path, text.encode("ascii"), mode=0o600, beside=beside)
    sync(path.parent)


@contextmanager
def new_folder(target: Path, *, prefix: str) -> Iterator[Path]:
    """A folder to be filled, which all may read and which becomes `target` when the block ends.

    What begins with `prefix` beside it was left half filled by a process that was killed, and is removed.
    """
    for leftover in target.parent.glob(f"{prefix}*"):
        shutil.rmtree(leftover)
    unfinished = Path(tempfile.mkdtemp(prefix=prefix, dir=target.parent))
    yield unfinished
    unfinished.chmod(0o755)  # mkdtemp's folder is closed to others; a server may run as somebody else.
    unfinished.rename(target)


def sync(path: Path) -> None:
    """Return when a file's bytes are on the disk, or a folder's new names."""
    opened = os.open(path, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
