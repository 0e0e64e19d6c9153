"""Write the service's events to a stream in place of files: interactions durably, exposures as far as there is room."""

import json
import logging
import threading
from collections import deque
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import replace
from typing import Any, final

from components.contract.dataset import Dataset
from components.contract.errors import InputError, ShelfRankError
from serving.exposure.event_types import Exposure, Interaction, ShadowScores
from serving.exposure.log import ExposureLog, LogCounts
from serving.exposure.serialization import EventRows
from serving.stream.producers.producer import Producer, StreamMessage

MOST_EXPOSED_ROWS = 100_000  # of exposures that the broker hasn't taken
_AT_ONCE = 64  # exposures
_LOG = logging.getLogger(__name__)


@final
class EventStream:
    """Take exposures and interactions from any thread, as ExposureLog does.

    A message is a row of the event log as JSON, under the shopper's pseudonym (of a guest the session, or the request),
    so that a shopper's events stay in the order in which they were acknowledged. Rows of impressions name beside the
    columns of the log the version and the arms.

    Args:
        dataset: defines the columns.
        producer: of the stream.
        decisions: takes decisions and shadows, which aren't events; None where nothing keeps them.
    """

    def __init__(self, dataset: Dataset, producer: Producer, *, decisions: ExposureLog | None = None) -> None:
        self._rows, self._producer, self._decisions = EventRows(dataset), producer, decisions
        self._counts = LogCounts()
        self._changed = threading.Condition()
        self._exposures: deque[Exposure] = deque()
        self._exposed_rows = 0
        self._closing = self._failed = False
        self._thread = threading.Thread(target=self._run, name="event-stream", daemon=True)
        self._thread.start()

    @property
    def failing(self) -> bool:
        """Return whether the stream took nothing of what was sent last, or the files of decisions don't."""
        return self._failed or self._producer.failing or (self._decisions is not None and self._decisions.failing)

    def counts(self) -> LogCounts:
        """Return the counts so far; those of shadows are of the files."""
        with self._changed:
            counts = self._counts
        if self._decisions is None:
            return counts
        files = self._decisions.counts()
        return replace(counts, shadows_written=files.shadows_written, shadows_dropped=files.shadows_dropped, recovered=files.recovered)

    def offer(self, exposure: Exposure | ShadowScores) -> bool:
        """Queue a decision without blocking; return False where its impressions, or a shadow, are dropped."""
        kept = self._decisions is not None and self._decisions.offer(exposure)
        if isinstance(exposure, ShadowScores):
            return kept
        if not exposure.shown:
            return True
        with self._changed:
            if self._closing or self._exposed_rows + exposure.shown > MOST_EXPOSED_ROWS:
                self._count(exposures_dropped_queue_full=1)
                return False
            self._exposures.append(exposure)
            self._exposed_rows += exposure.shown
            self._changed.notify()
        return True

    def commit(self, interactions: Sequence[Interaction]) -> "Future[None]":
        """Send interactions; the future is done when the broker has stored all of them.

        It fails with LogUnavailable where that isn't known; a retry may store some twice, which consumers recognise.

        Raises:
            InputError: an action isn't in the dataset file, or an event is larger than the stream takes.
        """
        messages = [
            StreamMessage(_key(each), _json(self._rows.interaction(each) | self._described("", each.arms))) for each in interactions
        ]
        most_bytes = self._producer.most_bytes
        for message in messages:
            if (size := len(message.key.encode()) + len(message.value)) > most_bytes:
                raise InputError(f"expected events of at most {most_bytes:,} bytes for the stream, got one of {size:,}; send less with it")
        committed: Future[None] = Future()

        def done(error: ShelfRankError | None) -> None:
            self._failed = error is not None
            with self._changed:
                self._count(**{"interactions_refused" if error else "interactions_committed": len(messages)})
            if not committed.set_running_or_notify_cancel():
                return  # the caller has cancelled it
            if error is not None:
                committed.set_exception(error)
            else:
                committed.set_result(None)

        self._producer.send(messages, done)
        return committed

    def close(self, timeout_s: float) -> bool:
        """Send what is queued, and stop; return False on timeout."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._thread.join(timeout_s)
        sent = self._producer.close(timeout_s)
        written = self._decisions is None or self._decisions.close(timeout_s)
        return sent and written and not self._thread.is_alive()

    def _described(self, version: str, arms: Mapping[str, str]) -> dict[str, str | None]:
        """Return the columns that say what ranked; none where nothing is known of it."""
        if not version and not arms:
            return {}
        return {self._rows.version: version or None, self._rows.arms: json.dumps(dict(arms)) if arms else None}

    def _count(self, **added: int) -> None:
        """Add to the counts, with the lock held."""
        self._counts = replace(self._counts, **{name: getattr(self._counts, name) + number for name, number in added.items()})

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._exposures or self._closing)
                exposures = [self._exposures.popleft() for _ in range(min(_AT_ONCE, len(self._exposures)))]
            if not exposures:
                return
            for exposure in exposures:
                self._send(exposure)

    def _send(self, exposure: Exposure) -> None:
        def done(error: ShelfRankError | None) -> None:
            if error is not None and not self._failed:
                _LOG.warning("exposures are dropped: %s", error)
            self._failed = error is not None
            with self._changed:
                self._exposed_rows -= exposure.shown
                self._count(**{"exposures_dropped_undelivered" if error else "exposures_written": 1})

        try:
            described = self._described(exposure.version, exposure.arms)
            messages = [StreamMessage(_key(exposure), _json({**row, **described})) for row in self._rows.impressions(exposure)]
        except Exception:  # one that can't be serialized mustn't end the thread
            _LOG.exception("a decision can't be sent")
            with self._changed:
                self._exposed_rows -= exposure.shown
                self._count(exposures_dropped_unwritable=1)
            return
        self._producer.send(messages, done)


def _key(event: Exposure | Interaction) -> str:
    """Return the key by which a shopper's events stay in order."""
    return (event.shopper or event.session or event.request).encode("utf-8", "replace").decode()


def _json(row: Mapping[str, Any]) -> bytes:
    return json.dumps(row, separators=(",", ":"), allow_nan=False).encode()
