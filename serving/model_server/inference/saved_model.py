"""Load a SavedModel into a session of its own and run it by tensor names; no other module calls TensorFlow's loader."""

import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf import config_pb2, meta_graph_pb2
from tensorflow.python.framework import ops

from serving.model_server.errors import Code, ServingError
from serving.model_server.inference.tensors import Array


class LoadedModel:
    """One version in memory.

    `tags` name the meta graph in the SavedModel. With `inter_op` at 0 or 1 a request runs in the calling thread, which
    for the many small operations of a ranker saves more than parallel operations would; more than 1 shares a pool of
    that many threads. Raises NOT_FOUND when the folder holds no SavedModel, and what TensorFlow raises when it can't
    load it.
    """

    def __init__(self, path: Path, *, tags: Sequence[str] = ("serve",), intra_op: int = 1, inter_op: int = 1) -> None:
        if not tf.compat.v1.saved_model.contains_saved_model(str(path)):
            raise ServingError(Code.NOT_FOUND, f"Could not find SavedModel .pb or .pbtxt at supplied export directory path: {path}")
        config = config_pb2.ConfigProto(intra_op_parallelism_threads=intra_op or 1, inter_op_parallelism_threads=max(inter_op, 1))
        self._in_caller = inter_op <= 1
        graph = tf.Graph()
        with graph.as_default():
            self._session: Any = tf.compat.v1.Session(graph=graph, config=config)
            try:
                meta_graph = tf.compat.v1.saved_model.load(self._session, list(tags), str(path))
            except BaseException:
                self._session.close()
                raise
        self.signatures: dict[str, meta_graph_pb2.SignatureDef] = dict(meta_graph.signature_def)
        self.dtypes: dict[str, int] = {
            info.name: info.dtype for signature in self.signatures.values() for info in signature.inputs.values()
        }
        self._calls: dict[tuple[tuple[str, ...], tuple[str, ...]], Any] = {}
        self._building = threading.Lock()

    def run(self, feeds: Mapping[str, Array], fetches: Sequence[str], *, deadline: float) -> list[Array]:
        """Return the tensors of `fetches`, from inputs by tensor name. Thread-safe; ignores the deadline."""
        key = (tuple(feeds), tuple(fetches))
        call = self._calls.get(key) or self._build(key)
        return [output if isinstance(output, np.ndarray) else _scalar(output) for output in call(*feeds.values())]

    def _build(self, key: tuple[tuple[str, ...], tuple[str, ...]]) -> Any:
        with self._building:
            if key not in self._calls:
                self._calls[key] = session_call(self._session, *key, in_caller=self._in_caller)
            return self._calls[key]

    def close(self) -> None:
        """Free the memory; no further run is allowed."""
        graph = self._session.graph
        self._calls.clear()
        self._session.close()
        self._session = None
        # A graph is full of reference cycles; leaving them to the garbage collector would halt every thread for much of
        # a second.
        ops.dismantle_graph(graph)


def _scalar(value: object) -> Array:
    """Convert a scalar, which the session returns as bytes or as a numpy scalar, to an array."""
    return np.array(value, object if isinstance(value, bytes) else None)


def session_call(session: Any, feeds: Sequence[str], fetches: Sequence[str], *, in_caller: bool) -> Any:
    """Return a function of the feeds' arrays, in their order, that returns the list of the fetches' arrays.

    TensorFlow's own callable is private. It is the only way from Python that takes inputs as a C++ session does,
    without comparing them to the placeholder's static shape, and it costs a fraction of `Session.run`, the fallback
    where the callable doesn't exist.
    """
    make = getattr(session, "_make_callable_from_options", None)
    if make is None:
        return lambda *arrays: session.run(list(fetches), dict(zip(feeds, arrays, strict=True)))
    options = config_pb2.CallableOptions(feed=feeds, fetch=fetches)
    if in_caller:
        options.run_options.inter_op_thread_pool = -1
    return make(options)
