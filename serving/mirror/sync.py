"""Puts a folder of the store into a folder of this machine: whole or not at all."""

import os
import shutil
from pathlib import Path

from components.contract.storage.object_store import Address
from components.contract.storage.store_layout import UNFINISHED


def bring(source: Address, target: Path) -> bool:
    """`target` holds what the folder `source` does: a link where that is on this machine too, else a copy. Whether anything was to do.

    What is there already stays, but for a link to elsewhere: store and mirror were copied, and it is the original's.
    """
    if target.exists() and (not target.is_symlink() or (source.local is not None and target.readlink() == source.local)):
        return False
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.local is not None:
        link(target, source.local)
        return True
    if target.is_symlink():
        target.unlink()
    unfinished = target.with_name(f"{UNFINISHED}{target.name}")
    shutil.rmtree(unfinished, ignore_errors=True)
    for name in source.files():
        if not name.startswith(UNFINISHED):
            (source / name).bring(unfinished / name)
    unfinished.rename(target)
    return True


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
