"""What the service counts, for Prometheus."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from serving.client.prediction import NEWEST
from serving.exposure.log import LogCounts
from serving.service.ranking import Ranked

BUCKETS_S = (0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.015, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.2, 0.5, 1, 2, 5)


@final
class Metrics:
    """One service's numbers; a registry of its own, so that two services in one process don't mix theirs."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        to = self.registry
        self._latency = Histogram(
            "shelfrank_request_seconds", "From a request's arrival to its answer", ["door", "route"], buckets=BUCKETS_S, registry=to
        )
        self._answers = Counter("shelfrank_answers", "Answers by door, route and status", ["door", "route", "status"], registry=to)
        self._ranked = Counter(
            "shelfrank_ranked", "Orders by the label asked and the rung that gave the scores", ["label", "rung"], registry=to
        )
        self._degraded = Counter("shelfrank_degraded", "What went wrong with orders, by reason", ["reason"], registry=to)
        self._candidates = Counter("shelfrank_candidates", "Candidates ranked", registry=to)
        self._shown = Counter("shelfrank_shown", "Lists shown, by what orders for the shopper's arm", ["served_by"], registry=to)
        self._actions = Counter(
            "shelfrank_actions", "Interactions acknowledged, by what orders for the shopper's arm", ["action", "served_by"], registry=to
        )
        self._version = Gauge("shelfrank_model_version", "The version that answered last, by the label asked", ["label"], registry=to)
        self._log = Gauge("shelfrank_log_records", "Of the exposure log since the start, by what became of them", ["fate"], registry=to)
        self._failing = Gauge("shelfrank_failing", "1 while the state store or a model's label has kept failing", ["what"], registry=to)
        self._failed: set[str] = set()

    def answered(self, door: str, route: str, status: str, *, seconds: float) -> None:
        """A request ended that came through a door ("rest" or "grpc")."""
        self._latency.labels(door, route).observe(seconds)
        self._answers.labels(door, route, status).inc()

    def ranked(self, ranked: Ranked) -> None:
        """An order was given."""
        label = ranked.label or NEWEST
        self._ranked.labels(label, ranked.scored.rung).inc()
        self._candidates.inc(len(ranked.scored.scores))
        for failure in ranked.scored.failures:
            self._degraded.labels(failure.rpartition(": ")[2]).inc()
        if not ranked.known:
            self._degraded.labels("state").inc()
        if ranked.scored.rung == "model" and ranked.scored.version is not None:
            self._version.labels(label).set(ranked.scored.version)

    def shown(self, served_by: str) -> None:
        """A list was shown to a shopper whose arm is served so."""
        self._shown.labels(served_by).inc()

    def acted(self, action: str, served_by: str) -> None:
        """A shopper whose arm is served so did something."""
        self._actions.labels(action, served_by).inc()

    def page(self, log: LogCounts | None, failing: Sequence[str]) -> bytes:
        """The page that Prometheus reads."""
        for fate, number in ({} if log is None else asdict(log)).items():
            if isinstance(number, int):
                self._log.labels(fate).set(number)
        for what in set(failing) | self._failed:
            self._failing.labels(what).set(what in failing)
        self._failed |= set(failing)
        page: bytes = generate_latest(self.registry)
        return page
