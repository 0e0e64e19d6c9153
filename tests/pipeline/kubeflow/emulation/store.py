"""An object store as a folder: `minio://bucket/key` is the file `minio/bucket/key`."""

import glob
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
        """A file as one object, or a folder's files as one object each (`UploadBlob`).

        Raises:
            FileNotFoundError: the path isn't there, or a link in it leads nowhere; what comes before that is uploaded.
            OSError: a link in it leads to a folder.
        """
        if not local.is_dir():
            self._put(local, self._file(uri))
            return
        for path in sorted(local.iterdir()):
            if path.is_dir() and not path.is_symlink():
                self.upload(path, f"{uri}/{path.name}")
            else:
                self._put(path, self._file(f"{uri}/{path.name}"))

    def download(self, uri: str, local: Path, *, by_prefix: bool = False) -> None:
        """The object of that key and all whose keys lie under it; nothing where there is none (`DownloadBlob`).

        Args:
            uri: of the artifact.
            local: where it goes.
            by_prefix: bring all whose keys begin so, to where they lie beside it.
        """
        source = self._file(uri)
        local.parent.mkdir(parents=True, exist_ok=True)
        for file in source.parent.glob(f"{glob.escape(source.name)}{'*' if by_prefix else ''}"):
            target = local.parent / file.name
            if file.is_dir():
                shutil.copytree(file, target, dirs_exist_ok=True)
            else:
                shutil.copyfile(file, target)

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
