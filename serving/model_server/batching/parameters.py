"""How requests are joined: read from a file, checked when built."""

import os
from dataclasses import dataclass
from pathlib import Path

from serving.model_server import text_protos
from serving.model_server.errors import Code, ServingError, invalid


@dataclass(frozen=True)
class BatchingParameters:
    """Sizes count rows of the first dimension. A batch waits `timeout_s` for company; `max_enqueued` batches may wait for a thread.

    Where `allowed_sizes` isn't empty a batch is padded to the next of them. `pad_lengths` evens out the other dimensions.
    """

    max_size: int = 1000
    timeout_s: float = 0.0
    max_enqueued: int = 10
    threads: int = os.cpu_count() or 1
    pool: str = "model_server_batch_threads"
    allowed_sizes: tuple[int, ...] = ()
    pad_lengths: bool = False

    def check(self) -> None:
        """Raise INVALID_ARGUMENT where the sizes contradict each other; as in TensorFlow Serving a model doesn't load then."""
        if not self.allowed_sizes:
            return
        if self.allowed_sizes[-1] != self.max_size:
            raise invalid(
                f"Last entry in allowed_batch_sizes must match max_batch_size; last entry was {self.allowed_sizes[-1]}; "
                f"expected {self.max_size}"
            )
        if any(later <= earlier for earlier, later in zip(self.allowed_sizes, self.allowed_sizes[1:], strict=False)):
            raise invalid("allowed_batch_sizes entries must be monotonically increasing")

    def padded(self, size: int) -> int:
        """The size that a batch of `size` rows is run at."""
        return next((allowed for allowed in self.allowed_sizes if allowed >= size), size)


def read(path: Path) -> BatchingParameters:
    """From a BatchingParameters file. Raises INVALID_ARGUMENT for a fault in it, UNIMPLEMENTED for splitting of large requests."""
    given = text_protos.read(path, "BatchingParameters")
    if given.enable_large_batch_splitting.value:
        raise ServingError(
            Code.UNIMPLEMENTED, f"{path}: enable_large_batch_splitting isn't served here; take it out, or run TensorFlow Serving"
        )
    usual = BatchingParameters()

    def value(name: str, default: int) -> int:
        return int(getattr(given, name).value) if given.HasField(name) else default

    return BatchingParameters(
        max_size=value("max_batch_size", usual.max_size),
        timeout_s=value("batch_timeout_micros", 0) / 1e6,
        max_enqueued=value("max_enqueued_batches", usual.max_enqueued),
        threads=max(value("num_batch_threads", usual.threads), 1),
        pool=given.thread_pool_name.value or usual.pool,
        allowed_sizes=tuple(given.allowed_batch_sizes),
        pad_lengths=given.pad_variable_length_inputs,
    )
