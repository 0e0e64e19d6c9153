"""Write a text file whole or not at all."""

from pathlib import Path


def write_atomically(file: Path, text: str) -> None:
    """Replace a file's text; readers see the old text or the new one, also after a kill. Folders are made as needed."""
    file.parent.mkdir(parents=True, exist_ok=True)
    unfinished = file.with_name(f".{file.name}.unfinished")
    unfinished.write_text(text, encoding="utf-8")
    unfinished.replace(file)
