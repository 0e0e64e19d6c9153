"""Write frames to files between the steps, whole or by partition: one Arrow file, one record batch a partition."""

import io
from collections.abc import Iterator
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


def partition_tables(frame: pl.DataFrame, partition: NDArray[np.int64], *, partitions: int) -> Iterator[pa.Table]:
    """Yield the rows of each partition, in their order.

    Args:
        frame: R rows.
        partition: (R,) from 0 to partitions - 1.
        partitions: how many there are.
    """
    order = np.argsort(partition, kind="stable")
    bounds = np.searchsorted(partition[order], np.arange(partitions + 1))
    table = frame[order].to_arrow(compat_level=pl.CompatLevel.oldest()).combine_chunks()
    for first, last in pairwise(bounds):
        yield table.slice(first, last - first)


def write_partitions(path: str, frame: pl.DataFrame, partition: NDArray[np.int64], *, partitions: int) -> None:
    """Write a frame so that each partition's rows, in their order, can be read alone; arguments as of
    `partition_tables`."""
    sink = io.BytesIO()
    schema = frame.clear().to_arrow(compat_level=pl.CompatLevel.oldest()).schema
    with pa.ipc.new_file(sink, schema, options=pa.ipc.IpcWriteOptions(compression="lz4")) as writer:
        for part in partition_tables(frame, partition, partitions=partitions):
            writer.write_batch(part.to_batches()[0] if len(part) else pa.RecordBatch.from_pylist([], schema=schema))
    write_bytes(path, sink.getbuffer())


def read_partition(path: str, partition: int) -> pl.DataFrame:
    """Read one partition's rows."""
    with opened(path) as file, pa.ipc.open_file(file) as reader:
        return pl.DataFrame(pl.from_arrow(reader.get_batch(partition)))


def write_frame(path: str, frame: pl.DataFrame) -> None:
    """Write a whole frame."""
    sink = io.BytesIO()
    frame.write_ipc(sink, compression="lz4", compat_level=pl.CompatLevel.oldest())
    write_bytes(path, sink.getbuffer())


def read_frame(path: str) -> pl.DataFrame:
    """Read a whole frame."""
    with opened(path) as file:
        return pl.read_ipc(file.read())
