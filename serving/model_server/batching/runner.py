"""Run a model through batch queues."""

import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from functools import partial

from tensorflow.core.protobuf import meta_graph_pb2

from serving.model_server.batching.queue import BatchThreads, Queue, Task
from serving.model_server.batching.rows import concatenate, size_of, split_outputs
from serving.model_server.errors import Code, ServingError, from_exception
from serving.model_server.inference.runner import Runner
from serving.model_server.inference.tensors import Array
from serving.model_server.metrics import Metrics

Key = tuple[tuple[str, ...], tuple[str, ...]]


class BatchingRunner:
    """Batch requests with equal inputs and outputs. Raises INVALID_ARGUMENT for contradictory parameters."""

    def __init__(self, model: Runner, threads: BatchThreads, metrics: Metrics) -> None:
        threads.parameters.check()
        self._model, self._threads, self._metrics = model, threads, metrics
        self._queues: dict[Key, Queue] = {}
        self._lock = threading.Lock()

    @property
    def signatures(self) -> Mapping[str, meta_graph_pb2.SignatureDef]:
        """Return the signatures of the meta graph, by name."""
        return self._model.signatures

    @property
    def dtypes(self) -> Mapping[str, int]:
        """Return the type of each input tensor, by tensor name."""
        return self._model.dtypes

    def run(self, feeds: Mapping[str, Array], fetches: Sequence[str], *, deadline: float) -> list[Array]:
        """Return the tensors named by `fetches`, for this request's rows alone.

        Raises INVALID_ARGUMENT where the inputs differ in rows or are too many, UNAVAILABLE when the queue is full,
        RESOURCE_EXHAUSTED when the whole batch is past its deadline before it runs.
        """
        feeds = dict(sorted(feeds.items()))
        outputs: Future[list[Array]] = Future()
        task = Task(feeds, size_of(feeds), time.monotonic(), deadline, outputs)
        self._threads.put(self._queue((tuple(feeds), tuple(fetches))), task)
        return outputs.result()

    def close(self) -> None:
        """Free the memory; no further run is allowed."""
        for queue in self._queues.values():
            self._threads.remove(queue)
        self._model.close()

    def _queue(self, key: Key) -> Queue:
        with self._lock:
            if key not in self._queues:
                self._queues[key] = self._threads.add(partial(self._run_batch, fetches=key[1]))
            return self._queues[key]

    def _run_batch(self, tasks: list[Task], *, fetches: Sequence[str]) -> None:
        now = time.monotonic()
        parameters = self._threads.parameters
        for task in tasks:
            self._metrics.queuing_latency.add((now - task.enqueued_at) * 1e6, parameters.pool)
        try:
            if all(now > task.deadline for task in tasks):
                raise ServingError(Code.RESOURCE_EXHAUSTED, "Run() timeout exceeded while waiting in batching queue")
            run_at = parameters.padded_size(sum(task.size for task in tasks))
            feeds = concatenate([task.feeds for task in tasks], run_at=run_at, pad_lengths=parameters.pad_lengths)
            self._metrics.batched_runs.add(1)
            outputs = self._model.run(feeds, fetches, deadline=max(task.deadline for task in tasks))
            shares = split_outputs(outputs, [task.size for task in tasks], run_at=run_at)
        except Exception as error:
            for task in tasks:
                task.outputs.set_exception(from_exception(error))
            return
        for task, share in zip(tasks, shares, strict=True):
            task.outputs.set_result(share)
