"""A folder of releases, as TensorFlow Serving reads it: `1/`, `2/`, ..., each a SavedModel, complete from the moment its name exists.

A model is copied under a name that servers skip, gets its manifest last, and then its number by one rename. Nothing is ever taken away: a
server that finds its base folder empty would unload what it serves.
"""

import fcntl
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from components.contract.errors import ShelfRankError
from components.release.manifest import FILE, Manifest, read_manifest

_UNFINISHED = ".publishing-"


def versions(releases: str | Path) -> tuple[int, ...]:
    """The versions that are there, ascending."""
    return tuple(number for number in _numbered(Path(releases)) if (Path(releases) / str(number) / FILE).exists())


def newest(releases: str | Path) -> int | None:
    """The newest version, or None before the first."""
    return max(versions(releases), default=None)


def publish(model: str | Path, releases: str | Path, manifest: Manifest) -> Manifest:
    """Makes a SavedModel's folder the next release; returns its manifest, completed by version, parent and content digest.

    Publishing what already is the newest release changes nothing and returns that release: a killed publisher may simply try again.

    Raises:
        ShelfRankError: the folder holds no SavedModel.
    """
    model, releases = Path(model), Path(releases)
    if not (model / "saved_model.pb").exists():
        raise ShelfRankError(f"{model}: expected a SavedModel to release, found no saved_model.pb")
    releases.mkdir(parents=True, exist_ok=True)
    with _alone(releases):
        for leftover in releases.glob(f"{_UNFINISHED}*"):
            shutil.rmtree(leftover)
        content, parent = content_digest(model), newest(releases)
        if parent is not None and (same := read_manifest(releases / str(parent))).content == content:
            return same
        version = max(_numbered(releases), default=0) + 1
        complete = replace(manifest, version=version, parent=parent, content=content)
        unfinished = Path(tempfile.mkdtemp(prefix=_UNFINISHED, dir=releases))
        shutil.copytree(model, unfinished, dirs_exist_ok=True)
        unfinished.chmod(0o755)  # mkdtemp's folder is closed to others; a server may run as somebody else.
        (unfinished / FILE).write_text(complete.to_json(), encoding="utf-8")
        unfinished.rename(releases / str(version))
        return complete


def content_digest(model: str | Path) -> str:
    """SHA-256 over the names and bytes of a model's files, its manifest left out."""
    digest = hashlib.sha256()
    for path in sorted(path for path in Path(model).rglob("*") if path.is_file() and path.relative_to(model) != Path(FILE)):
        with path.open("rb") as file:
            digest.update(f"{path.relative_to(model).as_posix()}\0{hashlib.file_digest(file, 'sha256').hexdigest()}\n".encode())
    return digest.hexdigest()


def _numbered(releases: Path) -> list[int]:
    return sorted(int(path.name) for path in releases.glob("*") if path.name.isdecimal() and path.is_dir())


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """One publisher at a time; the lock ends with its process, however that ends."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
