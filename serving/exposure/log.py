"""Log exposures and interactions from a writer thread, without blocking requests.

Two classes of record:

- **decisions**, **impressions** and **shadows** are best effort. `offer` returns at once; what the queue can't hold or
  the disk can't take is dropped and counted. They are written as they come, and synced when their file is complete.
- **interactions** are durable. `commit` returns a future that is done when they are on disk (written, then
  `fdatasync`); all that are waiting share one sync. If the disk or the queue is full the future fails, and none is
  logged.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol, final

from components.contract.dataset import Dataset
from components.contract.errors import InputError, LogUnavailable
from components.contract.storage.file_lock import READING
from serving.exposure.crash_recovery import RecoveryCounts, recover
from serving.exposure.event_types import Exposure, Interaction, ShadowScores
from serving.exposure.retention import Retention, remove_old
from serving.exposure.rotating_file import RotatingFile
from serving.exposure.serialization import EventRows, decision_row, json_lines, shadow_row

DECISIONS, IMPRESSIONS, INTERACTIONS, SHADOWS = "decisions", "impressions", "interactions", "shadows"
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class LogSettings:
    """Configure the log.

    Attributes:
        folder: created if missing. Several processes may share it.
        rotate_bytes: size at which a file is complete.
        rotate_s: age in seconds at which it is complete: the pipeline sees its lines after at most so long.
        queue_rows: capacity of the queue of candidates, and of that of interactions.
        events: whether impressions are written; not where events go to a stream.
        retry_s: after a failed write, decisions are dropped for so long before the next try.
        retention: limits on complete files.
    """

    folder: Path
    rotate_bytes: int = 64 << 20
    rotate_s: float = 300.0
    queue_rows: int = 200_000
    retry_s: float = 1.0
    events: bool = True
    retention: Retention = Retention()  # noqa: RUF009 - frozen

    def __post_init__(self) -> None:
        for name in ("rotate_bytes", "rotate_s", "queue_rows", "retry_s"):
            if not getattr(self, name) > 0:
                raise InputError(f"the log's {name} is above 0, got {getattr(self, name)}")


@dataclass(frozen=True)
class LogCounts:
    """Count records by outcome since the start."""

    exposures_written: int = 0
    exposures_dropped_queue_full: int = 0
    exposures_dropped_disk: int = 0
    exposures_dropped_unwritable: int = 0
    exposures_dropped_undelivered: int = 0
    shadows_written: int = 0
    shadows_dropped: int = 0
    interactions_committed: int = 0
    interactions_refused: int = 0
    recovered: RecoveryCounts = field(default_factory=RecoveryCounts)


class EventLog(Protocol):
    """Define what takes the service's events, from any thread: files, or a stream."""

    @property
    def failing(self) -> bool:
        """Return whether the last write failed."""
        ...

    def offer(self, exposure: Exposure | ShadowScores) -> bool:
        """Queue a decision without blocking; return False where it is dropped."""
        ...

    def commit(self, interactions: Sequence[Interaction]) -> "Future[None]":
        """Queue interactions; the future is done when all of them are stored, and fails with LogUnavailable else.

        Raises:
            InputError: one of them can't be stored.
        """
        ...

    def counts(self) -> LogCounts:
        """Return the counts so far."""
        ...

    def close(self, timeout_s: float) -> bool:
        """Store what is queued, and stop; return False on timeout."""
        ...


@dataclass(frozen=True)
class _PendingCommit:
    rows: int
    text: bytes
    done: Future[None]


