"""Read a stream into the state, the event log and the live figures: poll, decode, apply, log, and again."""

import logging
import random
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol, TypeVar, final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from components.contract.dataset import Dataset
from components.contract.errors import LogUnavailable, ShelfRankError, SourceUnavailable, StateUnavailable
from components.contract.values.event_time import AHEAD_US
from components.ingest.counts import Counts
from components.ingest.sources.files import ROW
from serving.stream.batches import Joined, joined, origin_of
from serving.stream.events_that_count import UNKNOWN_ITEM, Tables, counting
from serving.stream.interface import Decoded, Decoder, Messages, Source
from serving.stream.log.window_log import DEAD_COLUMNS, OFFSET, WindowLog
from serving.stream.metrics import StreamMetrics
from serving.stream.state.decisions import COUNTED, LATE
from serving.stream.state.event_batch import event_batch
from serving.stream.state.positions import NO_WATERMARK
from serving.stream.state.stream_state import PositionMoved, StreamState

_LOG = logging.getLogger(__name__)
T = TypeVar("T")
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.05, 5.0
OVERSIZED, LATE_REASON, FAILED = "larger than allowed", "later than allowed", "can't be processed"
KEPT_OF_OVERSIZED = 65_536  # bytes


class Figures(Protocol):
    """What is computed of the events as they come."""

    def add(self, events: pl.DataFrame, raw: pl.DataFrame, *, now_us: int) -> None:
        """Take the events that counted of a batch, and their raw rows."""
        ...


@dataclass(frozen=True)
class ConsumerSettings:
    """How a stream is consumed.

    Attributes:
        batch: messages at most that are applied together.
        linger_s: how long to wait for them.
        lateness_us: how much older than one before it in its partition an event may be.
        most_bytes: of a message.
        earliest: whether a partition of which nothing is known is read from its beginning, or else from its end.
    """

    batch: int = 20_000
    linger_s: float = 0.05
    lateness_us: int = 3_600_000_000
    most_bytes: int = 1 << 20


