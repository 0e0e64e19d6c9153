"""Read a stream into the state, the event log and the live figures: poll, prepare, apply, log, and again.

While a batch is applied the next one is prepared in another thread.
"""

import logging
import random
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol, TypeVar, final

import polars as pl

from components.contract.errors import LogUnavailable, SourceUnavailable, StateUnavailable
from components.ingest.sources.blocks import ROW
from serving.stream.batches import Joined, joined, origin_of
from serving.stream.decode.rejections import TOO_LONG, rejected
from serving.stream.interface import Messages, Source
from serving.stream.log.window_log import DEAD_COLUMNS, OFFSET, WindowLog
from serving.stream.metrics import StreamMetrics
from serving.stream.preparation import Preparation, Prepared
from serving.stream.state.decisions import COUNTED, LATE
from serving.stream.state.positions import NO_WATERMARK
from serving.stream.state.stream_state import PositionMoved, StreamState
from serving.stream.watermark import Progress, least_watermark_us

_LOG = logging.getLogger(__name__)
T = TypeVar("T")
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.05, 5.0
LATE_REASON = "later than allowed"
LONGEST_TURN_S = 1.0  # that counts for a partition's idleness: while a store doesn't answer none is asked for messages
KEPT_OF_LONG = 65_536  # bytes of a message that is too long


class Figures(Protocol):
    """What is computed of the events as they come."""

    def begin(self, windows: Sequence[Path], *, now_us: int) -> None:
        """Begin anew with what the event log's windows of the partitions hold, which have been assigned."""
        ...

    def add(self, events: pl.DataFrame, raw: pl.DataFrame, *, now_us: int, watermark_us: int) -> None:
        """Take the events that counted of a batch, and their raw rows; all partitions have been read up to the watermark."""
        ...


@dataclass(frozen=True)
class ConsumerSettings:
    """How a stream is consumed.

    Attributes:
        batch: messages at most that are applied together.
        linger_s: how long to wait for them.
        lateness_us: how much older than one before it in its partition an event may be.
    """

    batch: int = 50_000
    linger_s: float = 0.05
    lateness_us: int = 3_600_000_000


