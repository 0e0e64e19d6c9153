"""The exposure log: a thread that writes what requests hand over, and never keeps one waiting.

Two classes of record:

- **decisions**, **impressions** and **shadows** are best effort. `offer` returns at once; what the queue can't hold or the disk can't take
  is dropped and counted. They are written as they come, and synced when their file is complete.
- **interactions** are durable. `commit` gives a future that is done when they are on the disk (written, then `fdatasync`); all that are
  waiting share one sync. If the disk or the queue is full the future fails, and nothing of them is in the log.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import final

from components.contract.dataset import Dataset
from components.contract.errors import InputError, LogUnavailable
from components.contract.storage.file_lock import READING
from serving.exposure.crash_recovery import Recovered, recover
from serving.exposure.event_types import Exposure, Interaction, Shadowed
from serving.exposure.retention import Retention, remove_old
from serving.exposure.rotating_file import Stream
from serving.exposure.serialization import EventRows, decision, lines, shadow

DECISIONS, IMPRESSIONS, INTERACTIONS, SHADOWS = "decisions", "impressions", "interactions", "shadows"
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class LogSettings:
    """How the log is kept.

    Attributes:
        folder: where; made if it isn't there. Several processes may share it.
        rotate_bytes: a file is complete when it has as many.
        rotate_s: or when it is so old, in seconds: after it, the pipeline sees what the file holds.
        queue_rows: how many candidates and interactions may wait to be written, each on its own account.
        retry_s: after the disk refused a decision, decisions are dropped for so long before the next try.
        retention: what is kept at most.
    """

    folder: Path
    rotate_bytes: int = 64 << 20
    rotate_s: float = 300.0
    queue_rows: int = 200_000
    retry_s: float = 1.0
    retention: Retention = Retention()  # noqa: RUF009 - frozen

    def __post_init__(self) -> None:
        for name in ("rotate_bytes", "rotate_s", "queue_rows", "retry_s"):
            if not getattr(self, name) > 0:
                raise InputError(f"the log's {name} is above 0, got {getattr(self, name)}")


@dataclass(frozen=True)
class LogCounts:
    """What became of the records since the start."""

    exposures_written: int = 0
    exposures_dropped_queue_full: int = 0
    exposures_dropped_disk: int = 0
    exposures_dropped_unwritable: int = 0
    shadows_written: int = 0
    shadows_dropped: int = 0
    interactions_committed: int = 0
    interactions_refused: int = 0
    recovered: Recovered = field(default_factory=Recovered)


@dataclass(frozen=True)
class _Waiting:
    rows: int
    text: bytes
    done: Future[None]


@final
class ExposureLog:
    """Takes exposures and interactions from any thread.

    Args:
        dataset: whose event log it is.
        settings: how it is kept.

    Raises:
        OSError: the folder can't be made or read. A log that can't begin is better told at the start than by its drops.
    """

    def __init__(self, dataset: Dataset, settings: LogSettings) -> None:
        settings.folder.mkdir(parents=True, exist_ok=True)
        if settings.retention:
            (settings.folder / READING).touch()
        self._settings, self._dataset, self._rows = settings, dataset, EventRows(dataset)
        self._counts = LogCounts(recovered=recover(settings.folder))
        self._changed = threading.Condition()
        self._exposures: deque[Exposure | Shadowed] = deque()
        self._interactions: deque[_Waiting] = deque()
        self._exposure_rows = self._interaction_rows = 0
        self._closing = False
        self._retry_at_s = 0.0
        self._refusing = self._dropping = False
        self._streams = {name: self._stream(name) for name in (DECISIONS, IMPRESSIONS, INTERACTIONS, SHADOWS)}
        self._thread = threading.Thread(target=self._run, name="exposure-log", daemon=True)
        self._thread.start()

    def _stream(self, name: str) -> Stream:
        return Stream(self._settings.folder, name, rotate_bytes=self._settings.rotate_bytes, rotate_s=self._settings.rotate_s)

    @property
    def folder(self) -> Path:
        """Where it is."""
        return self._settings.folder

    def remove_old(self, *, now_s: float) -> list[Path]:
        """Remove the files beyond the retention; see `serving.exposure.retention`."""
        settings = self._settings
        if not settings.retention:
            return []
        return remove_old(settings.folder, settings.retention, self._dataset, now_s=now_s, rotate_s=settings.rotate_s)

    def offer(self, exposure: Exposure | Shadowed) -> bool:
        """Hand over a decision; False where the queue is full or the log closed, and it is dropped. Never waits for the disk."""
        cost = _rows(exposure)
        with self._changed:
            if self._closing or self._exposure_rows + cost > self._settings.queue_rows:
                self._count(**{_fate(exposure, "exposures_dropped_queue_full"): 1})
                return False
            self._exposures.append(exposure)
            self._exposure_rows += cost
            self._changed.notify()
        return True

    def commit(self, interactions: Sequence[Interaction]) -> "Future[None]":
        """Hand over interactions; the future is done when all of them are on the disk. To wait for it in asyncio: `asyncio.wrap_future`.

        The future fails with LogUnavailable where the disk is full, the queue is, or the log is closed: none of them was logged then, and
        whoever sent them should be told to try again. Where a try fails late they may be logged twice; ingestion leaves repetitions out.

        Raises:
            InputError: an action isn't one of the dataset file's.
        """
        waiting = _Waiting(len(interactions), lines([self._rows.interaction(each) for each in interactions]), Future())
        if not interactions:
            waiting.done.set_result(None)
            return waiting.done
        with self._changed:
            if not self._closing and self._interaction_rows + waiting.rows <= self._settings.queue_rows:
                self._interactions.append(waiting)
                self._interaction_rows += waiting.rows
                self._changed.notify()
                return waiting.done
            why = "it is closed" if self._closing else f"{self._interaction_rows:,} are waiting already"
            self._count(interactions_refused=waiting.rows)
        waiting.done.set_exception(LogUnavailable(f"the log takes no interactions: {why}; send them again later"))
        return waiting.done

    @property
    def failing(self) -> bool:
        """Whether the disk has refused what was last written to it."""
        return self._refusing or self._dropping

    def counts(self) -> LogCounts:
        """What became of the records so far."""
        with self._changed:
            return self._counts

    def close(self, timeout_s: float) -> bool:
        """Write what waits, complete the files and stop; False where that takes longer than the timeout."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _count(self, **more: int) -> None:
        """With the lock held."""
        self._counts = replace(self._counts, **{name: getattr(self._counts, name) + number for name, number in more.items()})

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._interactions or self._exposures or self._closing, timeout=self._idle_s())
                batch = list(self._interactions)
                self._interactions.clear()
                self._interaction_rows = 0
                # One at a time: an interaction that comes meanwhile is waited for, a decision isn't.
                exposure = self._exposures.popleft() if self._exposures else None
                if exposure is not None:
                    self._exposure_rows -= _rows(exposure)
                ended = self._closing and not batch and exposure is None
            if batch:
                self._write_interactions(batch)
            if exposure is not None:
                self._write_exposure(exposure)
            for stream in self._streams.values():
                if ended or stream.due_in_s() == 0:
                    stream.finish()
            if ended:
                return

    def _idle_s(self) -> float | None:
        due = [seconds for stream in self._streams.values() if (seconds := stream.due_in_s()) is not None]
        return min(due) if due else None

    def _write_interactions(self, batch: list[_Waiting]) -> None:
        rows = sum(waiting.rows for waiting in batch)
        failure: LogUnavailable | None = None
        try:
            self._streams[INTERACTIONS].append(b"".join(waiting.text for waiting in batch), durable=True)
        except OSError as error:
            failure = LogUnavailable(f"the interactions couldn't be written to the disk: {error}; send them again later")
            if not self._refusing:
                _LOG.warning("interactions are refused until the disk takes them: %s", error)
        self._refusing = failure is not None
        with self._changed:
            self._count(**{"interactions_refused" if failure else "interactions_committed": rows})
        for waiting in batch:
            if not waiting.done.set_running_or_notify_cancel():
                continue  # who waited has given up
            if failure is not None:
                waiting.done.set_exception(failure)
            else:
                waiting.done.set_result(None)

    def _write_exposure(self, exposure: Exposure | Shadowed) -> None:
        fate = "exposures_dropped_disk" if time.monotonic() < self._retry_at_s else self._written(exposure)
        with self._changed:
            self._count(**{_fate(exposure, fate): 1})

    def _written(self, exposure: Exposure | Shadowed) -> str:
        """The count that it belongs to. Where the disk takes its decision but not its impressions it counts as dropped."""
        try:
            texts = self._texts(exposure)
        except Exception:  # one that can't be told mustn't end the thread that tells all others
            _LOG.exception("a decision can't be logged")
            return "exposures_dropped_unwritable"
        try:
            for name, text in texts.items():
                if text:
                    self._streams[name].append(text, durable=False)
        except OSError as error:
            _LOG.warning("decisions are dropped for %g s: %s", self._settings.retry_s, error)
            self._retry_at_s = time.monotonic() + self._settings.retry_s
            self._dropping = True
            return "exposures_dropped_disk"
        self._dropping = False
        return "exposures_written"

    def _texts(self, exposure: Exposure | Shadowed) -> dict[str, bytes]:
        if isinstance(exposure, Shadowed):
            return {SHADOWS: lines([shadow(exposure)])}
        return {DECISIONS: lines([decision(exposure)]), IMPRESSIONS: lines(self._rows.impressions(exposure))}


def _rows(exposure: Exposure | Shadowed) -> int:
    return 1 + len(exposure.scores if isinstance(exposure, Shadowed) else exposure.items)


def _fate(exposure: Exposure | Shadowed, fate: str) -> str:
    """The count that it belongs to; of shadows nobody needs to know why they were dropped."""
    if isinstance(exposure, Exposure):
        return fate
    return "shadows_written" if fate == "exposures_written" else "shadows_dropped"
