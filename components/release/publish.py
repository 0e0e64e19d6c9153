"""A folder of releases, as TensorFlow Serving reads it: `1/`, `2/`, ..., each a SavedModel, complete from the moment its manifest exists.

On this machine a model is copied under a name that servers skip, gets its manifest last, and then its number by one rename. A bucket knows
no rename: there the number is claimed, `saved_model.pb` comes late, and the manifest last. Nothing complete is ever taken away: a server
that finds its base folder empty would unload what it serves.
"""

import fcntl
import hashlib
import os
import random
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from components.contract.errors import ShelfRankError
from components.contract.storage.object_store import Address
from components.contract.storage.store_layout import MANIFEST, UNFINISHED, complete, find_versions, versions_in
from components.release.manifest import Manifest, read_manifest
from components.release.serving_bundle import ServingBundle

_SAVED_MODEL = "saved_model.pb"
_FORSAKEN = timedelta(hours=1)  # What nobody has written to for so long in a bucket was left by a publisher that was killed.
_TRIES = 8


def versions(releases: str | Path | Address) -> tuple[int, ...]:
    """The versions that are there, ascending."""
    return complete(Address.parse(releases), MANIFEST)


def newest(releases: str | Path | Address) -> int | None:
    """The newest version, or None before the first."""
    return max(versions(releases), default=None)


def publish(model: str | Path, releases: str | Path | Address, manifest: Manifest, *, serving: ServingBundle | None = None) -> Manifest:
    """Makes a SavedModel's folder the next release; returns its manifest, completed by version, parent and content digest.

    Publishing what already is the newest release changes nothing and returns that release: a killed publisher may simply try again.

    Args:
        model: the SavedModel's folder.
        releases: folder of the releases.
        manifest: all but what is set here.
        serving: what the service needs of it, complete before the release is there; None: nothing.

    Raises:
        ShelfRankError: the folder holds no SavedModel, or the store refuses.
    """
    model, releases = Path(model), Address.parse(releases)
    if not (model / _SAVED_MODEL).exists():
        raise ShelfRankError(f"{model}: expected a SavedModel to release, found no saved_model.pb")
    with _alone(releases.local):
        content, parent = content_digest(model), newest(releases)
        if parent is not None and (same := read_manifest(releases / str(parent))).content == content:
            if serving is not None and not serving.is_there(parent):
                serving.put(parent)
            return same
        unnumbered = replace(manifest, parent=parent, content=content)
        if releases.local is None:
            return _put_into_bucket(model, releases, unnumbered, serving)
        return _put_into_folder(model, releases.local, unnumbered, serving)


def content_digest(model: str | Path) -> str:
    """SHA-256 over the names and bytes of a model's files, its manifest left out."""
    digest = hashlib.sha256()
    for path in sorted(path for path in Path(model).rglob("*") if path.is_file() and path.relative_to(model) != Path(MANIFEST)):
        with path.open("rb") as file:
            digest.update(f"{path.relative_to(model).as_posix()}\0{hashlib.file_digest(file, 'sha256').hexdigest()}\n".encode())
    return digest.hexdigest()


def _put_into_folder(model: Path, releases: Path, manifest: Manifest, serving: ServingBundle | None) -> Manifest:
    for leftover in releases.glob(f"{UNFINISHED}*"):
        shutil.rmtree(leftover)
    whole = replace(manifest, version=max(find_versions(Address.parse(releases), MANIFEST), default=0) + 1)
    unfinished = Path(tempfile.mkdtemp(prefix=UNFINISHED, dir=releases))
    shutil.copytree(model, unfinished, dirs_exist_ok=True)
    unfinished.chmod(0o755)  # mkdtemp's folder is closed to others; a server may run as somebody else.
    (unfinished / MANIFEST).write_text(whole.to_json(), encoding="utf-8")
    if serving is not None:
        serving.put(whole.version)
    unfinished.rename(releases / str(whole.version))
    return whole


def _put_into_bucket(model: Path, releases: Address, manifest: Manifest, serving: ServingBundle | None) -> Manifest:
    version = _claimed(releases, manifest.content)
    _clear_up(releases, serving, but=version)
    release, whole = releases / str(version), replace(manifest, version=version)
    claim = release / _claim(manifest.content)
    names = sorted(path.relative_to(model).as_posix() for path in model.rglob("*") if path.is_file())
    for name in sorted(names, key=lambda name: name == _SAVED_MODEL):
        (release / name).upload(model / name)
    if serving is not None:
        serving.put(whole.version)
    if not claim.is_file():
        raise ShelfRankError(f"{release}: expected to publish here alone, somebody has cleared it away meanwhile; try again")
    (release / MANIFEST).write(whole.to_json().encode())
    claim.delete()
    return whole


def _claim(content: str) -> str:
    """Name of the file in a version's folder that keeps others out of it. Whoever tries again knows the folder that he began by it."""
    return f"{UNFINISHED}{content}"


def _claimed(releases: Address, content: str) -> int:
    """A number that others leave alone from now on."""
    mine = _claim(content)
    for _ in range(_TRIES):
        files = releases.files()
        there = versions_in(files, MANIFEST)
        for number, whole in there.items():
            if not whole and f"{number}/{mine}" in files:
                return number
        number = max(there, default=0) + 1
        folder = releases / str(number)
        (folder / mine).write(b"\n")
        if set(folder.files()) == {mine}:
            return number
        (folder / mine).delete()
        time.sleep(random.uniform(0.1, 1.0))
    raise ShelfRankError(f"{releases}: others publish here at the same time; try again")


def _clear_up(releases: Address, serving: ServingBundle | None, *, but: int) -> None:
    """Delete what killed publishers have left; how old that is tells the store's own clock, by the claim that was just written."""
    files = releases.files()
    now = max(files.values())
    for number, whole in versions_in(files, MANIFEST).items():
        last = max(changed for name, changed in files.items() if name.startswith(f"{number}/"))
        if not whole and now - last > _FORSAKEN and number != but:
            (releases / str(number)).delete_folder()
            if serving is not None:
                serving.remove(number)


@contextmanager
def _alone(folder: Path | None) -> Iterator[None]:
    """One publisher at a time in a folder; the lock ends with its process, however that ends. A bucket has none, see `_claimed`."""
    if folder is None:
        yield
        return
    folder.mkdir(parents=True, exist_ok=True)
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
