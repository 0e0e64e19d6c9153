"""Write a text file whole or not at all."""

from pathlib import Path

from components.contract.storage.atomic_files import write_whole


def write_atomically(file: Path, text: str) -> None:
    """Replace a file's text; readers see the old text or the new one, also after a kill. Folders are made as needed."""
    file.parent.mkdir(parents=True, exist_ok=True)
    write_whole(file, text.encode())
