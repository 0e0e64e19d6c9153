"""Read and write a store, which is a folder, `gs://BUCKET/PREFIX` or `s3://BUCKET/PREFIX`, through one interface."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import urlsplit

import pyarrow as pa
from pyarrow import fs

from components.contract.errors import InputError, ShelfRankError
from components.contract.storage.atomic_files import write_whole

_RETRY_S = 30  # Google's client would try for a quarter of an hour
_REMEDIES = {
    "": "check the path and the access rights",
    "s3": "check the address, AWS_ENDPOINT_URL, AWS_REGION, AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
    "gs": "check the address and the application default credentials (GOOGLE_APPLICATION_CREDENTIALS)",
}


@dataclass(frozen=True)
class Address:
    """A folder or a file of a store. Errors of the store are raised as ShelfRankError, in one sentence.

    In a bucket a folder exists as long as a file is in it, and a file is written atomically.

    Attributes:
        scheme: "gs", "s3", or "" on this machine.
        path: absolute, or BUCKET/KEY.
        filesystem: Arrow's.
    """

    scheme: str
    path: str
    filesystem: Any

    @staticmethod
    def parse(text: "str | Path | Address") -> "Address":
        """Parse an address; credentials and endpoint come from the environment, see docs/reference/store.md.

        Raises:
            InputError: there is no such kind of address.
        """
        if isinstance(text, Address):
            return text
        scheme, colon, rest = str(text).partition("://")
        if not colon:
            if str(text).startswith(("gs:/", "s3:/")):
                raise InputError(f"expected an address such as s3://BUCKET/PREFIX, got {text}; a slash is missing")
            return Address("", os.path.abspath(text), fs.LocalFileSystem())
        bucket, _, key = rest.partition("/")
        if scheme not in ("gs", "s3") or not bucket:
            raise InputError(f"expected a folder, gs://BUCKET/PREFIX or s3://BUCKET/PREFIX, got {text}")
        path = str(PurePosixPath(bucket, key.strip("/")))
        return Address(scheme, path, _s3() if scheme == "s3" else _gcs())

    def __str__(self) -> str:
        return f"{self.scheme}://{self.path}" if self.scheme else self.path

    def __truediv__(self, name: str) -> "Address":
        return Address(self.scheme, f"{self.path.rstrip('/')}/{name}", self.filesystem)

    @property
    def local(self) -> Path | None:
        """The path on this machine; None in a bucket."""
        return None if self.scheme else Path(self.path)

    @property
    def name(self) -> str:
        """The last part of the path."""
        return self.path.rsplit("/", 1)[-1]

    def is_file(self) -> bool:
        """Return whether there is a file at the address."""
        with self._storage_errors("looked at"):
            return bool(self.filesystem.get_file_info(self.path).type == fs.FileType.File)

    def files(self) -> dict[str, datetime]:
        """List a folder's files, recursively: relative path, sorted, to last change; empty where there is no folder.

        Raises:
            ShelfRankError: the bucket doesn't exist.
        """
        with self._storage_errors("listed"):
            below = fs.FileSelector(self.path, recursive=True, allow_not_found=True)
            listed = [info for info in self.filesystem.get_file_info(below) if info.type == fs.FileType.File]
            bucket = self.path.split("/", 1)[0]
            # A missing bucket is listed as an empty one.
            if not listed and self.scheme and self.filesystem.get_file_info(bucket).type == fs.FileType.NotFound:
                raise FileNotFoundError(f"there is no bucket {bucket}")
        return {info.path[len(self.path) + 1 :]: info.mtime for info in sorted(listed, key=lambda info: info.path)}

    def read(self) -> bytes | None:
        """Read a file's bytes; None where there is no such file."""
        with self._storage_errors("read"):
            try:
                with self.filesystem.open_input_stream(self.path) as stream:
                    return bytes(stream.read())
            except FileNotFoundError:
                return None

    def write(self, content: bytes) -> None:
        """Write or replace a file, atomically."""
        with self._storage_errors("written"):
            if self.local is None:
                with self.filesystem.open_output_stream(self.path) as stream:
                    stream.write(content)
                return
            write_whole(self.local, content)

    def upload(self, file: Path) -> None:
        """Copy a local file to the address."""
        with self._storage_errors("written"):
            fs.copy_files(str(file), self.path, source_filesystem=fs.LocalFileSystem(), destination_filesystem=self.filesystem)

    def download(self, file: Path) -> None:
        """Copy the file to a local one; when this fails, part of it may be there."""
        file.parent.mkdir(parents=True, exist_ok=True)
        with self._storage_errors("read"):
            fs.copy_files(self.path, str(file), source_filesystem=self.filesystem, destination_filesystem=fs.LocalFileSystem())

    def delete(self) -> None:
        """Delete a file."""
        with self._storage_errors("deleted"):
            self.filesystem.delete_file(self.path)

    def delete_folder(self) -> None:
        """Delete a folder and its content, if it exists."""
        # Google's client, having deleted the files, looks for an entry of the folder itself, which needn't exist in a bucket.
        with self._storage_errors("deleted"), suppress(FileNotFoundError):
            if self.filesystem.get_file_info(self.path).type != fs.FileType.NotFound:
                self.filesystem.delete_dir(self.path)

    @contextmanager
    def _storage_errors(self, done: str) -> Iterator[None]:
        try:
            yield
        except (OSError, pa.ArrowException) as error:
            cause = " ".join(str(error).split()).rstrip(".")
            raise ShelfRankError(f"{self}: can't be {done}: {cause}; {_REMEDIES[self.scheme]}") from None


def _s3() -> Any:
    """Connect to S3. Arrow reads the credentials from the environment itself, but not the endpoint."""
    options: dict[str, Any] = {}
    if endpoint := os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL"):
        options |= _endpoint("AWS_ENDPOINT_URL", endpoint)
    if region := os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION"):
        options["region"] = region
    elif endpoint:
        options["region"] = "us-east-1"  # Otherwise Arrow queries the metadata service of EC2.
    return fs.S3FileSystem(**options)


def _gcs() -> Any:
    options: dict[str, Any] = {}
    if endpoint := os.environ.get("STORAGE_EMULATOR_HOST"):
        options = _endpoint("STORAGE_EMULATOR_HOST", endpoint) | {"anonymous": True}
    return fs.GcsFileSystem(retry_time_limit=timedelta(seconds=_RETRY_S), **options)


def _endpoint(variable: str, url: str) -> dict[str, str]:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.netloc or parts.path.strip("/"):
        raise InputError(f"{variable}: expected http://HOST:PORT or https://HOST, got {url}")
    return {"scheme": parts.scheme, "endpoint_override": parts.netloc}
