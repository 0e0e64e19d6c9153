"""Read and check the parameters of batching."""

import os
from dataclasses import dataclass
from pathlib import Path

from serving.model_server import text_protos
from serving.model_server.errors import Code, ServingError, invalid


@dataclass(frozen=True)
class BatchingParameters:
    """Limits of a batch queue; sizes count rows of the first dimension.

    A batch waits `timeout_s` for further requests; `max_enqueued` batches may wait for a thread. Where `allowed_sizes`
    isn't empty a batch is padded to the next of them. `pad_lengths` pads the other dimensions to the longest.
    """

    max_size: int = 1000
    timeout_s: float = 0.0
    max_enqueued: int = 10
    threads: int = os.cpu_count() or 1
    pool: str = "model_server_batch_threads"
    allowed_sizes: tuple[int, ...] = ()
    pad_lengths: bool = False

    def check(self) -> None:
        """Raise INVALID_ARGUMENT where the sizes contradict each other; no model loads then."""
        if not self.allowed_sizes:
            return
        if self.allowed_sizes[-1] != self.max_size:
            raise invalid(
                f"Last entry in allowed_batch_sizes must match max_batch_size; last entry was {self.allowed_sizes[-1]}; "
                f"expected {self.max_size}"
            )
        if any(later <= earlier for earlier, later in zip(self.allowed_sizes, self.allowed_sizes[1:], strict=False)):
            raise invalid("allowed_batch_sizes entries must be monotonically increasing")

    def padded_size(self, size: int) -> int:
        """Return the size that a batch of `size` rows is run at."""
        return next((allowed for allowed in self.allowed_sizes if allowed >= size), size)


def read(path: Path) -> BatchingParameters:
    """Read a BatchingParameters file. Raises INVALID_ARGUMENT for a fault, UNIMPLEMENTED for large batch splitting."""
    values = text_protos.read(path, "BatchingParameters")
    if values.enable_large_batch_splitting.value:
        raise ServingError(
            Code.UNIMPLEMENTED, f"{path}: enable_large_batch_splitting isn't served here; take it out, or run TensorFlow Serving"
        )
    defaults = BatchingParameters()

    def value(name: str, default: int) -> int:
        return int(getattr(values, name).value) if values.HasField(name) else default

    return BatchingParameters(
        max_size=value("max_batch_size", defaults.max_size),
        timeout_s=value("batch_timeout_micros", 0) / 1e6,
        max_enqueued=value("max_enqueued_batches", defaults.max_enqueued),
        threads=max(value("num_batch_threads", defaults.threads), 1),
        pool=values.thread_pool_name.value or defaults.pool,
        allowed_sizes=tuple(values.allowed_batch_sizes),
        pad_lengths=values.pad_variable_length_inputs,
    )
