"""Define the interface between the sources of a stream, the decoders of its messages, and its consumer."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import numpy as np
import polars as pl
from numpy.typing import NDArray


@dataclass(frozen=True)
class Messages:
    """Messages of one partition, in their order.

    Attributes:
        partition: its name, such as `clicks/3` of a topic; the same in every process.
        offsets: (N,) ascending, not necessarily without gaps.
        next_offset: the position from which to read on after them.
        times_us: (N,) when the source took them in, microseconds since 1970; 0 where it doesn't say.
        values: N payloads.
        lost: messages before the first one that the source had deleted before they were read.
    """

    partition: str
    offsets: NDArray[np.int64]
    next_offset: int
    times_us: NDArray[np.int64]
    values: Sequence[bytes]
    lost: int = 0


class Assignment(Protocol):
    """What a source asks and tells of its partitions, from within `poll`, in the caller's thread."""

    def assigned(self, partitions: Sequence[str]) -> Mapping[str, int | None]:
        """Return the position from which to read each partition; None where nothing of it has been read."""
        ...

    def revoked(self, partitions: Sequence[str]) -> None:
        """Take note that another process may read these partitions from now on."""
        ...


class Source(Protocol):
    """Partitions of messages with offsets. The position to read from is the caller's: a source keeps none.

    For one thread.
    """

    def poll(self, *, most: int, timeout_s: float) -> list[Messages]:
        """Return the next messages, at most `most`, of each partition in order; none when the time is over.

        A partition occurs at most once in the result.

        Raises:
            InputError: the source doesn't exist, or refuses the credentials.
            SourceUnavailable: it doesn't answer; the same call may be tried again.
        """
        ...

    def seek(self, partition: str, offset: int) -> None:
        """Read an assigned partition from this position on."""
        ...

    def lag(self) -> Mapping[str, int]:
        """Return by assigned partition how many messages wait behind the position."""
        ...

    def finished(self) -> bool:
        """Return whether nothing more will come, as at the end of a file."""
        ...

    def close(self) -> None:
        """Leave the group, so that others take the partitions over at once."""
        ...


@runtime_checkable
class ShowsLag(Protocol):
    """A source that shows others the lag, by the positions that its readers tell it; nothing here reads these."""

    def committed(self, positions: Mapping[str, int]) -> None:
        """Take note of the positions up to which messages are processed. Never raises: they are told again."""
        ...


@dataclass(frozen=True)
class Decoded:
    """N messages as events.

    Attributes:
        events: clean events in order (`components.ingest.events.event_columns.ROLES`, amounts, `f:` features); `seq` is
            the index of their message.
        raw: the rows of each message that isn't rejected, with `__row__`, the message's index, and the source's columns:
            what the event log keeps. A column's type may differ from batch to batch (`decode.merge_rows`).
        rejected: columns `row` (index of the message, each at most once), `reason` (a short text of a small set, such as
            "unknown action") and `detail`. A message is rejected, or has events, or is left out by the dataset file.
        counts: by name, as ingestion counts them.
    """

    events: pl.DataFrame
    raw: pl.DataFrame
    rejected: pl.DataFrame
    counts: Mapping[str, int] = field(default_factory=dict)


class Decoder(Protocol):
    """Parse messages and clean them by the rules of ingestion. Never raises for what a message holds."""

    def decode(self, values: Sequence[bytes], *, now_us: int) -> Decoded:
        """Return the events of some messages.

        Raises:
            SourceUnavailable: the registry that holds their schema doesn't answer; the same call may be tried again.
        """
        ...
