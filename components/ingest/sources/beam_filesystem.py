"""Access files of any file system that Beam supports; no other module calls Beam's.

Beam is imported by the first file that isn't local: what reads local files, or cleans rows that come another way, needs
none.
"""

import os
from glob import glob
from typing import Any

from components.contract.errors import InputError

_UNCOMPRESSED = "uncompressed"  # as Beam's CompressionTypes calls it


def listed(pattern: str) -> list[str]:
    """List the files that a pattern matches, sorted. For local files `**` matches any folders.

    Raises:
        InputError: the file system refuses.
    """
    if "://" not in pattern:
        # Beam skips files below a folder whose name has a backslash.
        return sorted(path for path in ([pattern] if os.path.isfile(pattern) else glob(pattern, recursive=True)) if os.path.isfile(path))
    try:
        return sorted(entry.path for entry in _beam().match([pattern])[0].metadata_list)
    except Exception as error:  # Each file system of Beam has its own.
        raise InputError(f"{pattern}: can't be listed: {error}; check the path and the access rights") from None


def size_bytes(path: str) -> int:
    """Return a file's size."""
    if os.path.exists(path):
        return os.path.getsize(path)
    return int(_beam().match([path])[0].metadata_list[0].size_in_bytes)


def opened(path: str) -> Any:
    """Open a seekable binary file, without decompression."""
    if os.path.exists(path):
        return open(path, "rb")
    return _beam().open(path, compression_type=_UNCOMPRESSED)


def created(path: str) -> Any:
    """Create a binary file, with its folder."""
    folder = os.path.dirname(path)
    if not _beam().exists(folder):
        try:
            _beam().mkdirs(folder)
        except OSError:  # Another worker was quicker.
            if not _beam().exists(folder):
                raise
    return _beam().create(path, compression_type=_UNCOMPRESSED)


def removed(folder: str) -> None:
    """Remove a folder with its contents."""
    _beam().delete([folder])


def _beam() -> Any:
    """Return Beam's file systems, with default options outside of a pipeline: the one of S3 fails without any."""
    from apache_beam.io.filesystems import FileSystems
    from apache_beam.options.pipeline_options import PipelineOptions

    if FileSystems._pipeline_options is None:
        FileSystems.set_options(PipelineOptions([]))
    return FileSystems
