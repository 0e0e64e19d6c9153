"""Write blocks to disk between the steps: one Arrow file a writer, one record batch a partition.

Beam's in-process runner keeps what it shuffles in memory; through files the memory doesn't grow with the data, and a
cluster reads them as well.
"""

import io
from collections.abc import Iterable
from itertools import pairwise

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from components.ingest.sources.beam_filesystem import created, opened


def write_bytes(path: str, content: bytes | memoryview) -> None:
    """Write a file, with its folder."""
    with created(path) as file:
        file.write(content)


def write_partitions(path: str, frame: pl.DataFrame, partition: NDArray[np.int64], *, partitions: int) -> None:
    """Write a frame so that each partition's rows, in their order, can be read alone.

    Args:
        path: the file.
        frame: R rows.
        partition: (R,) from 0 to partitions - 1.
        partitions: how many there are.
    """
    order = np.argsort(partition, kind="stable")
    bounds = np.searchsorted(partition[order], np.arange(partitions + 1))
    table = frame[order].to_arrow(compat_level=pl.CompatLevel.oldest()).combine_chunks()
    sink = io.BytesIO()
    with pa.ipc.new_file(sink, table.schema, options=pa.ipc.IpcWriteOptions(compression="lz4")) as writer:
        for first, last in pairwise(bounds):
            part = table.slice(first, last - first)
            writer.write_batch(part.to_batches()[0] if len(part) else pa.RecordBatch.from_pylist([], schema=table.schema))
    write_bytes(path, sink.getbuffer())


def read_partition(paths: Iterable[str], partition: int) -> pl.DataFrame:
    """Read one partition's rows from all files, in the order of the files."""
    parts = []
    for path in paths:
        with opened(path) as file, pa.ipc.open_file(file) as reader:
            parts.append(pl.DataFrame(pl.from_arrow(reader.get_batch(partition))))
    return pl.concat(parts, rechunk=True)


def write_frame(path: str, frame: pl.DataFrame) -> None:
    """Write a whole frame."""
    sink = io.BytesIO()
    frame.write_ipc(sink, compression="lz4", compat_level=pl.CompatLevel.oldest())
    write_bytes(path, sink.getbuffer())


def read_frame(path: str) -> pl.DataFrame:
    """Read a whole frame."""
    with opened(path) as file:
        return pl.read_ipc(file.read())
