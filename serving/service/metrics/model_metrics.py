"""Export a model client's counts to Prometheus, read when it scrapes."""

from collections.abc import Iterator
from dataclasses import asdict
from typing import final

from prometheus_client.core import CounterMetricFamily
from prometheus_client.registry import Collector

from serving.client.model import ModelClient


@final
class ModelMetrics(Collector):
    """Collect the counts of a client."""

    def __init__(self, model: ModelClient) -> None:
        self._model = model

    def collect(self) -> Iterator[CounterMetricFamily]:
        """See prometheus_client."""
        family = CounterMetricFamily("shelfrank_model", "Calls of the model, hedges, and requests that needed none", labels=["what"])
        for what, number in asdict(self._model.counts()).items():
            family.add_metric([what], number)
        yield family
