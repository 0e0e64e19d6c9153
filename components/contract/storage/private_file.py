"""Write files that only their owner may read, atomically and durably."""

import os
from pathlib import Path


def write_private(path: Path, text: str, *, beside: Path) -> None:
    """Write a file that only its owner may read, atomically; durable when this returns.

    Args:
        path: of the file.
        text: in ASCII.
        beside: path of the temporary file, in the same folder.

    Raises:
        OSError: the write failed.
    """
    with open(os.open(beside, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600), "w", encoding="ascii") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Sync a folder: a new name in it is on disk only then."""
    opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
