"""Export the guard's metrics to Prometheus."""

from collections.abc import Mapping
from typing import final

from prometheus_client import CollectorRegistry, Counter, Gauge

from serving.guard.sequential_test import KEPT, WORSE, Limits, threshold
from serving.guard.trial_store import SIDES, TrialState

ENDS = ("roll back", "promote")


@final
class GuardMetrics:
    """Hold the metrics of one guard, in a registry of its own, so that two in one process stay apart."""

    def __init__(self, limits: Limits) -> None:
        self.registry = CollectorRegistry()
        to = self.registry
        self._evidence = Gauge(
            "shelfrank_guard_evidence", "Natural logarithm of a test's greatest capital in the trial", ["test"], registry=to
        )
        needed = Gauge("shelfrank_guard_evidence_asked", "Where a test has decided, likewise", ["test"], registry=to)
        for test in WORSE + KEPT:
            needed.labels(test).set(threshold(test, limits))
        self._counts = Gauge("shelfrank_guard_counts", "What is counted of the trial, by side", ["side", "what"], registry=to)
        self._version = Gauge("shelfrank_guard_version", "On trial, by side; 0 while nothing is", ["side"], registry=to)
        self._unreadable = Gauge("shelfrank_guard_unreadable_lines", "Of the log, in the trial", registry=to)
        self._decided = Counter("shelfrank_guard_decisions", "Trials that ended, by the decision", ["decision"], registry=to)
        for decision in ENDS:  # exported as 0, so that rates see the first
            self._decided.labels(decision)
        self._unmoved = Gauge("shelfrank_guard_unmoved", "1 while a decision waits because its label can't be moved", registry=to)
        self._looked = Gauge("shelfrank_guard_looked_timestamp_seconds", "When the log was looked at last", registry=to)
        self._labels = Gauge(
            "shelfrank_guard_label_version", "The release that carries a label, as `labels.json` says", ["label"], registry=to
        )
        self._newest = Gauge("shelfrank_guard_newest_release", "The newest release's version", registry=to)
        self._newest_time = Gauge("shelfrank_guard_newest_release_timestamp_seconds", "When it was published", registry=to)

    def update(self, state: TrialState | None) -> None:
        """Set the metrics of the trial, after a look."""
        self._looked.set_to_current_time()
        for side in SIDES:
            self._version.labels(side).set(0 if state is None else state.trial.version(side))
        if state is None:
            self._evidence.clear()
            self._counts.clear()
            return
        for test, peak in state.test.peak.items():
            self._evidence.labels(test).set(float(peak))
        for side in SIDES:
            tally = getattr(state.test, side)
            for what in ("requests", "errors", "slow", "settled", "clicked"):
                self._counts.labels(side, what).set(float(getattr(tally, what)))
        self._unreadable.set(state.unreadable)

    def set_labels(self, labels: Mapping[str, int]) -> None:
        """Set the release of each label."""
        self._labels.clear()
        for label, version in labels.items():
            self._labels.labels(label).set(version)

    def set_newest_release(self, version: int, *, made_s: float) -> None:
        """Set the newest release, and when it was published, seconds since the epoch."""
        self._newest.set(version)
        self._newest_time.set(made_s)

    def count_decision(self, decision: str) -> None:
        """Count a trial that ended."""
        self._decided.labels(decision).inc()

    def set_unmoved(self, waits: bool) -> None:
        """Set whether a decision waits for its label to be moved."""
        self._unmoved.set(waits)
