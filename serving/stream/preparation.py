"""Prepare messages for the state: decode them, select the events that count, and keep lists whole.

A list whose rows are messages of their own is one event of its shopper. So the rows of a list that ends a partition's
messages wait for the next ones: the rest of the list may be among them.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import final

import numpy as np
import polars as pl

from components.contract.dataset import Dataset
from components.contract.errors import ShelfRankError
from components.contract.values.event_time import AHEAD_US
from components.ingest.counts import Counts
from components.ingest.sources.blocks import ROW
from serving.state.item_codes import ItemCodes
from serving.stream.batches import Joined, joined
from serving.stream.events_that_count import UNKNOWN_ITEM, Tables, counting
from serving.stream.interface import Decoder, Messages
from serving.stream.state.event_batch import NO_LIST, EventBatch, event_batch

OVERSIZED, FAILED = "larger than allowed", "can't be processed"
REASONS = {"row": pl.Int64, "reason": pl.String, "detail": pl.String}


@dataclass(frozen=True)
class Prepared:
    """Messages that are ready to be applied.

    Attributes:
        messages: all of them.
        events: clean events that count, with `seq`, the message's index.
        batch: the same, laid out for the state.
        raw: a row for each message, with ROW, for the log.
        rejected: REASONS of messages that can't be taken, each once.
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
    """Prepare the messages of all partitions, each partition's in order. For one thread at a time.

    Args:
        dataset: the dataset file.
        decoder: of the messages.
        tables: of the last ingestion.
        codes: of items in histories.
        most_bytes: of a message.
    """

    def __init__(self, dataset: Dataset, decoder: Decoder, tables: Tables, codes: ItemCodes, *, most_bytes: int) -> None:
        self._dataset, self._decoder, self._tables, self._codes, self._most_bytes = dataset, decoder, tables, codes, most_bytes
        self._waiting: dict[str, Messages] = {}

    def forget(self) -> None:
        """Drop the messages that wait: they will be read again."""
        self._waiting.clear()

    def waits(self) -> bool:
        """Return whether messages wait for the next ones."""
        return bool(self._waiting)

    def prepare(self, parts: Sequence[Messages]) -> list[Prepared]:
        """Prepare messages, after those that have waited; what can't be prepared together is prepared apart.

        Raises:
            SourceUnavailable: the registry of the messages' schemas doesn't answer; the same call may be tried again.
        """
        alone = [waiting for name, waiting in self._waiting.items() if name not in {part.partition for part in parts}]
        whole = [*(_after(self._waiting.get(part.partition), part) for part in parts), *alone]
        prepared = self._prepared(joined(whole)) if whole else []
        self._waiting = {}
        if prepared:
            prepared[-1] = self._without_open_lists(prepared[-1], may_go_on={part.partition for part in parts})
        return prepared

    def _prepared(self, messages: Joined) -> list[Prepared]:
        now_us, counts = time.time_ns() // 1_000, Counts()
        large = [row for row, value in enumerate(messages.values) if len(value) > self._most_bytes]
        values = messages.values
        if large:
            values = [value if len(value) <= self._most_bytes else b"" for value in values]
        try:
            decoded = self._decoder.decode(values, now_us=now_us + AHEAD_US)
            events, unknown = counting(decoded.events.sort("seq", maintain_order=True), self._tables, counts)
            batch = event_batch(events, self._dataset, self._codes, users=self._tables.users)
        except ShelfRankError:
            raise
        except Exception as error:
            if len(values) == 1:
                return [self._failed(messages, error, now_us)]
            return [prepared for half in _halves(messages) for prepared in self._prepared(half)]
        rejected = [
            reasons(large, OVERSIZED, f"expected at most {self._most_bytes:,} bytes"),
            decoded.rejected.select(pl.col(name).cast(kind) for name, kind in REASONS.items()),
            reasons(unknown.to_list(), UNKNOWN_ITEM, ""),
        ]
        first = pl.concat(rejected).unique("row", keep="first", maintain_order=True)
        return [Prepared(messages, events, batch, decoded.raw, first, {**decoded.counts, **counts.numbers}, now_us)]

    def _failed(self, messages: Joined, error: Exception, now_us: int) -> Prepared:
        """Return a message that makes the code fail, to be set aside: it mustn't stop the stream."""
        decoded = self._decoder.decode([], now_us=now_us)
        batch = event_batch(decoded.events, self._dataset, self._codes)
        return Prepared(messages, decoded.events, batch, decoded.raw, reasons([0], FAILED, f"{type(error).__name__}: {error}"), {}, now_us)

    def _without_open_lists(self, prepared: Prepared, *, may_go_on: set[str]) -> Prepared:
        """Take the list that ends a partition's messages out of them, to wait; not where all of them are one list."""
        messages, lists = prepared.messages, np.full(len(prepared.messages.values), NO_LIST)
        lists[prepared.batch.rows] = prepared.batch.lists
        kept, parts = np.ones(len(lists), np.bool_), list(messages.parts)
        for at, part in enumerate(parts):
            rows = np.flatnonzero(messages.index == at)
            if part.partition not in may_go_on or not len(rows) or lists[rows[-1]] == NO_LIST:
                continue
            others = np.flatnonzero(lists[rows] != lists[rows[-1]])
            if not len(others):
                continue
            first = int(others[-1]) + 1
            self._waiting[part.partition] = replace(
                part, offsets=part.offsets[first:], times_us=part.times_us[first:], values=part.values[first:], lost=0
            )
            parts[at] = replace(part, next_offset=int(part.offsets[first]))
            kept[rows[first:]] = False
        if kept.all():
            return prepared
        stays = pl.Series(np.flatnonzero(kept)).implode()
        events = prepared.events.filter(pl.col("seq").is_in(stays))
        return replace(
            prepared,
            messages=replace(messages, parts=parts),
            events=events,
            batch=event_batch(events, self._dataset, self._codes, users=self._tables.users),
            raw=prepared.raw.filter(pl.col(ROW).is_in(stays)),
            rejected=prepared.rejected.filter(pl.col("row").is_in(stays)),
        )


def reasons(rows: Sequence[int], reason: str, detail: str) -> pl.DataFrame:
    """Return REASONS of rows that share one."""
    return pl.DataFrame({"row": rows, "reason": [reason] * len(rows), "detail": [detail] * len(rows)}, schema=REASONS)


def _after(waiting: Messages | None, part: Messages) -> Messages:
    """Return messages behind those that have waited for them."""
    if waiting is None:
        return part
    return replace(
        part,
        offsets=np.concatenate([waiting.offsets, part.offsets]),
        times_us=np.concatenate([waiting.times_us, part.times_us]),
        values=[*waiting.values, *part.values],
    )


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