@final
class ExposureLog:
    """Take exposures and interactions from any thread.

    Args:
        dataset: defines the columns.
        settings: of the log.

    Raises:
        OSError: the folder can't be created or read; better at the start than as dropped records.
    """

    def __init__(self, dataset: Dataset, settings: LogSettings) -> None:
        settings.folder.mkdir(parents=True, exist_ok=True)
        if settings.retention:
            (settings.folder / READING).touch()
        self._settings, self._dataset, self._rows = settings, dataset, EventRows(dataset)
        self._counts = LogCounts(recovered=recover(settings.folder))
        self._changed = threading.Condition()
        self._exposures: deque[Exposure | ShadowScores] = deque()
        self._interactions: deque[_PendingCommit] = deque()
        self._exposure_rows = self._interaction_rows = 0
        self._closing = False
        self._retry_at_s = 0.0
        self._refusing = self._dropping = False
        self._streams = {name: self._open_stream(name) for name in (DECISIONS, IMPRESSIONS, INTERACTIONS, SHADOWS)}
        self._thread = threading.Thread(target=self._run, name="exposure-log", daemon=True)
        self._thread.start()

    def _open_stream(self, name: str) -> RotatingFile:
        return RotatingFile(self._settings.folder, name, rotate_bytes=self._settings.rotate_bytes, rotate_s=self._settings.rotate_s)

    @property
    def folder(self) -> Path:
        """Return the log's folder."""
        return self._settings.folder

    def remove_old(self, *, now_s: float) -> list[Path]:
        """Remove the files beyond the retention; see `serving.exposure.retention`."""
        settings = self._settings
        if not settings.retention:
            return []
        return remove_old(settings.folder, settings.retention, self._dataset, now_s=now_s, rotate_s=settings.rotate_s)

    def offer(self, exposure: Exposure | ShadowScores) -> bool:
        """Queue a decision without blocking; return False where it is dropped: the queue is full or the log closed."""
        cost = _rows(exposure)
        with self._changed:
            if self._closing or self._exposure_rows + cost > self._settings.queue_rows:
                self._count(**{_count_name(exposure, "exposures_dropped_queue_full"): 1})
                return False
            self._exposures.append(exposure)
            self._exposure_rows += cost
            self._changed.notify()
        return True

    def commit(self, interactions: Sequence[Interaction]) -> "Future[None]":
        """Queue interactions; the future is done when all of them are on disk. In asyncio, await `asyncio.wrap_future`.

        The future fails with LogUnavailable where the disk or the queue is full, or the log is closed: none of them was
        logged then, and the caller should retry. After a late failure a retry may log them twice; ingestion
        deduplicates.

        Raises:
            InputError: an action isn't in the dataset file.
        """
        waiting = _PendingCommit(len(interactions), json_lines([self._rows.interaction(each) for each in interactions]), Future())
        if not interactions:
            waiting.done.set_result(None)
            return waiting.done
        with self._changed:
            if not self._closing and self._interaction_rows + waiting.rows <= self._settings.queue_rows:
                self._interactions.append(waiting)
                self._interaction_rows += waiting.rows
                self._changed.notify()
                return waiting.done
            reason = "it is closed" if self._closing else f"{self._interaction_rows:,} are waiting already"
            self._count(interactions_refused=waiting.rows)
        waiting.done.set_exception(LogUnavailable(f"the log takes no interactions: {reason}; send them again later"))
        return waiting.done

    @property
    def failing(self) -> bool:
        """Return whether the last write failed."""
        return self._refusing or self._dropping

    def counts(self) -> LogCounts:
        """Return the counts so far."""
        with self._changed:
            return self._counts

    def close(self, timeout_s: float) -> bool:
        """Write the queued records, complete the files and stop; return False on timeout."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _count(self, **added: int) -> None:
        """Add to the counts, with the lock held."""
        self._counts = replace(self._counts, **{name: getattr(self._counts, name) + number for name, number in added.items()})

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._interactions or self._exposures or self._closing, timeout=self._next_due_s())
                batch = list(self._interactions)
                self._interactions.clear()
                self._interaction_rows = 0
                # One at a time: callers wait for interactions that come meanwhile.
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

    def _next_due_s(self) -> float | None:
        due = [seconds for stream in self._streams.values() if (seconds := stream.due_in_s()) is not None]
        return min(due) if due else None

    def _write_interactions(self, batch: list[_PendingCommit]) -> None:
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
                continue  # the caller has cancelled it
            if failure is not None:
                waiting.done.set_exception(failure)
            else:
                waiting.done.set_result(None)

    def _write_exposure(self, exposure: Exposure | ShadowScores) -> None:
        count = "exposures_dropped_disk" if time.monotonic() < self._retry_at_s else self._try_write(exposure)
        with self._changed:
            self._count(**{_count_name(exposure, count): 1})

    def _try_write(self, exposure: Exposure | ShadowScores) -> str:
        """Write a record and return its count. A decision whose impressions can't be written counts as dropped."""
        try:
            texts = self._serialized(exposure)
        except Exception:  # one that can't be serialized mustn't end the writer thread
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

    def _serialized(self, exposure: Exposure | ShadowScores) -> dict[str, bytes]:
        if isinstance(exposure, ShadowScores):
            return {SHADOWS: json_lines([shadow_row(exposure)])}
        impressions = json_lines(self._rows.impressions(exposure)) if self._settings.events else b""
        return {DECISIONS: json_lines([decision_row(exposure)]), IMPRESSIONS: impressions}


def _rows(exposure: Exposure | ShadowScores) -> int:
    return 1 + len(exposure.scores if isinstance(exposure, ShadowScores) else exposure.items)


def _count_name(exposure: Exposure | ShadowScores, count: str) -> str:
    """Return the count of a record; of shadows the reason for a drop isn't kept."""
    if isinstance(exposure, Exposure):
        return count
    return "shadows_written" if count == "exposures_written" else "shadows_dropped"
