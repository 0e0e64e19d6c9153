"""Export live figures to Prometheus, computed when it scrapes."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import TypeVar, final

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from serving.stream.figures.breakdown import Dimension
from serving.stream.figures.live_figures import Figures, LiveFigures

_Family = TypeVar("_Family", GaugeMetricFamily, CounterMetricFamily)
_LABELS = ["by", "experiment", "value"]
_GROWING = ("revenue", "quantity")  # a margin may be below 0, and a counter never falls


@final
class FiguresCollector(Collector):
    """Collect the figures: gauges of open requests, which late events correct, and counters of final ones."""

    def __init__(self, figures: LiveFigures) -> None:
        self._figures = figures

    def collect(self) -> Iterator[Metric]:
        """See prometheus_client."""
        metrics = self._figures.metrics()
        opened = _families(GaugeMetricFamily, "open_", "Requests whose window isn't over")
        final_ = _families(CounterMetricFamily, "", "Requests whose window was over since the start")
        for dimension, figures in metrics.open.items():
            _add(opened, dimension, figures)
        for dimension, figures in metrics.final.items():
            _add(final_, dimension, figures)
        yield from opened
        yield from final_
        yield GaugeMetricFamily("shelfrank_figures_shoppers_share", "The share of the shoppers that is counted", value=metrics.share)
        left_out = CounterMetricFamily("shelfrank_figures_left_out", "What isn't in the figures, by what it is", labels=["what"])
        for what, count in asdict(metrics.counts).items():
            left_out.add_metric([what], count)
        yield left_out


def _families(kind: type[_Family], prefix: str, requests: str) -> list[_Family]:
    name, with_action, with_amount = f"shelfrank_figures_{prefix}", [*_LABELS, "action"], [*_LABELS, "amount"]
    return [
        kind(f"{name}requests", requests, labels=_LABELS),
        kind(f"{name}requests_with", "Of them those that an action followed from", labels=with_action),
        kind(f"{name}amount", "What the actions on them brought in", labels=with_amount),
    ]


def _add(families: Sequence[GaugeMetricFamily | CounterMetricFamily], dimension: Dimension, figures: Figures) -> None:
    requests, followed, amounts = families
    labelled = [dimension.by, dimension.experiment, dimension.value]
    requests.add_metric(labelled, figures.requests)
    for action, count in figures.followed.items():
        followed.add_metric([*labelled, action], count)
    for amount, total in figures.amounts.items():
        if isinstance(amounts, GaugeMetricFamily) or amount in _GROWING:
            amounts.add_metric([*labelled, amount], total)
