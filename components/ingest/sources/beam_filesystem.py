"""Files of any file system that Beam knows: the one place that asks Beam for them."""

import os
from glob import glob
from typing import Any

from apache_beam.io.filesystem import CompressionTypes
from apache_beam.io.filesystems import FileSystems
from apache_beam.options.pipeline_options import PipelineOptions

from components.contract.errors import InputError


def listed(pattern: str) -> list[str]:
    """Return the files that a pattern matches, sorted. On this machine `**` stands for any folders.

    Raises:
        InputError: the file system refuses.
    """
    if "://" not in pattern:
        # Beam passes over files below a folder whose name has a backslash.
        return sorted(path for path in ([pattern] if os.path.isfile(pattern) else glob(pattern, recursive=True)) if os.path.isfile(path))
    try:
        return sorted(entry.path for entry in _beam().match([pattern])[0].metadata_list)
    except Exception as error:  # Each file system of Beam has its own.
        raise InputError(f"{pattern}: can't be listed: {error}; check the path and the access rights") from None


def size_bytes(path: str) -> int:
    """Return how large a file is."""
    return int(_beam().match([path])[0].metadata_list[0].size_in_bytes)


def opened(path: str) -> Any:
    """Return a seekable binary file, as it lies there."""
    if os.path.exists(path):
        return open(path, "rb")
    return _beam().open(path, compression_type=CompressionTypes.UNCOMPRESSED)


def created(path: str) -> Any:
    """Return a new binary file, with its folder."""
    folder = os.path.dirname(path)
    if not _beam().exists(folder):
        try:
            _beam().mkdirs(folder)
        except OSError:  # Another worker was quicker.
            if not _beam().exists(folder):
                raise
    return _beam().create(path, compression_type=CompressionTypes.UNCOMPRESSED)


def removed(folder: str) -> None:
    """Remove a folder with all that is in it."""
    _beam().delete([folder])


def _beam() -> Any:
    """Beam's file systems. Outside of a pipeline nobody has given them options, without which that of S3 doesn't begin."""
    if FileSystems._pipeline_options is None:
        FileSystems.set_options(PipelineOptions([]))
    return FileSystems
