"""Copy samples of large files, which can be read in place of the files."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePath

import pyarrow as pa
import pyarrow.parquet as pq

from components.profiling.samples.file_groups import FileGroup
from components.profiling.samples.file_sample import read_sample

_BYTES = 8 << 20  # of each file
_ROWS = 100_000
_SMALL = 16 << 20  # a file up to this size is copied whole
_MOST_FILES = 3  # files of a group to copy


def copied_samples(groups: Sequence[FileGroup], to: Path) -> Mapping[str, str]:
    """Copy the first rows of each group's first files; returns the copy's pattern by the group's, both absolute."""
    copies = {}
    for at, group in enumerate(groups):
        pattern = os.path.abspath(group.pattern)
        base = _fixed_folder(pattern)
        for path in group.paths[:_MOST_FILES]:
            copy = to / str(at) / os.path.relpath(os.path.abspath(path), base)
            copy.parent.mkdir(parents=True, exist_ok=True)
            _copy(path, copy)
        copies[pattern] = str(to / str(at) / os.path.relpath(pattern, base))
    return copies


def _fixed_folder(pattern: str) -> str:
    """Return the innermost folder that has all files of a pattern."""
    parts = PurePath(pattern).parts[:-1]
    fixed = next((at for at, part in enumerate(parts) if "*" in part), len(parts))
    return str(PurePath(*parts[:fixed]))


def _copy(path: str, to: Path) -> None:
    if os.path.getsize(path) <= _SMALL:
        to.symlink_to(os.path.abspath(path))
        return
    sample = read_sample(path, head_bytes=_BYTES)
    if sample.format == "parquet":
        pq.write_table(pa.Table.from_batches([next(pq.ParquetFile(path).iter_batches(_ROWS))]), to)
        return
    data = sample.head.encode(sample.encoding)
    if sample.compression:
        with pa.OSFile(str(to), "wb") as raw, pa.CompressedOutputStream(raw, sample.compression) as packed:
            packed.write(data)
    else:
        to.write_bytes(data)
