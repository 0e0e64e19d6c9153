"""Define the protocol of a model in memory, with or without batching, and one request's call of it."""

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from tensorflow.core.protobuf import meta_graph_pb2

from serving.model_server.errors import Code, ServingError
from serving.model_server.inference.tensors import Array, dtype_name


class Runner(Protocol):
    """A model that runs by tensor names."""

    @property
    def signatures(self) -> Mapping[str, meta_graph_pb2.SignatureDef]:
        """Return the signatures of the meta graph, by name."""
        ...

    @property
    def dtypes(self) -> Mapping[str, int]:
        """Return the type of each input tensor of each signature, by tensor name."""
        ...

    def run(self, feeds: Mapping[str, Array], fetches: Sequence[str], *, deadline: float) -> list[Array]:
        """Return the tensors of `fetches`; a run may be refused after `deadline`, in seconds of the monotonic clock."""
        ...

    def close(self) -> None:
        """Free the memory; no further run is allowed."""
        ...


@dataclass
class Call:
    """One request's call of a model: its deadline, and after the run its duration and its number of tf.Examples."""

    runner: Runner
    deadline: float = math.inf
    runtime_s: float = 0.0
    examples: int = 0

    @property
    def signatures(self) -> Mapping[str, meta_graph_pb2.SignatureDef]:
        """Return the model's signatures."""
        return self.runner.signatures

    def check_dtypes(self, sent: Mapping[str, int]) -> None:
        """Raise INVALID_ARGUMENT, worded as by TensorFlow's session, for an input of another type than expected."""
        for index, (name, actual) in enumerate(sent.items()):
            expected = self.runner.dtypes[name]
            if actual != expected:
                raise ServingError(
                    Code.INVALID_ARGUMENT, f"Expects arg[{index}] to be {dtype_name(expected)} but {dtype_name(actual)} is provided"
                )

    def run(self, feeds: Mapping[str, Array], fetches: Sequence[str]) -> list[Array]:
        """Return the tensors named by `fetches`, and measure the run."""
        start = time.perf_counter()
        outputs = self.runner.run(feeds, fetches, deadline=self.deadline)
        self.runtime_s = time.perf_counter() - start
        return outputs
