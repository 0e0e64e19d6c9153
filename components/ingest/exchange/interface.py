"""Define what a step writes for the partitions of later steps, and what a partition receives."""

from typing import NamedTuple, Protocol

import numpy as np
import polars as pl
from numpy.typing import NDArray


class Written(NamedTuple):
    """Rows of one kind by one writer, of which each partition has its part."""

    kind: str
    writer: str


class Outbox(Protocol):
    """Take what a step writes; `written` lists its rows."""

    written: list[Written]

    def rows(self, kind: str, writer: str, rows: pl.DataFrame, partition: NDArray[np.int64]) -> None:
        """Write rows for partitions.

        Args:
            kind: what they are.
            writer: distinguishes those who write this kind, and orders them.
            rows: N rows; all writers of a kind have the same columns.
            partition: (N,) the partition that each row goes to.
        """

    def content(self, kind: str, partition: int, content: bytes) -> None:
        """Write bytes for one partition, by its only writer."""


class Inbox(Protocol):
    """Hold what was written for one partition."""

    def frames(self, kind: str) -> list[tuple[str, pl.DataFrame]]:
        """Return each writer's rows, by writer; a writer without rows for this partition may be missing."""

    def content(self, kind: str) -> bytes:
        """Return the bytes that were written."""


def concatenated(inbox: Inbox, kind: str) -> pl.DataFrame | None:
    """Return the rows of all writers, in their order; None where nothing was written."""
    frames = [frame for _, frame in inbox.frames(kind)]
    return pl.concat(frames, rechunk=True) if frames else None
