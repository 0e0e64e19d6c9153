"""Prepare messages for the state: decode them, and select the events that count."""

import time
from dataclasses import dataclass, replace
from typing import final

import polars as pl

from components.contract.dataset import Dataset
from components.contract.errors import ShelfRankError
from components.contract.values.event_time import AHEAD_US
from components.ingest.counts import Counts
from serving.state.item_codes import ItemCodes
from serving.stream.batches import Joined, joined
from serving.stream.decode.rejections import SCHEMA, rejected
from serving.stream.events_that_count import UNKNOWN_ITEM, Tables, counting
from serving.stream.interface import Decoder
from serving.stream.state.event_batch import EventBatch, event_batch

FAILED = "can't be processed"


@dataclass(frozen=True)
class Prepared:
    """Messages that are ready to be applied.

    Attributes:
        messages: all of them.
        events: clean events that count, with `seq`, the message's index.
        batch: the same, laid out for the state.
        raw: a row for each message, with ROW, for the log.
        rejected: SCHEMA of messages that can't be taken, each once.
        counts: by name.
        now_us: when they were decoded.
    """

    messages: Joined
    events: pl.DataFrame
    batch: EventBatch
    raw: pl.DataFrame
    rejected: pl.DataFrame
    counts: dict[str, int]
    now_us: int


@final
class Preparation:
    """Prepare messages for the state. For one thread at a time.

    Args:
        dataset: the dataset file.
        decoder: of the messages.
        tables: of the last ingestion.
        codes: of items in histories.
    """

    def __init__(self, dataset: Dataset, decoder: Decoder, tables: Tables, codes: ItemCodes) -> None:
        self._dataset, self._decoder, self._tables, self._codes = dataset, decoder, tables, codes

    def prepare(self, messages: Joined) -> list[Prepared]:
        """Prepare messages; what can't be prepared together is prepared apart.

        Raises:
            SourceUnavailable: the registry of the messages' schemas doesn't answer; the same call may be tried again.
        """
        now_us, counts = time.time_ns() // 1_000, Counts()
        try:
            decoded = self._decoder.decode(messages.values, now_us=now_us + AHEAD_US)
            events, unknown = counting(decoded.events.sort("seq", maintain_order=True), self._tables, counts)
            batch = event_batch(events, self._dataset, self._codes, users=self._tables.users)
        except ShelfRankError:
            raise
        except Exception as error:
            if len(messages.values) == 1:
                return [self._failed(messages, error, now_us)]
            return [prepared for half in _halves(messages) for prepared in self.prepare(half)]
        refused = [
            decoded.rejected.select(pl.col(name).cast(kind) for name, kind in SCHEMA.items()),
            rejected(unknown.to_list(), UNKNOWN_ITEM, [""] * len(unknown)),
        ]
        first = pl.concat(refused).unique("row", keep="first", maintain_order=True)
        return [Prepared(messages, events, batch, decoded.raw, first, {**decoded.counts, **counts.numbers}, now_us)]

    def _failed(self, messages: Joined, error: Exception, now_us: int) -> Prepared:
        """Return a message that makes the code fail, to be set aside: it mustn't stop the stream."""
        decoded = self._decoder.decode([], now_us=now_us)
        batch = event_batch(decoded.events, self._dataset, self._codes)
        refused = rejected([0], FAILED, [f"{type(error).__name__}: {error}"])
        return Prepared(messages, decoded.events, batch, decoded.raw, refused, {}, now_us)


def _halves(messages: Joined) -> list[Joined]:
    """Cut messages in two, or by partition where they are of several."""
    if len(messages.parts) > 1:
        return [joined([part]) for part in messages.parts]
    (part,) = messages.parts
    middle = len(part.values) // 2
    begin = replace(
        part,
        offsets=part.offsets[:middle],
        next_offset=int(part.offsets[middle]),
        times_us=part.times_us[:middle],
        values=part.values[:middle],
    )
    return [
        joined([begin]),
        joined([replace(part, offsets=part.offsets[middle:], times_us=part.times_us[middle:], values=part.values[middle:], lost=0)]),
    ]
