"""Metrics of a stream's consumer, as Prometheus reads them."""

from prometheus_client import CollectorRegistry

from serving.stream.metrics import StreamMetrics


def test_the_lag_of_a_partition_that_went_to_another_process_is_not_exported() -> None:
    registry = CollectorRegistry()
    exported = StreamMetrics(registry)

    def lag(partition: str) -> float | None:
        return registry.get_sample_value("shelfrank_stream_lag_messages", {"partition": partition})

    exported.waiting({"events/0": 7, "events/1": 5})
    assert (lag("events/0"), lag("events/1")) == (7, 5)
    exported.waiting({"events/1": 3})
    assert (lag("events/0"), lag("events/1")) == (None, 3)
    exported.waiting({"events/0": 1, "events/1": 0})
    assert (lag("events/0"), lag("events/1")) == (1, 0)