@final
class Consumer:
    """Consume a stream until it is stopped. For one thread.

    Args:
        dataset: the dataset file.
        decoder: of the messages.
        state: that events change.
        log: that keeps them.
        tables: of the last ingestion.
        ingested: by partition the position up to which the loaded state has it.
        metrics: that are updated.
        figures: of the events as they come; None for none.
        settings: see there.
    """

    def __init__(
        self,
        dataset: Dataset,
        decoder: Decoder,
        state: StreamState,
        log: WindowLog,
        *,
        tables: Tables,
        ingested: Mapping[str, int],
        metrics: StreamMetrics,
        figures: Figures | None = None,
        settings: ConsumerSettings = ConsumerSettings(),
    ) -> None:
        self._dataset, self._decoder, self._state, self._log = dataset, decoder, state, log
        self._tables, self._ingested, self._metrics, self._figures, self._settings = tables, ingested, metrics, figures, settings
        self._positions: dict[str, int] = {}
        self._watermarks_us: dict[str, int] = {}
        self._stop = threading.Event()

    def stop(self) -> None:
        """End `run` after the batch at hand; from any thread or signal handler."""
        self._stop.set()

    def run(self, source: Source) -> None:
        """Consume until `stop`, or until the source is finished; then publish what the log has, and leave the source.

        Raises:
            InputError: the source or the store can't be used, and waiting won't help.
        """
        try:
            while not self._stop.is_set() and not source.finished():
                if self._log.full():
                    self._patiently(self._log.publish_due)
                    continue
                messages = self._patiently(lambda: source.poll(most=self._settings.batch, timeout_s=self._settings.linger_s))
                if messages:
                    self._take(source, messages)
                self._publish_due()
                self._metrics.waiting(source.lag)
        finally:
            for partition in list(self._positions):
                self._leave(partition)
            source.close()

    def assigned(self, partitions: Sequence[str]) -> Mapping[str, int | None]:
        """Return where to read partitions from: what neither the state nor the log lacks lies before it."""
        return {partition: self._patiently(partial(self._enter, partition)) for partition in partitions}

    def revoked(self, partitions: Sequence[str]) -> None:
        """Leave partitions to other processes."""
        for partition in partitions:
            self._leave(partition)

    def _enter(self, partition: str) -> int | None:
        floor = self._state.floor(partition)
        if floor is None and partition in self._ingested:
            self._state.begin(partition, self._ingested[partition])
            floor = self._state.floor(partition)
        if floor is None:
            self._positions.pop(partition, None)
            return None
        position = min(floor.offset, self._log.acquire(partition, begin=floor.offset))
        self._positions[partition], self._watermarks_us[partition] = position, floor.watermark_us
        _LOG.info("%s: reading from %d (state %d, log %d)", partition, position, floor.offset, self._log.position(partition))
        return position

    def _begin(self, part: Messages) -> None:
        """Begin a partition of which nothing was known, where the source begins it."""
        begin = int(part.offsets[0]) if len(part.offsets) else part.next_offset
        self._state.begin(part.partition, begin)
        self._log.acquire(part.partition, begin=begin)
        self._positions[part.partition], self._watermarks_us[part.partition] = begin, NO_WATERMARK

    def _leave(self, partition: str) -> None:
        if self._positions.pop(partition, None) is None:
            return
        self._watermarks_us.pop(partition)
        self._state.release(partition)
        try:
            self._log.release(partition)
        except LogUnavailable as error:
            _LOG.warning("%s: %s", partition, error)

    def _take(self, source: Source, parts: Sequence[Messages]) -> None:
        for part in parts:
            if part.lost:
                self._metrics.lost(part.partition, part.lost)
                _LOG.error("%s: %d messages were deleted by the source before they were read; they are lost", part.partition, part.lost)
            if part.partition not in self._positions:
                self._patiently(partial(self._begin, part))
        try:
            self._apply(joined(parts))
        except PositionMoved as moved:
            _LOG.error("%s; the store has lost its last writes, and they are read again", moved)
            for part in parts:
                at = moved.offset if part.partition == moved.partition else self._positions[part.partition]
                self._log.rewind(part.partition, at)
                self._positions[part.partition] = at
                source.seek(part.partition, at)

    def _apply(self, messages: Joined) -> None:
        """Apply messages; where they can't be processed, each by itself, so that a single one can't stop the stream."""
        began_s = time.monotonic()
        now_us = time.time_ns() // 1_000
        sized = [value if len(value) <= self._settings.most_bytes else b"" for value in messages.values]
        try:
            decoded = self._patiently(lambda: self._decoder.decode(sized, now_us=now_us + AHEAD_US))
            counts = Counts()
            events, unknown = counting(decoded.events.sort("seq", maintain_order=True), self._tables, counts)
            batch = event_batch(events, self._dataset, self._state.codes, users=self._tables.users)
        except ShelfRankError:
            raise
        except Exception as error:
            if len(messages.values) == 1:
                _LOG.exception("a message can't be processed; it is set aside")
                self._set_aside(messages, f"{type(error).__name__}: {error}")
                return
            for single in _halves(messages):
                self._apply(single)
            return
        positions = [self._positions[part.partition] for part in messages.parts]
        origin = origin_of(
            batch,
            messages,
            begins=positions,
            watermarks_us=[self._watermarks_us[part.partition] for part in messages.parts],
            again_from={part.partition: self._log.position(part.partition) for part in messages.parts},
            lateness_us=self._settings.lateness_us,
        )
        outcome = self._patiently(lambda: self._state.apply(batch, origin))
        self._record(messages, decoded, unknown, batch.rows, outcome)
        for part, end in zip(messages.parts, origin.ends, strict=True):
            self._positions[part.partition], self._watermarks_us[part.partition] = part.next_offset, end.watermark_us
        counted = batch.rows[outcome == COUNTED]
        if self._figures is not None:
            chosen = pl.Series(counted, dtype=pl.Int64).implode()
            self._figures.add(events.filter(pl.col("seq").is_in(chosen)), decoded.raw.filter(pl.col(ROW).is_in(chosen)), now_us=now_us)
        self._metrics.applied(
            outcome, messages.times_us, seconds=time.monotonic() - began_s, now_us=now_us, counts={**decoded.counts, **counts.numbers}
        )

    def _record(self, messages: Joined, decoded: Decoded, unknown: pl.Series, rows: NDArray[np.int64], outcome: NDArray[np.int8]) -> None:
        """Append to the log what counted, and what couldn't be taken."""
        large = [row for row, value in enumerate(messages.values) if len(value) > self._settings.most_bytes]
        rejected = pl.concat(
            [
                _reasons(large, OVERSIZED, f"expected at most {self._settings.most_bytes:,} bytes"),
                decoded.rejected.filter(~pl.col("row").is_in(large)).select(pl.col("row").cast(pl.Int64), "reason", "detail"),
                _reasons(unknown.to_list(), UNKNOWN_ITEM, ""),
                _reasons(rows[outcome == LATE].tolist(), LATE_REASON, ""),
            ]
        ).unique("row", keep="first", maintain_order=True)
        counted = decoded.raw.filter(pl.col(ROW).is_in(pl.Series(rows[outcome == COUNTED], dtype=pl.Int64).implode()))
        index, reason = messages.index[counted[ROW].to_numpy()], messages.index[rejected["row"].to_numpy()]
        for at, part in enumerate(messages.parts):
            mine = counted.filter(pl.Series(index == at))
            events = mine.drop(ROW).with_columns(pl.Series(OFFSET, messages.offsets[mine[ROW].to_numpy()]))
            dead = _dead(messages, part.partition, rejected.filter(pl.Series(reason == at)))
            self._log.append(part.partition, end=part.next_offset, events=events, dead=dead)
        self._metrics.set_aside(rejected["reason"])

    def _set_aside(self, messages: Joined, detail: str) -> None:
        part = messages.parts[0]
        dead = _dead(messages, part.partition, _reasons([0], FAILED, detail))
        self._log.append(part.partition, end=part.next_offset, events=pl.DataFrame({OFFSET: []}, schema={OFFSET: pl.Int64}), dead=dead)
        self._metrics.set_aside(pl.Series([FAILED]))

    def _publish_due(self) -> None:
        try:
            self._log.publish_due()
        except LogUnavailable as error:
            self._metrics.retried("log")
            _LOG.warning("%s", error)

    def _patiently(self, call: Callable[[], T]) -> T:
        """Return the result of a call, which is repeated until what it needs answers, or the process is to stop."""
        pause_s = FIRST_PAUSE_S
        while True:
            try:
                return call()
            except (StateUnavailable, SourceUnavailable, LogUnavailable) as error:
                if self._stop.is_set():
                    raise
                self._metrics.retried(type(error).__name__.removesuffix("Unavailable").lower())
                _LOG.warning("%s (again in %.1f s)", error, pause_s)
                self._stop.wait(pause_s * (0.5 + random.random() / 2))
                pause_s = min(2 * pause_s, LONGEST_PAUSE_S)


