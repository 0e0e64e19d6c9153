"""What the service counts, for Prometheus."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from serving.client.prediction import NEWEST, metric_label
from serving.exposure.log import LogCounts
from serving.service.ranking.ranking import Ranked
from serving.service.telemetry.score_metrics import ScoreMetrics

BUCKETS_S = (0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.015, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.2, 0.5, 1, 2, 5)


@final
class Metrics:
    """One service's numbers; a registry of its own, so that two services in one process don't mix theirs.

    Args:
        deadline_s: within which `rank` answers: what its latency is to be compared with.
    """

    def __init__(self, *, deadline_s: float) -> None:
        self.registry = CollectorRegistry()
        to = self.registry
        self._latency = Histogram(
            "shelfrank_request_seconds", "From a request's arrival to its answer", ["door", "route"], buckets=BUCKETS_S, registry=to
        )
        self._answers = Counter("shelfrank_answers", "Answers by door, route and status", ["door", "route", "status"], registry=to)
        self._ranked = Counter(
            "shelfrank_ranked", "Orders by the label asked and the rung that gave the scores", ["label", "rung"], registry=to
        )
        self._degraded_orders = Counter(
            "shelfrank_degraded_orders", "Orders for which something stood in, each once, by the label asked", ["label"], registry=to
        )
        self._degraded = Counter("shelfrank_degraded", "What went wrong with orders, by reason", ["reason"], registry=to)
        self._candidates = Counter("shelfrank_candidates", "Candidates ranked", registry=to)
        self._shown = Counter("shelfrank_shown", "Lists shown, by what orders for the shopper's arm", ["served_by"], registry=to)
        self._actions = Counter(
            "shelfrank_actions", "Interactions acknowledged, by what orders for the shopper's arm", ["action", "served_by"], registry=to
        )
        self._ahead = Counter(
            "shelfrank_events_ahead", "Events whose clock was ahead by a little: they count as of when they came", registry=to
        )
        self._arm_shown = Counter("shelfrank_arm_shown", "Lists shown, by the shopper's arms", ["experiment", "arm"], registry=to)
        self._arm_actions = Counter(
            "shelfrank_arm_actions", "Interactions acknowledged, by the shopper's arms", ["experiment", "arm", "action"], registry=to
        )
        self._model = Histogram(
            "shelfrank_model_seconds",
            "Until the label asked first has answered, or failed",
            ["label"],
            buckets=BUCKETS_S,
            registry=to,
        )
        self._scores = ScoreMetrics()
        to.register(self._scores)
        self._version = Gauge("shelfrank_model_version", "The version that answered last, by the label asked", ["label"], registry=to)
        self._log = Gauge("shelfrank_log_records", "Of the exposure log since the start, by what became of them", ["fate"], registry=to)
        self._failing = Gauge(
            "shelfrank_failing", "1 while the state store, the log or a model's label keeps failing", ["what"], registry=to
        )
        self._failed = {"state", "log"}  # shown from the start: a 0 is no number that is missing
        self._shop_files = Counter(
            "shelfrank_shop_files",
            "Changes of rules, experiments, sources or stock while it runs, by what became of them",
            ["outcome"],
            registry=to,
        )
        Gauge("shelfrank_deadline_seconds", "Within which `rank` answers", registry=to).set(deadline_s)

    def answered(self, door: str, route: str, status: str, *, seconds: float) -> None:
        """A request ended that came through a door ("rest" or "grpc")."""
        self._latency.labels(door, route).observe(seconds)
        self._answers.labels(door, route, status).inc()

    def ranked(self, ranked: Ranked) -> None:
        """An order was given."""
        label = metric_label(ranked.label or NEWEST)
        self._ranked.labels(label, ranked.scored.rung).inc()
        self._candidates.inc(len(ranked.scored.scores))
        for failure in ranked.scored.failures:
            self._degraded.labels(failure.rpartition(": ")[2]).inc()  # a word of the client's
        if not ranked.known:
            self._degraded.labels("state").inc()
        self._degraded_orders.labels(label).inc(bool(ranked.degraded))  # from 0 on, or a share of nothing would be no number
        if ranked.scored.model_ms is not None:
            self._model.labels(label).observe(ranked.scored.model_ms / 1e3)
        if ranked.scored.rung == "model" and ranked.scored.version is not None:
            self._version.labels(label).set(ranked.scored.version)
            self._scores.add(label, ranked.scored.version, ranked.scored.scores)

    def shown(self, served_by: str, arms: Mapping[str, str]) -> None:
        """A list was shown to a shopper who is served so, and is in these arms, by experiment."""
        self._shown.labels(served_by).inc()
        for experiment, arm in arms.items():
            self._arm_shown.labels(experiment, arm).inc()

    def ahead(self, events: int) -> None:
        """So many events came with a time that was yet to come."""
        self._ahead.inc(events)

    def shop_files(self, taken: bool) -> None:
        """The shop's files have changed, and were taken or refused."""
        self._shop_files.labels("taken" if taken else "refused").inc()

    def acted(self, action: str, served_by: str, arms: Mapping[str, str]) -> None:
        """A shopper who is served so, and is in these arms, did something."""
        self._actions.labels(action, served_by).inc()
        for experiment, arm in arms.items():
            self._arm_actions.labels(experiment, arm, action).inc()

    def page(self, log: LogCounts | None, failing: Sequence[str]) -> bytes:
        """The page that Prometheus reads."""
        for fate, number in ({} if log is None else asdict(log)).items():
            if isinstance(number, int):
                self._log.labels(fate).set(number)
        now = set(map(metric_label, failing))
        self._failed |= now
        for what in self._failed:
            self._failing.labels(what).set(what in now)
        page: bytes = generate_latest(self.registry)
        return page
