"""The guard's numbers, for Prometheus."""

from collections.abc import Mapping
from typing import final

from prometheus_client import CollectorRegistry, Counter, Gauge

from serving.guard.sequential_test import KEPT, WORSE, Limits, threshold
from serving.guard.trial_store import SIDES, Standing

ENDS = ("roll back", "promote")


@final
class Numbers:
    """Of one guard; a registry of its own, so that two in one process don't mix theirs."""

    def __init__(self, limits: Limits) -> None:
        self.registry = CollectorRegistry()
        to = self.registry
        self._evidence = Gauge(
            "shelfrank_guard_evidence", "Natural logarithm of a test's greatest capital in the trial", ["test"], registry=to
        )
        asked = Gauge("shelfrank_guard_evidence_asked", "Where a test has decided, likewise", ["test"], registry=to)
        for test in WORSE + KEPT:
            asked.labels(test).set(threshold(test, limits))
        self._counts = Gauge("shelfrank_guard_counts", "What is counted of the trial, by side", ["side", "what"], registry=to)
        self._version = Gauge("shelfrank_guard_version", "On trial, by side; 0 while nothing is", ["side"], registry=to)
        self._unreadable = Gauge("shelfrank_guard_unreadable_lines", "Of the log, in the trial", registry=to)
        self._decided = Counter("shelfrank_guard_decisions", "Trials that ended, by the decision", ["decision"], registry=to)
        for decision in ENDS:  # counted from 0 on, or nobody sees the first
            self._decided.labels(decision)
        self._unmoved = Gauge("shelfrank_guard_unmoved", "1 while a decision waits because its label can't be moved", registry=to)
        self._looked = Gauge("shelfrank_guard_looked_timestamp_seconds", "When the log was looked at last", registry=to)
        self._labels = Gauge(
            "shelfrank_guard_label_version", "The release that carries a label, as `labels.json` says", ["label"], registry=to
        )
        self._newest = Gauge("shelfrank_guard_newest_release", "The newest release's version", registry=to)
        self._made = Gauge("shelfrank_guard_newest_release_timestamp_seconds", "When it was published", registry=to)

    def stands(self, standing: Standing | None) -> None:
        """How the trial stands, after a look."""
        self._looked.set_to_current_time()
        for side in SIDES:
            self._version.labels(side).set(0 if standing is None else standing.trial.version(side))
        if standing is None:
            self._evidence.clear()
            self._counts.clear()
            return
        for test, peak in standing.watch.peak.items():
            self._evidence.labels(test).set(float(peak))
        for side in SIDES:
            tally = getattr(standing.watch, side)
            for what in ("requests", "errors", "slow", "settled", "clicked"):
                self._counts.labels(side, what).set(float(getattr(tally, what)))
        self._unreadable.set(standing.unreadable)

    def labelled(self, labels: Mapping[str, int]) -> None:
        """Which release carries which label."""
        self._labels.clear()
        for label, version in labels.items():
            self._labels.labels(label).set(version)

    def released(self, version: int, *, made_s: float) -> None:
        """The newest release, and when it was published, seconds since the epoch."""
        self._newest.set(version)
        self._made.set(made_s)

    def decided(self, decision: str) -> None:
        """A trial ended."""
        self._decided.labels(decision).inc()

    def unmoved(self, waits: bool) -> None:
        """Whether a decision waits."""
        self._unmoved.set(waits)
