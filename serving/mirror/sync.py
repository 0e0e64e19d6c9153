"""Copy or link folders of a store to a folder of this machine, atomically."""

import os
import shutil
from pathlib import Path

from components.contract.storage.object_store import Address
from components.contract.storage.store_layout import UNFINISHED


def mirror_folder(source: Address, target: Path) -> bool:
    """Make `target` a link to `source` where that is on this machine too, else a copy; return whether it wasn't there.

    An existing target stays, except a link to another path: store and mirror were copied, and it points to the
    original.
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
            (source / name).download(unfinished / name)
    unfinished.rename(target)
    return True


def link(path: Path, target: Path) -> None:
    """Make `path` a link to `target`, replacing an earlier link atomically."""
    unfinished = path.with_name(f"{UNFINISHED}{path.name}")
    unfinished.unlink(missing_ok=True)
    unfinished.symlink_to(target, target_is_directory=True)
    unfinished.replace(path)


def write(file: Path, text: str) -> None:
    """Replace a file atomically, unless its content is the same."""
    if not file.exists() or file.read_text(encoding="utf-8") != text:
        file.parent.mkdir(parents=True, exist_ok=True)
        Address.parse(file).write(text.encode())


def remove(folder: Path) -> None:
    """Remove a folder that `mirror_folder` has made; it is renamed first, so that it is never seen partly removed."""
    if folder.is_symlink():
        folder.unlink()
        return
    leaving = folder.with_name(f"{UNFINISHED}{folder.name}")
    shutil.rmtree(leaving, ignore_errors=True)
    os.rename(folder, leaving)
    shutil.rmtree(leaving)


def numbers(folder: Path) -> list[int]:
    """List the versions in a folder, ascending."""
    return sorted(int(path.name) for path in folder.glob("*") if path.name.isdecimal())
