"""Publish SavedModels to a folder of releases, `1/`, `2/`, ..., each complete once its manifest exists.

In a local folder a model is copied under a name that servers skip, gets its manifest last, and then its number by one
rename. A bucket has no rename: there the number is claimed by a file, `saved_model.pb` is uploaded after the other
files, and the manifest last. Nothing complete is ever deleted: a server with an empty base folder would unload its
model.
"""

import hashlib
import random
import shutil
import time
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from components.contract.errors import ShelfRankError
from components.contract.storage.atomic_files import new_folder
from components.contract.storage.file_lock import locked
from components.contract.storage.object_store import Address
from components.contract.storage.store_layout import MANIFEST, UNFINISHED, complete, find_versions, versions_in
from components.release.manifest import FILE, Manifest, read_manifest
from components.release.serving_bundle import ServingBundle

_SAVED_MODEL = "saved_model.pb"
_ABANDONED = timedelta(hours=1)  # An incomplete release in a bucket, unchanged for so long, is that of a publisher that was killed.
_TRIES = 8


def versions(releases: str | Path | Address) -> tuple[int, ...]:
    """List the complete releases' versions, ascending."""
    return complete(Address.parse(releases), MANIFEST)


def newest(releases: str | Path | Address) -> int | None:
    """Return the newest version, or None before the first."""
    return max(versions(releases), default=None)


def publish(model: str | Path, releases: str | Path | Address, manifest: Manifest, *, serving: ServingBundle | None = None) -> Manifest:
    """Publish a SavedModel's folder as the next release; returns its manifest with version, parent and content set.

    Publishing the newest release again changes nothing and returns that release, so a killed publisher can try again.

    Args:
        model: the SavedModel's folder.
        releases: folder of the releases.
        manifest: without version, parent and content.
        serving: the serving bundle, written before the release is complete; None: none.

    Raises:
        ShelfRankError: the folder holds no SavedModel, or the store fails.
    """
    model, releases = Path(model), Address.parse(releases)
    if not (model / _SAVED_MODEL).exists():
        raise ShelfRankError(f"{model}: expected a SavedModel to release, found no saved_model.pb")
    with _exclusive_lock(releases.local):
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
    """Compute SHA-256 over the names and bytes of a model's files, without its manifest."""
    digest = hashlib.sha256()
    for path in sorted(path for path in Path(model).rglob("*") if path.is_file() and path.relative_to(model) != Path(MANIFEST)):
        with path.open("rb") as file:
            digest.update(f"{path.relative_to(model).as_posix()}\0{hashlib.file_digest(file, 'sha256').hexdigest()}\n".encode())
    return digest.hexdigest()


def download_model(release: Address, target: Path) -> None:
    """Copy a release's model, without its manifest, to a folder."""
    for file in release.files():
        if file != FILE and not file.startswith(UNFINISHED):
            (release / file).download(target / file)


def _put_into_folder(model: Path, releases: Path, manifest: Manifest, serving: ServingBundle | None) -> Manifest:
    whole = replace(manifest, version=max(find_versions(Address.parse(releases), MANIFEST), default=0) + 1)
    with new_folder(releases / str(whole.version), prefix=UNFINISHED) as unfinished:
        shutil.copytree(model, unfinished, dirs_exist_ok=True)
        (unfinished / MANIFEST).write_text(whole.to_json(), encoding="utf-8")
        if serving is not None:
            serving.put(whole.version)
    return whole


def _put_into_bucket(model: Path, releases: Address, manifest: Manifest, serving: ServingBundle | None) -> Manifest:
    version = _claim_version(releases, manifest.content)
    _delete_abandoned(releases, serving, but=version)
    release, whole = releases / str(version), replace(manifest, version=version)
    claim = release / _claim_name(manifest.content)
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


def _claim_name(content: str) -> str:
    """Name the file that claims a version's folder; a publisher that tries again finds its folder by it."""
    return f"{UNFINISHED}{content}"


def _claim_version(releases: Address, content: str) -> int:
    """Claim the next number in a bucket, against publishers that run at the same time."""
    claim = _claim_name(content)
    for _ in range(_TRIES):
        files = releases.files()
        existing = versions_in(files, MANIFEST)
        for number, whole in existing.items():
            if not whole and f"{number}/{claim}" in files:
                return number
        number = max(existing, default=0) + 1
        folder = releases / str(number)
        (folder / claim).write(b"\n")
        if set(folder.files()) == {claim}:
            return number
        (folder / claim).delete()
        time.sleep(random.uniform(0.1, 1.0))
    raise ShelfRankError(f"{releases}: others publish here at the same time; try again")


def _delete_abandoned(releases: Address, serving: ServingBundle | None, *, but: int) -> None:
    """Delete incomplete releases of killed publishers; the newest file, a claim just written, gives the store's
    time."""
    files = releases.files()
    now = max(files.values())
    for number, whole in versions_in(files, MANIFEST).items():
        last = max(changed for name, changed in files.items() if name.startswith(f"{number}/"))
        if not whole and now - last > _ABANDONED and number != but:
            (releases / str(number)).delete_folder()
            if serving is not None:
                serving.remove(number)


def _exclusive_lock(folder: Path | None) -> AbstractContextManager[object]:
    """Lock a folder for one publisher, until its process ends. A bucket has no lock, see `_claim_version`."""
    if folder is None:
        return nullcontext()
    folder.mkdir(parents=True, exist_ok=True)
    return locked(folder)
