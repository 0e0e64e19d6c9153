"""Metrics of a stream's consumer for Prometheus."""

import time
from collections.abc import Mapping
from typing import final

import numpy as np
import polars as pl
from numpy.typing import NDArray
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from serving.stream.state.decisions import COUNTED, FORGOTTEN, LATE, REPEATED

_OUTCOMES = {COUNTED: "counted", REPEATED: "repeated", LATE: "late", FORGOTTEN: "forgotten"}
LAG_EVERY_S = 2.0  # asking for the lag is a call to the broker


@final
class StreamMetrics:
    """Counters, gauges and histograms of one consumer."""

    def __init__(self, registry: CollectorRegistry) -> None:
        def counter(name: str, about: str, *labels: str) -> Counter:
            return Counter(f"shelfrank_stream_{name}", about, labels, registry=registry)

        self._messages = counter("messages", "Messages with events, by what became of them", "outcome")
        self._dead = counter("dead_letters", "Messages that couldn't be taken, by reason", "reason")
        self._rows = counter("rows", "Rows of events, as ingestion counts them", "name")
        self._lost = counter("lost_messages", "Messages that the source had deleted before they were read", "partition")
        self._groups = counter("groups_lost", "Groups of keys whose state the store has lost, and that can't be read again")
        self._retries = counter("retries", "Calls that had to be repeated, by what didn't answer", "what")
        self._lag = Gauge("shelfrank_stream_lag_messages", "Messages that wait behind the position", ["partition"], registry=registry)
        self._keys = Gauge("shelfrank_stream_state_keys", "Keys in the store", registry=registry)
        self._bytes = Gauge("shelfrank_stream_state_bytes", "Memory that the store uses", registry=registry)
        self._dropped = Gauge(
            "shelfrank_stream_dropped", "Since the start: ids of shoppers who had too many, payloads for whose folder there was no room",
            ["what"], registry=registry,
        )  # fmt: skip
        self._batch = Histogram(
            "shelfrank_stream_batch_seconds", "To apply a batch to the state and append it to the log", registry=registry,
            buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
        )  # fmt: skip
        self._age = Histogram(
            "shelfrank_stream_age_seconds",
            "Age of a batch's oldest message, since the source took it in, when it is in the state", registry=registry,
            buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60, 600, 3600),
        )  # fmt: skip
        self._asked_s = 0.0
        self._counted: dict[str, int] = {}

    def applied(self, outcome: NDArray[np.int8], times_us: NDArray[np.int64], *, seconds: float, counts: Mapping[str, int]) -> None:
        """Count a batch that is in the state."""
        self._add("messages", len(times_us))
        for code, number in enumerate(np.bincount(outcome, minlength=len(_OUTCOMES)).tolist()):
            if number:
                self._messages.labels(_OUTCOMES[code]).inc(number)
                self._add(f"with events, {_OUTCOMES[code]}", number)
        for name, number in counts.items():
            self._rows.labels(name).inc(number)
        self._batch.observe(seconds)
        if len(times_us) and times_us.min() > 0:
            self._age.observe(max(0.0, time.time() - int(times_us.min()) / 1e6))

    def set_aside(self, reasons: pl.Series) -> None:
        """Count messages that couldn't be taken."""
        for reason, number in reasons.value_counts().iter_rows():
            self._dead.labels(reason).inc(number)
            self._add(f"set aside: {reason}", number)

    def lost(self, partition: str, number: int) -> None:
        """Count messages that were deleted before they were read."""
        self._lost.labels(partition).inc(number)
        self._add("lost: deleted before they were read", number)

    def groups_lost(self, number: int) -> None:
        """Count groups of keys, of a side and partition each, that the store has lost."""
        self._groups.inc(number)
        self._add("groups of keys that the store has lost", number)

    def retried(self, what: str) -> None:
        """Count a call that had to be repeated."""
        self._retries.labels(what).inc()

    def lag_is_due(self) -> bool:
        """Return whether the lag is to be asked for again."""
        due = time.monotonic() - self._asked_s >= LAG_EVERY_S
        if due:
            self._asked_s = time.monotonic()
        return due

    def waiting(self, lag: Mapping[str, int]) -> None:
        """Show how many messages wait, of the partitions that are read here and no others."""
        self._lag.clear()
        for partition, number in lag.items():
            self._lag.labels(partition).set(number)

    def sized(self, *, keys: int, bytes_used: int, ids_dropped: int, payloads_dropped: int) -> None:
        """Show the size of the store, and what had to be dropped."""
        self._keys.set(keys)
        self._bytes.set(bytes_used)
        self._dropped.labels("ids").set(ids_dropped)
        self._dropped.labels("payloads").set(payloads_dropped)

    def counts(self) -> dict[str, int]:
        """Return how many messages were read, and what became of them."""
        return dict(sorted(self._counted.items()))

    def _add(self, name: str, number: int) -> None:
        self._counted[name] = self._counted.get(name, 0) + number
