"""Queue requests in batches, and run the batches on a pool of threads."""

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field

from serving.model_server.batching.parameters import BatchingParameters
from serving.model_server.errors import Code, ServingError, invalid
from serving.model_server.inference.tensors import Array


@dataclass(frozen=True)
class Task:
    """One request in a queue: rows, time of enqueuing, and deadline, both in seconds of the monotonic clock."""

    feeds: Mapping[str, Array]
    size: int
    enqueued_at: float
    deadline: float
    outputs: Future[list[Array]]


@dataclass
class Batch:
    """Tasks that will run together, and their number of rows."""

    tasks: list[Task] = field(default_factory=list)
    size: int = 0


@dataclass
class Queue:
    """The batches for one set of inputs and outputs; only the last accepts further tasks."""

    run: Callable[[list[Task]], None]
    batches: deque[Batch] = field(default_factory=deque)


class BatchThreads:
    """Threads shared by all models. A batch runs when it is full, or when its first task has waited for `timeout_s`."""

    def __init__(self, parameters: BatchingParameters) -> None:
        self.parameters = parameters
        self._queues: list[Queue] = []
        self._changed = threading.Condition()
        self._stopped = False
        self._threads = [threading.Thread(target=self._run_loop, name="batch", daemon=True) for _ in range(parameters.threads)]
        for thread in self._threads:
            thread.start()

    def add(self, run: Callable[[list[Task]], None]) -> Queue:
        """Create a queue, whose batches are run by `run`."""
        queue = Queue(run)
        with self._changed:
            self._queues.append(queue)
        return queue

    def remove(self, queue: Queue) -> None:
        """Remove a queue, which must have no waiting tasks."""
        with self._changed:
            self._queues.remove(queue)

    def put(self, queue: Queue, task: Task) -> None:
        """Append a task to the last batch, or to a new one.

        Raises INVALID_ARGUMENT for more rows than a batch may have, UNAVAILABLE when the queue is full.
        """
        max_size = self.parameters.max_size
        if task.size > max_size:
            raise invalid(f"Task size {task.size} is larger than maximum input batch size {max_size}")
        with self._changed:
            if not queue.batches or queue.batches[-1].size + task.size > max_size:
                if len(queue.batches) >= self.parameters.max_enqueued:
                    raise ServingError(
                        Code.UNAVAILABLE,
                        "The batch scheduling queue to which this task was submitted is full; currently "
                        f"{len(queue.batches)} batches enqueued and max_enqueued_batches is {self.parameters.max_enqueued}",
                    )
                queue.batches.append(Batch())
            batch = queue.batches[-1]
            batch.tasks.append(task)
            batch.size += task.size
            self._changed.notify()

    def stop(self) -> None:
        """End the threads; tasks that still wait aren't run."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()

    def _run_loop(self) -> None:
        while True:
            with self._changed:
                next_batch = self._take()
                while next_batch is None:
                    if self._stopped:
                        return
                    self._changed.wait(self._wait_s())
                    next_batch = self._take()
            queue, batch = next_batch
            queue.run(batch.tasks)

    def _take(self) -> tuple[Queue, Batch] | None:
        now = time.monotonic()
        for index, queue in enumerate(self._queues):
            if queue.batches and (len(queue.batches) > 1 or self._is_due(queue.batches[0], now)):
                self._queues.append(self._queues.pop(index))  # round robin
                return queue, queue.batches.popleft()
        return None

    def _is_due(self, batch: Batch, now: float) -> bool:
        return batch.size >= self.parameters.max_size or now >= batch.tasks[0].enqueued_at + self.parameters.timeout_s

    def _wait_s(self) -> float | None:
        oldest = min((queue.batches[0].tasks[0].enqueued_at for queue in self._queues if queue.batches), default=None)
        return None if oldest is None else max(oldest + self.parameters.timeout_s - time.monotonic(), 0.0)
