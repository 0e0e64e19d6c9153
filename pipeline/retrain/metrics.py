"""Export where retraining stands to Prometheus, read from the ledger when it scrapes."""

from collections import Counter
from collections.abc import Callable, Iterator
from typing import final

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from pipeline.retrain.cycle import Outcome
from pipeline.retrain.ledger import History

STATES = ("idle", "training", "waiting", "on trial", "frozen")
_WELL = (Outcome.PROMOTED, Outcome.UNCHANGED)


@final
class RetrainCollector(Collector):
    """Collects the metrics of a ledger.

    Args:
        read: returns what the ledger says now.
    """

    def __init__(self, read: Callable[[], History]) -> None:
        self._read = read

    def collect(self) -> Iterator[Metric]:
        """See prometheus_client."""
        history = self._read()
        states = GaugeMetricFamily("shelfrank_retrain_state", "1 for the state that retraining is in", labels=["state"])
        for state in STATES:
            states.add_metric([state], float(state == state_of(history)))
        yield states
        outcomes = Counter(cycle.outcome for cycle in history.cycles)
        ended = CounterMetricFamily("shelfrank_retrain_cycles", "Cycles that ended, by outcome", labels=["outcome"])
        for outcome in Outcome:
            ended.add_metric([str(outcome)], outcomes[outcome])
        yield ended
        failed = sum(len(cycle.failures) for cycle in history.cycles)
        yield CounterMetricFamily("shelfrank_retrain_failed_trainings", "Trainings that failed, each attempt", value=failed)
        spent = sum(cycle.processor_seconds or 0.0 for cycle in history.cycles)
        yield CounterMetricFamily("shelfrank_retrain_processor_seconds", "Of the trainings on this machine", value=spent)
        last = max((cycle.ended.timestamp() for cycle in history.cycles if cycle.ended and cycle.outcome in _WELL), default=0.0)
        yield GaugeMetricFamily(
            "shelfrank_retrain_last_success_timestamp_seconds",
            "When a model was last promoted, or proved to be the one in force",
            value=last,
        )
        began = history.started.timestamp() if history.started else 0.0
        yield GaugeMetricFamily("shelfrank_retrain_started_timestamp_seconds", "When retraining was first put to work", value=began)


def state_of(history: History) -> str:
    """Return the state of retraining, one of `STATES`."""
    if history.frozen is not None:
        return "frozen"
    cycle = history.open
    if cycle is None:
        return "idle"
    if cycle.trained is None:
        return "waiting" if cycle.failures and len(cycle.failures) == cycle.attempts else "training"
    return "on trial" if cycle.on_trial is not None else "waiting"
