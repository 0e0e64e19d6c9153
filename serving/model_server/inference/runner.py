"""What runs a model's tensors, plainly or in batches, and one request's use of it."""

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
        """The signatures of the meta graph, by name."""
        ...

    @property
    def dtypes(self) -> Mapping[str, int]:
        """The type of each input tensor of each signature, by tensor name."""
        ...

    def run(self, feeds: Mapping[str, Array], fetches: Sequence[str], *, deadline: float) -> list[Array]:
        """The tensors named by `fetches`. Who would begin after `deadline`, in seconds of the monotonic clock, may give up."""
        ...

    def close(self) -> None:
        """Give the memory back; nothing may run any more."""
        ...


@dataclass
class Call:
    """One request's use of a model: how long it may wait, and afterwards how long it ran and over how many tf.Examples."""

    runner: Runner
    deadline: float = math.inf
    runtime_s: float = 0.0
    examples: int = 0

    @property
    def signatures(self) -> Mapping[str, meta_graph_pb2.SignatureDef]:
        """The model's signatures."""
        return self.runner.signatures

    def check_dtypes(self, sent: Mapping[str, int]) -> None:
        """Say which input has another type than the signature's, in the words of TensorFlow's session."""
        for index, (name, came) in enumerate(sent.items()):
            expected = self.runner.dtypes[name]
            if came != expected:
                raise ServingError(
                    Code.INVALID_ARGUMENT, f"Expects arg[{index}] to be {dtype_name(expected)} but {dtype_name(came)} is provided"
                )

    def run(self, feeds: Mapping[str, Array], fetches: Sequence[str]) -> list[Array]:
        """The tensors named by `fetches`, timed."""
        start = time.perf_counter()
        outputs = self.runner.run(feeds, fetches, deadline=self.deadline)
        self.runtime_s = time.perf_counter() - start
        return outputs
