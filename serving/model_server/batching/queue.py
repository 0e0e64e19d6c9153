"""Batches in the making and the threads that run them."""

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
    """One request in a queue: its rows, the moment it came, and the moment after which nobody waits for it."""

    feeds: Mapping[str, Array]
    size: int
    came: float
    deadline: float
    outputs: Future[list[Array]]


@dataclass
class Batch:
    """Tasks that will run together, with how many rows they have."""

    tasks: list[Task] = field(default_factory=list)
    size: int = 0


@dataclass
class Queue:
    """The batches for one set of inputs and outputs; only the last may still grow."""

    run: Callable[[list[Task]], None]
    batches: deque[Batch] = field(default_factory=deque)


class BatchThreads:
    """The pool that all models share. A batch is taken when it is full, or when its first task has waited long enough."""

    def __init__(self, parameters: BatchingParameters) -> None:
        self.parameters = parameters
        self._queues: list[Queue] = []
        self._changed = threading.Condition()
        self._stopped = False
        self._threads = [threading.Thread(target=self._live, name="batch", daemon=True) for _ in range(parameters.threads)]
        for thread in self._threads:
            thread.start()

    def add(self, run: Callable[[list[Task]], None]) -> Queue:
        """A new queue, whose batches `run` runs."""
        queue = Queue(run)
        with self._changed:
            self._queues.append(queue)
        return queue

    def remove(self, queue: Queue) -> None:
        """Forget a queue; nobody may wait in it any more."""
        with self._changed:
            self._queues.remove(queue)

    def put(self, queue: Queue, task: Task) -> None:
        """Add a task to the last batch, or to a new one.

        Raises INVALID_ARGUMENT for more rows than a batch may have, UNAVAILABLE when the queue is full.
        """
        most = self.parameters.max_size
        if task.size > most:
            raise invalid(f"Task size {task.size} is larger than maximum input batch size {most}")
        with self._changed:
            if not queue.batches or queue.batches[-1].size + task.size > most:
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
        """End the threads; what still waits is not run."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()

    def _live(self) -> None:
        while True:
            with self._changed:
                taken = self._take()
                while taken is None:
                    if self._stopped:
                        return
                    self._changed.wait(self._patience())
                    taken = self._take()
            queue, batch = taken
            queue.run(batch.tasks)

    def _take(self) -> tuple[Queue, Batch] | None:
        now = time.monotonic()
        for index, queue in enumerate(self._queues):
            if queue.batches and (len(queue.batches) > 1 or self._ripe(queue.batches[0], now)):
                self._queues.append(self._queues.pop(index))  # the next queue comes first next time
                return queue, queue.batches.popleft()
        return None

    def _ripe(self, batch: Batch, now: float) -> bool:
        return batch.size >= self.parameters.max_size or now >= batch.tasks[0].came + self.parameters.timeout_s

    def _patience(self) -> float | None:
        oldest = min((queue.batches[0].tasks[0].came for queue in self._queues if queue.batches), default=None)
        return None if oldest is None else max(oldest + self.parameters.timeout_s - time.monotonic(), 0.0)
