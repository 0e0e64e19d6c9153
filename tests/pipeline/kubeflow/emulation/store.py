"""An object store as a folder: `minio://bucket/key` is the file `minio/bucket/key`."""

import os
import shutil
from pathlib import Path

FOLDERS = {"minio": "minio", "s3": "s3", "gs": "gcs"}
"""By scheme, where the launcher puts a copy in the pod."""


class Store:
    """Knows objects and no folders, as object stores do: what holds no file isn't there."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def upload(self, local: Path, uri: str) -> None:
        """A file as one object, or a folder's files as one object each; a path that isn't there as none."""
        if local.is_file():
            self._put(local, self._file(uri))
            return
        for path in sorted(local.rglob("*")):
            if path.is_file():
                self._put(path, self._file(uri) / path.relative_to(local))

    def download(self, uri: str, local: Path) -> None:
        """The object of that key, or all whose keys lie under it; nothing where there is none."""
        source = self._file(uri)
        local.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, local, dirs_exist_ok=True)
        elif source.exists():
            shutil.copyfile(source, local)

    def path(self, uri: str) -> Path:
        """Where the emulation keeps it."""
        return self._file(uri)

    def _file(self, uri: str) -> Path:
        scheme, _, key = uri.partition("://")
        return self._folder / scheme / key

    @staticmethod
    def _put(local: Path, target: Path) -> None:
        target.parent.mkdir(parents=True, exist_ok=True)
        unfinished = target.with_name(f".{target.name}.unfinished")
        shutil.copyfile(local, unfinished)
        os.replace(unfinished, target)  # An object is there whole or not at all.


def local_path(uri: str, pod: Path) -> Path:
    """`LocalPathForURI` of Kubeflow's launcher, under a pod's folder.

    Raises:
        ValueError: the launcher knows no such scheme.
    """
    scheme, _, key = uri.partition("://")
    if scheme not in FOLDERS:
        raise ValueError(f"failed to generate local path for URI {uri}: unsupported storage scheme")
    return pod / FOLDERS[scheme] / key
