"""Model servers that aren't well: one that never answers, one that answers rubbish, one that refuses, and a port with none behind it."""

import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from typing import Any

import grpc
import numpy as np

from serving.client.messages import PREDICT, PredictResponse
from serving.client.tensors import write


def free_port() -> int:
    with closing(socket.create_server(("127.0.0.1", 0))) as free:
        port: int = free.getsockname()[1]
    return port


@contextmanager
def answering(answer: Any) -> Iterator[str]:
    """A server whose Predict is `answer(request, context)`, on plain bytes; gives its address."""
    handler = grpc.unary_unary_rpc_method_handler(answer)
    service, _, method = PREDICT.strip("/").partition("/")
    server = grpc.server(ThreadPoolExecutor(8))
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, {method: handler}),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        server.stop(0).wait()


@contextmanager
def hung() -> Iterator[tuple[str, list[float]]]:
    """Never answers; gives its address, and the seconds that each call said it had left."""
    over, left = threading.Event(), list[float]()

    def wait(_: bytes, context: grpc.ServicerContext) -> bytes:
        left.append(context.time_remaining())
        over.wait(30)
        return b""

    with answering(wait) as address:
        try:
            yield address, left
        finally:
            over.set()


def scores(values: Any, dtype: Any = np.float32, name: str = "scores", *, version: int | None = None) -> bytes:
    """An answer."""
    response = PredictResponse()
    named = response.outputs.add(key=name)
    write(named.value, np.array(values, dtype))
    if version is not None:
        response.model_spec.version.value = version
    whole: bytes = response.SerializeToString()
    return whole
