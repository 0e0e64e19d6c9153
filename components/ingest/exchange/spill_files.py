"""Exchange by files of a folder that all workers share: one file a writer, one record batch a partition.

Beam's in-process runner keeps what it shuffles in memory; through files the memory doesn't grow with the data.
"""

import os
from collections.abc import Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

from components.ingest.exchange.interface import Written
from components.ingest.shuffle_files import read_partition, write_bytes, write_partitions
from components.ingest.sources.beam_filesystem import opened


class FileOutbox:
    """Write to a folder."""

    def __init__(self, folder: str, partitions: int) -> None:
        self.written: list[Written] = []
        self._folder = folder
        self._partitions = partitions

    def rows(self, kind: str, writer: str, rows: pl.DataFrame, partition: NDArray[np.int64]) -> None:
        """Write a file."""
        write_partitions(_path(self._folder, kind, writer), rows, partition, partitions=self._partitions)
        self.written.append(Written(kind, writer))

    def content(self, kind: str, partition: int, content: bytes) -> None:
        """Write a file."""
        write_bytes(_path(self._folder, kind, f"{partition:06d}"), content)


class FileInbox:
    """Read one partition from a folder; `written`: by all writers."""

    def __init__(self, folder: str, partition: int, written: Sequence[Written]) -> None:
        self._folder = folder
        self._partition = partition
        self._written = written

    def frames(self, kind: str) -> list[tuple[str, pl.DataFrame]]:
        """Read the partition from the files of each writer."""
        writers = sorted(each.writer for each in self._written if each.kind == kind)
        return [(writer, read_partition(_path(self._folder, kind, writer), self._partition)) for writer in writers]

    def content(self, kind: str) -> bytes:
        """Read the partition's file."""
        with opened(_path(self._folder, kind, f"{self._partition:06d}")) as file:
            content: bytes = file.read()
        return content


def _path(folder: str, kind: str, writer: str) -> str:
    return os.path.join(folder, kind, writer)
