"""Puts a folder of the store into a folder of this machine: whole or not at all."""

import os
import shutil
from pathlib import Path

from components.contract.address import Address
from components.contract.store import UNFINISHED


def bring(source: Address, target: Path) -> None:
    """`target` holds what the folder `source` does: a link where that is on this machine too, else a copy. What is there already stays."""
    if target.exists():
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.local is not None:
        link(target, source.local)
        return
    unfinished = target.with_name(f"{UNFINISHED}{target.name}")
    shutil.rmtree(unfinished, ignore_errors=True)
    for name in source.files():
        if not name.startswith(UNFINISHED):
            (source / name).bring(unfinished / name)
    unfinished.rename(target)


def link(place: Path, target: Path) -> None:
    """`place` is a link to `target`, in place of an earlier one, at no moment missing."""
    unfinished = place.with_name(f"{UNFINISHED}{place.name}")
    unfinished.unlink(missing_ok=True)
    unfinished.symlink_to(target, target_is_directory=True)
    unfinished.replace(place)


def write(file: Path, text: str) -> None:
    """Write a file in place of what was there, whole or not at all; nothing where that is the same."""
    if not file.exists() or file.read_text(encoding="utf-8") != text:
        file.parent.mkdir(parents=True, exist_ok=True)
        Address.of(file).write(text.encode())


def take_away(folder: Path) -> None:
    """Remove what `bring` has put there; its name goes first."""
    if folder.is_symlink():
        folder.unlink()
        return
    leaving = folder.with_name(f"{UNFINISHED}{folder.name}")
    shutil.rmtree(leaving, ignore_errors=True)
    os.rename(folder, leaving)
    shutil.rmtree(leaving)


def numbers(folder: Path) -> list[int]:
    """What `bring` has put into a folder under a number, ascending."""
    return sorted(int(path.name) for path in folder.glob("*") if path.name.isdecimal())
