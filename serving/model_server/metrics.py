"""Count under TensorFlow Serving's metric names, and render the metrics for Prometheus.

The names begin with a colon, which Prometheus allows and its client library rejects; hence these classes.
"""

import threading
from bisect import bisect_right
from itertools import accumulate

Labels = tuple[str, ...]


class Counter:
    """Counter for each combination of labels. Thread-safe."""

    kind = "counter"

    def __init__(self, name: str, *labels: str) -> None:
        self.name, self.labels = name, labels
        self._values: dict[Labels, int] = {}
        self._lock = threading.Lock()

    def add(self, count: int, *labels: str) -> None:
        """Add `count` under these labels."""
        with self._lock:
            self._values[labels] = self._values.get(labels, 0) + count

    def lines(self) -> list[str]:
        """Render the values, a line each."""
        with self._lock:
            return [f"{self.name}{{{_labelled(self.labels, labels)}}} {value}" for labels, value in sorted(self._values.items())]


class Histogram:
    """Histogram with the bucket bounds `scale * growth ** i` for each combination of labels. Thread-safe."""

    kind = "histogram"

    def __init__(self, name: str, *labels: str, scale: float, growth: float, count: int) -> None:
        self.name, self.labels = name, labels
        self._limits = [scale * growth**power for power in range(count)]
        self._counts: dict[Labels, list[int]] = {}
        self._sums: dict[Labels, float] = {}
        self._lock = threading.Lock()

    def add(self, value: float, *labels: str) -> None:
        """Observe a value under these labels."""
        bucket = bisect_right(self._limits, value)
        with self._lock:
            counts = self._counts.get(labels)
            if counts is None:
                counts = self._counts[labels] = [0] * (len(self._limits) + 1)
            counts[bucket] += 1
            self._sums[labels] = self._sums.get(labels, 0.0) + value

    def lines(self) -> list[str]:
        """Render the cumulative buckets, the sum and the count, a line each."""
        edges = [f"{limit:g}" for limit in self._limits] + ["+Inf"]
        lines = []
        with self._lock:
            for labels, counts in sorted(self._counts.items()):
                shown = _labelled(self.labels, labels)
                below = list(accumulate(counts))
                comma = "," if shown else ""
                lines += [f'{self.name}_bucket{{{shown}{comma}le="{edge}"}} {n}' for edge, n in zip(edges, below, strict=True)]
                lines += [f"{self.name}_sum{{{shown}}} {self._sums[labels]:g}", f"{self.name}_count{{{shown}}} {below[-1]}"]
        return lines


class Metrics:
    """Metrics of one server; times are in microseconds."""

    def __init__(self) -> None:
        def latency(name: str, *labels: str) -> Histogram:
            return Histogram(f":tensorflow:serving:{name}", *labels, scale=10, growth=1.8, count=33)

        self.requests = Counter(":tensorflow:serving:request_count", "model_name", "status")
        self.request_latency = latency("request_latency", "model_name", "API", "entrypoint")
        self.runtime_latency = latency("runtime_latency", "model_name", "API", "runtime")
        self.examples = Histogram(":tensorflow:serving:request_example_counts", "model", scale=1, growth=2, count=20)
        self.examples_total = Counter(":tensorflow:serving:request_example_count_total", "model")
        self.warmup_latency = latency("model_warmup_latency", "model_path", "status")
        self.warmup_records = Counter(":tensorflow:serving:model_warmup_records_read", "model_path", "status")
        self.queuing_latency = Histogram(
            ":tensorflow:serving:batching_session:queuing_latency", "thread_pool_name", scale=100, growth=1.2, count=52
        )
        self.batched_runs = Counter(":tensorflow:serving:batching_session:wrapped_run_count")

    def page(self) -> str:
        """Render all metrics in Prometheus' text format."""
        lines = []
        for metric in sorted(vars(self).values(), key=lambda metric: str(metric.name)):
            lines += [f"# TYPE {metric.name} {metric.kind}", *metric.lines()]
        return "\n".join(lines) + "\n"


def _labelled(names: tuple[str, ...], values: Labels) -> str:
    escaped = (value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") for value in values)
    return ",".join(f'{name}="{value}"' for name, value in zip(names, escaped, strict=True))