def _halves(messages: Joined) -> list[Joined]:
    """Cut messages in two, of one partition each where there are several."""
    if len(messages.parts) > 1:
        return [joined([part]) for part in messages.parts]
    (part,) = messages.parts
    middle = len(part.values) // 2
    next_offset = int(part.offsets[middle])
    return [
        joined([Messages(part.partition, part.offsets[:middle], next_offset, part.times_us[:middle], part.values[:middle])]),
        joined([Messages(part.partition, part.offsets[middle:], part.next_offset, part.times_us[middle:], part.values[middle:])]),
    ]


def _reasons(rows: Sequence[int], reason: str, detail: str) -> pl.DataFrame:
    columns = {"row": rows, "reason": [reason] * len(rows), "detail": [detail] * len(rows)}
    return pl.DataFrame(columns, schema={"row": pl.Int64, "reason": pl.String, "detail": pl.String})


def _dead(messages: Joined, partition: str, rejected: pl.DataFrame) -> pl.DataFrame:
    rows = rejected["row"].to_list()
    columns = {
        "partition": [partition] * len(rows),
        "offset": messages.offsets[rows],
        "time_us": messages.times_us[rows],
        "payload": [
            bytes(messages.values[row][:KEPT_OF_OVERSIZED]) if reason == OVERSIZED else bytes(messages.values[row])
            for row, reason in zip(rows, rejected["reason"], strict=True)
        ],
        "reason": rejected["reason"],
        "detail": rejected["detail"],
    }
    return pl.DataFrame(columns, schema=DEAD_COLUMNS)
