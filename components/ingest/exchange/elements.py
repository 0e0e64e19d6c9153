"""Exchange by elements of a runner, which groups them by partition: Arrow batches of bounded size."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from itertools import groupby

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from components.ingest.exchange.interface import Written
from components.ingest.shuffle_files import partition_tables

MAX_BYTES = 4 << 20  # of an element before compression; some runners refuse 10 MB

Element = tuple[str, str, int, bytes]  # kind, writer, number among this writer's, content

_OPTIONS = pa.ipc.IpcWriteOptions(compression=pa.Codec("zstd", 1))


class ElementOutbox:
    """Collect elements by the partition that they go to.

    Args:
        partitions: how many there are.
        home: the partition of the step itself, which gets an element of each kind even without rows, so that it knows
            the columns.
    """

    def __init__(self, partitions: int, home: int | None = None) -> None:
        self.written: list[Written] = []
        self.elements: list[tuple[int, Element]] = []
        self.columns: dict[str, bytes] = {}  # of each kind: an empty batch
        self._partitions = partitions
        self._home = home

    def rows(self, kind: str, writer: str, rows: pl.DataFrame, partition: NDArray[np.int64]) -> None:
        """Cut the rows of each partition into elements."""
        self.written.append(Written(kind, writer))
        self.columns.setdefault(kind, _to_bytes(rows.clear().to_arrow(compat_level=pl.CompatLevel.oldest())))
        step = max(1, int(len(rows) * MAX_BYTES / max(1, rows.estimated_size())))
        for target, table in enumerate(partition_tables(rows, partition, partitions=self._partitions)):
            for number, first in enumerate(range(0, len(table), step)):
                self.elements.append((target, (kind, writer, number, _to_bytes(table.slice(first, step)))))
        if self._home is not None:
            self.elements.append((self._home, columns_element(kind, self.columns[kind])))

    def content(self, kind: str, partition: int, content: bytes) -> None:
        """Cut the bytes into elements, compressed."""
        for number, first in enumerate(range(0, len(content), MAX_BYTES)):
            piece = content[first : first + MAX_BYTES]
            packed = len(piece).to_bytes(4, "little") + pa.compress(piece, "zstd", asbytes=True)
            self.elements.append((partition, (kind, f"{partition:06d}", number, packed)))


class ElementInbox:
    """Sort a partition's elements, which come in any order. What is read is forgotten: its memory is needed for the
    next."""

    def __init__(self, elements: Iterable[Element]) -> None:
        self._by_kind: dict[str, list[Element]] = defaultdict(list)
        for element in elements:
            self._by_kind[element[0]].append(element)

    def frames(self, kind: str) -> list[tuple[str, pl.DataFrame]]:
        """Join the batches of each writer."""
        parts = ((element[1], _to_frame(element[3])) for element in self._pop(kind))
        return [(writer, pl.concat([frame for _, frame in each])) for writer, each in groupby(parts, key=lambda part: part[0])]

    def content(self, kind: str) -> bytes:
        """Join the pieces."""
        pieces = (element[3] for element in self._pop(kind))
        return b"".join(pa.decompress(piece[4:], int.from_bytes(piece[:4], "little"), "zstd", asbytes=True) for piece in pieces)

    def _pop(self, kind: str) -> Iterator[Element]:
        elements = sorted(self._by_kind.pop(kind, []), key=lambda element: element[1:3])
        elements.reverse()
        while elements:
            yield elements.pop()


def columns_element(kind: str, columns: bytes) -> Element:
    """Return an element without rows, by which a partition knows the columns of a kind."""
    return kind, "", 0, columns


def _to_bytes(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema, options=_OPTIONS) as writer:
        writer.write_table(table)
    content: bytes = sink.getvalue().to_pybytes()
    return content


def _to_frame(content: bytes) -> pl.DataFrame:
    with pa.ipc.open_stream(content) as reader:
        return pl.DataFrame(pl.from_arrow(reader.read_all()))
