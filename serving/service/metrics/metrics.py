"""Count requests, rankings and events for Prometheus."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from serving.client.prediction import NEWEST, metric_label
from serving.exposure.log import LogCounts
from serving.service.metrics.score_metrics import ScoreMetrics
from serving.service.ranking.ranking import RankResult

BUCKETS_S = (0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.015, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.2, 0.5, 1, 2, 5)


@final
class Metrics:
    """Hold one service's metrics, in a registry of its own, so that two services in one process stay apart.

    Args:
        deadline_s: of `rank`, exported beside its latency.
    """

    def __init__(self, *, deadline_s: float) -> None:
        self.registry = CollectorRegistry()
        registry = self.registry
        self._latency = Histogram(
            "shelfrank_request_seconds", "From a request's arrival to its answer", ["door", "route"], buckets=BUCKETS_S, registry=registry
        )
        self._answers = Counter("shelfrank_answers", "Answers by door, route and status", ["door", "route", "status"], registry=registry)
        self._ranked = Counter(
            "shelfrank_ranked", "Orders by the label asked and the rung that gave the scores", ["label", "rung"], registry=registry
        )
        self._degraded_orders = Counter(
            "shelfrank_degraded_orders", "Orders for which something stood in, each once, by the label asked", ["label"], registry=registry
        )
        self._degraded = Counter("shelfrank_degraded", "What went wrong with orders, by reason", ["reason"], registry=registry)
        self._candidates = Counter("shelfrank_candidates", "Candidates ranked", registry=registry)
        self._shown = Counter("shelfrank_shown", "Lists shown, by what orders for the shopper's arm", ["served_by"], registry=registry)
        self._actions = Counter(
            "shelfrank_actions",
            "Interactions acknowledged, by what orders for the shopper's arm",
            ["action", "served_by"],
            registry=registry,
        )
        self._ahead = Counter(
            "shelfrank_events_ahead", "Events whose clock was ahead by a little: they count as of when they came", registry=registry
        )
        self._arm_shown = Counter("shelfrank_arm_shown", "Lists shown, by the shopper's arms", ["experiment", "arm"], registry=registry)
        self._arm_actions = Counter(
            "shelfrank_arm_actions", "Interactions acknowledged, by the shopper's arms", ["experiment", "arm", "action"], registry=registry
        )
        self._model = Histogram(
            "shelfrank_model_seconds",
            "Until the label asked first has answered, or failed",
            ["label"],
            buckets=BUCKETS_S,
            registry=registry,
        )
        self._scores = ScoreMetrics()
        registry.register(self._scores)
        self._version = Gauge("shelfrank_model_version", "The version that answered last, by the label asked", ["label"], registry=registry)
        self._log = Gauge(
            "shelfrank_log_records", "Of the exposure log since the start, by what became of them", ["fate"], registry=registry
        )
        self._failing = Gauge(
            "shelfrank_failing", "1 while the state store, the log or a model's label keeps failing", ["what"], registry=registry
        )
        self._failed = {"state", "log"}  # exported from the start, as 0
        self._shop_files = Counter(
            "shelfrank_shop_files",
            "Changes of rules, experiments, sources or stock while it runs, by what became of them",
            ["outcome"],
            registry=registry,
        )
        Gauge("shelfrank_deadline_seconds", "Within which `rank` answers", registry=registry).set(deadline_s)

    def count_answer(self, door: str, route: str, status: str, *, seconds: float) -> None:
        """Count a response of a protocol ("rest" or "grpc")."""
        self._latency.labels(door, route).observe(seconds)
        self._answers.labels(door, route, status).inc()

    def count_ranking(self, result: RankResult) -> None:
        """Count a ranking."""
        label = metric_label(result.label or NEWEST)
        self._ranked.labels(label, result.scored.level).inc()
        self._candidates.inc(len(result.scored.scores))
        for failure in result.scored.failures:
            self._degraded.labels(failure.rpartition(": ")[2]).inc()  # the reason, one word
        if not result.known:
            self._degraded.labels("state").inc()
        self._degraded_orders.labels(label).inc(bool(result.degraded))  # 0 exports the series, so that its share is defined
        if result.scored.model_ms is not None:
            self._model.labels(label).observe(result.scored.model_ms / 1e3)
        if result.scored.level == "model" and result.scored.version is not None:
            self._version.labels(label).set(result.scored.version)
            self._scores.add(label, result.scored.version, result.scored.scores)

    def count_list(self, served_by: str, arms: Mapping[str, str]) -> None:
        """Count a list shown to a shopper of these arms (experiment to arm)."""
        self._shown.labels(served_by).inc()
        for experiment, arm in arms.items():
            self._arm_shown.labels(experiment, arm).inc()

    def count_ahead(self, events: int) -> None:
        """Count events whose time was in the future."""
        self._ahead.inc(events)

    def count_shop_files(self, taken: bool) -> None:
        """Count a change of the shop's files, applied or refused."""
        self._shop_files.labels("taken" if taken else "refused").inc()

    def count_action(self, action: str, served_by: str, arms: Mapping[str, str]) -> None:
        """Count an interaction of a shopper of these arms."""
        self._actions.labels(action, served_by).inc()
        for experiment, arm in arms.items():
            self._arm_actions.labels(experiment, arm, action).inc()

    def render(self, log: LogCounts | None, failing: Sequence[str]) -> bytes:
        """Return the text that Prometheus scrapes."""
        for fate, number in ({} if log is None else asdict(log)).items():
            if isinstance(number, int):
                self._log.labels(fate).set(number)
        current = set(map(metric_label, failing))
        self._failed |= current
        for what in self._failed:
            self._failing.labels(what).set(what in current)
        text: bytes = generate_latest(self.registry)
        return text