@final
class Consumer:
    """Consume a stream until it is stopped. For one thread.

    Args:
        preparation: of the messages.
        state: that events change.
        log: that keeps them.
        ingested: by partition the position up to which the loaded state has it.
        metrics: that are updated.
        figures: of the events as they come; None for none.
        settings: of the batches.
    """

    def __init__(
        self,
        preparation: Preparation,
        state: StreamState,
        log: WindowLog,
        *,
        ingested: Mapping[str, int],
        metrics: StreamMetrics,
        figures: Figures | None = None,
        settings: ConsumerSettings = ConsumerSettings(),
    ) -> None:
        self._preparation, self._state, self._log, self._ingested = preparation, state, log, ingested
        self._metrics, self._figures, self._settings = metrics, figures, settings
        self._positions: dict[str, int] = {}
        self._progress: dict[str, Progress] = {}
        self._turned_s, self._clock_s = time.monotonic(), 0.0  # the clock of what was delivered
        self._newly_assigned: set[str] = set()  # partitions that the last poll has begun to read at their position
        self._moved = False  # partitions were given or taken, or must be read again
        self._pending: Future[list[Prepared]] | None = None
        self._stop = threading.Event()

    def stop(self) -> None:
        """End `run` after the batch at hand; from any thread or signal handler."""
        self._stop.set()

    def run(self, source: Source) -> None:
        """Consume until `stop`, or until the source is finished; then publish what the log has, and leave the source.

        Raises:
            InputError: the source or the store can't be used, and waiting won't help.
            StateUnavailable, SourceUnavailable: it was stopped while these didn't answer. Nothing is lost.
        """
        try:
            with ThreadPoolExecutor(1, "preparation") as thread:
                while not self._stop.is_set() and self._turn(source, thread):
                    pass
        finally:
            source.committed(self._positions)
            for partition in list(self._positions):
                self._leave(partition)
            source.close()

    def _turn(self, source: Source, thread: ThreadPoolExecutor) -> bool:
        """Poll, hand what came over to the preparation, and apply what is prepared; return False at the end."""
        turned_s, self._turned_s = self._turned_s, time.monotonic()
        self._clock_s += min(self._turned_s - turned_s, LONGEST_TURN_S)
        if self._log.full():
            self._patiently(self._log.publish_due)
        pending, self._pending = self._pending, None
        # What is prepared mustn't wait for more.
        timeout_s = self._settings.linger_s if pending is None else 0.0
        parts = self._patiently(partial(source.poll, most=self._settings.batch, timeout_s=timeout_s))
        for part in parts:
            self._note(part)
        if self._moved:
            self._read_again(source)
            pending, parts = None, [part for part in parts if part.partition in self._newly_assigned]
        self._newly_assigned.clear()
        if pending is None and not parts and source.finished():
            return False
        if parts:
            self._pending = thread.submit(self._patiently, partial(self._preparation.prepare, joined(parts)))
        if pending is not None:
            for prepared in pending.result():
                self._apply(prepared)
                if self._moved:
                    break
        self._publish_due()
        if self._metrics.lag_is_due():
            self._metrics.waiting(source.lag())
            source.committed(self._positions)
            with suppress(StateUnavailable):  # the next batch waits for it
                keys, used = self._state.size()
                dropped = {"ids_dropped": self._state.ids_dropped, "payloads_dropped": self._log.payloads_dropped}
                self._metrics.sized(keys=keys, bytes_used=used, **dropped)
        return True

    def assigned(self, partitions: Sequence[str]) -> Mapping[str, int | None]:
        """Return where to read partitions from: what neither the state nor the log lacks lies before it."""
        self._moved = True
        self._newly_assigned |= set(partitions)
        return {partition: self._patiently(partial(self._enter, partition)) for partition in partitions}

    def revoked(self, partitions: Sequence[str]) -> None:
        """Leave partitions to other processes."""
        self._moved = True
        for partition in partitions:
            self._leave(partition)

    def _read_again(self, source: Source) -> None:
        """Read all partitions from behind what was applied: what is under way belongs to another division of them."""
        for partition, position in self._positions.items():
            if partition not in self._newly_assigned:
                source.seek(partition, position)
        if self._figures is not None:
            self._publish_due(all_of_them=True)
            windows = [path for name, position in self._positions.items() for path in self._log.windows(name, end=position)]
            self._figures.begin(windows, now_us=time.time_ns() // 1_000)
        self._moved = False

    def _enter(self, partition: str) -> int | None:
        floor = self._state.floor(partition)
        if floor is None and partition in self._ingested:
            self._state.begin(partition, self._ingested[partition])
            floor = self._state.floor(partition)
        if floor is None:
            return None
        position = min(floor.offset, self._log.acquire(partition, begin=floor.offset))
        self._positions[partition] = position
        self._note_progress(partition, floor.watermark_us)
        _LOG.info("%s: reading from %d (state %d, log %d)", partition, position, floor.offset, self._log.position(partition))
        return position

    def _note(self, part: Messages) -> None:
        """Shout what was lost, and begin a partition of which nothing was known where the source begins it."""
        if part.lost:
            self._metrics.lost(part.partition, part.lost)
            _LOG.error("%s: %d messages were deleted by the source before they were read; they are lost", part.partition, part.lost)
        if part.partition not in self._positions:
            begin = int(part.offsets[0]) if len(part.offsets) else part.next_offset
            self._patiently(partial(self._begin, part.partition, begin))

    def _begin(self, partition: str, begin: int) -> None:
        self._state.begin(partition, begin)
        self._log.acquire(partition, begin=begin)
        self._positions[partition] = begin
        self._note_progress(partition, NO_WATERMARK)
        self._newly_assigned.add(partition)

    def _note_progress(self, partition: str, watermark_us: int) -> None:
        self._progress[partition] = Progress(watermark_us, int(self._clock_s * 1e6))

    def _leave(self, partition: str) -> None:
        if self._positions.pop(partition, None) is None:
            return
        self._progress.pop(partition)
        self._state.release(partition)
        try:
            self._log.release(partition)
        except LogUnavailable as error:
            _LOG.warning("%s: %s", partition, error)

    def _apply(self, prepared: Prepared) -> None:
        began_s = time.monotonic()
        messages, batch = prepared.messages, prepared.batch
        origin = origin_of(
            batch,
            messages,
            begins=[self._positions[part.partition] for part in messages.parts],
            watermarks_us=[self._progress[part.partition].newest_us for part in messages.parts],
            again_from={part.partition: self._log.position(part.partition) for part in messages.parts},
            lateness_us=self._settings.lateness_us,
        )
        try:
            outcome = self._patiently(partial(self._state.apply, batch, origin))
        except PositionMoved as moved:
            _LOG.error("%s: the store has lost its last writes; they are read again", moved)
            if moved.groups_lost:
                self._metrics.groups_lost(moved.groups_lost)
                _LOG.error(
                    "%s: %d of 64 groups of keys had lost everything, and what they had from before this process isn't read again:"
                    " bring the state of the last ingestion in (--load) into an emptied store, and keep replicas and an append-only file",
                    moved.partition,
                    moved.groups_lost,
                )
            self._log.rewind(moved.partition, moved.offset)
            self._positions[moved.partition] = moved.offset
            floor = self._patiently(partial(self._state.floor, moved.partition))
            self._note_progress(moved.partition, NO_WATERMARK if floor is None else floor.watermark_us)
            self._moved = True
            return
        counted = pl.Series(batch.rows[outcome == COUNTED], dtype=pl.Int64).implode()
        raw = prepared.raw.filter(pl.col(ROW).is_in(counted))
        late_rows = batch.rows[outcome == LATE]
        late = rejected(late_rows, LATE_REASON, [""] * len(late_rows))
        self._record(messages, raw, pl.concat([prepared.rejected, late]).unique("row", keep="first", maintain_order=True))
        for part, end in zip(messages.parts, origin.ends, strict=True):
            self._positions[part.partition] = part.next_offset
            self._note_progress(part.partition, end.watermark_us)
        if self._figures is not None:
            events = prepared.events.filter(pl.col("seq").is_in(counted))
            self._figures.add(events, raw, now_us=prepared.now_us, watermark_us=least_watermark_us(self._progress.values()))
        self._metrics.applied(outcome, messages.times_us, seconds=time.monotonic() - began_s, counts=prepared.counts)

    def _record(self, messages: Joined, raw: pl.DataFrame, rejected: pl.DataFrame) -> None:
        """Append to the log what counted, and what couldn't be taken."""
        of_raw, of_rejected = messages.index[raw[ROW].to_numpy()], messages.index[rejected["row"].to_numpy()]
        for at, part in enumerate(messages.parts):
            mine = raw.filter(pl.Series(of_raw == at))
            events = mine.drop(ROW).with_columns(pl.Series(OFFSET, messages.offsets[mine[ROW].to_numpy()]))
            dead = _dead(messages, part.partition, rejected.filter(pl.Series(of_rejected == at)))
            self._log.append(part.partition, end=part.next_offset, events=events, dead=dead)
        self._metrics.set_aside(rejected["reason"])

    def _publish_due(self, *, all_of_them: bool = False) -> None:
        try:
            self._log.publish_due(all_of_them=all_of_them)
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
                cause = f": {error.__cause__}" if error.__cause__ else ""
                _LOG.warning("%s%s (again in %.1f s)", error, cause, pause_s)
                self._stop.wait(pause_s * (0.5 + random.random() / 2))
                pause_s = min(2 * pause_s, LONGEST_PAUSE_S)


def _dead(messages: Joined, partition: str, rejected: pl.DataFrame) -> pl.DataFrame:
    rows = rejected["row"].to_list()
    columns = {
        "partition": [partition] * len(rows),
        "offset": messages.offsets[rows],
        "time_us": messages.times_us[rows],
        "payload": [
            bytes(messages.values[row][: KEPT_OF_LONG if reason == TOO_LONG else None])
            for row, reason in zip(rows, rejected["reason"], strict=True)
        ],
        "reason": rejected["reason"],
        "detail": rejected["detail"],
    }
    return pl.DataFrame(columns, schema=DEAD_COLUMNS)
