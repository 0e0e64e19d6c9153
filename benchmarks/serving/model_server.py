"""Compare a call of a ranker's `serving_default` through the model server with the same call in this process.

    python -m benchmarks.serving.model_server [--candidates 200] [--events 20] [--calls 500] [--clients 1] [--model FOLDER]

Every way starts from the same numpy arrays of one request and ends with its scores as an array:

- `direct`: the signature of the loaded SavedModel, called eagerly, with TensorFlow's own threads.
- `session`: the model server's own session call, in this process.
- `server`: gRPC over loopback to `python -m serving.model_server` in a process of its own, including building and
  parsing of the messages.

The calls alternate, so that other load on the machine affects all of them. Without --model (a release's folder with
saved_model.pb) the model is similar to the ranker, with random weights and the signatures of
examples/simulated_shop.yaml: hashed categories, attention of each candidate over the history, and two layers.
"""

import argparse
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import tensorflow as tf
from rich.console import Console
from rich.table import Table
from tensorflow.core.protobuf import meta_graph_pb2
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

from components.contract.columns import input_columns
from components.contract.load import load_dataset
from components.schema import signatures
from components.schema.parsing import Features
from serving.model_server.inference.saved_model import LoadedModel
from serving.model_server.inference.tensors import Array, fill_proto, to_array

SHOP = Path(__file__).parents[2] / "examples" / "simulated_shop.yaml"
WIDTH, BUCKETS, LAYERS = 16, 20_000, (128, 64)
SCORES = "scores"

Request = dict[str, Array]
Ways = dict[str, Callable[[], Array]]


@dataclass(frozen=True)
class Made:
    """Weights of a model, and its columns by axis: of text, and of numbers."""

    module: tf.Module
    words: dict[str, list[str]]
    numbers: dict[str, list[str]]


def made_model(folder: Path, *, seed: int = 0) -> Made:
    """Write a model similar to the ranker."""
    dataset, rng = load_dataset(SHOP), np.random.default_rng(seed)
    module = tf.Module()
    columns = input_columns(dataset)
    words = [column for column in columns if column.dtype == "string"]
    numbers = [column for column in columns if column.dtype == "float32"]
    on = {axis: [column.name for column in words if column.axis == axis] for axis in ("request", "history", "candidate")}
    counted = {axis: [column.name for column in numbers if column.axis == axis] for axis in on}

    def weights(*shape: int) -> tf.Variable:
        return tf.Variable(rng.normal(0, 0.1, shape).astype("f"))

    module.tables = {column.name: weights(BUCKETS, WIDTH) for column in words}
    module.query = weights(len(on["candidate"]) * WIDTH, len(on["history"]) * WIDTH)
    side = {axis: len(on[axis]) * WIDTH + len(counted[axis]) for axis in on}
    sizes = [side["request"] + side["candidate"] + len(on["history"]) * WIDTH, *LAYERS, 1]
    module.layers = [(weights(*pair), weights(pair[1])) for pair in pairwise(sizes)]

    def embedded(features: Features, names: list[str]) -> tf.Tensor:
        flat = [getattr(features[name], "flat_values", features[name]) for name in names]
        return tf.concat(
            [
                tf.gather(module.tables[name], tf.strings.to_hash_bucket_fast(value, BUCKETS))
                for name, value in zip(names, flat, strict=True)
            ],
            axis=-1,
        )

    def logs(features: Features, names: list[str]) -> tf.Tensor:
        flat = [getattr(features[name], "flat_values", features[name]) for name in names]
        return tf.stack([tf.math.log1p(tf.abs(tf.where(tf.math.is_nan(value), 0.0, value))) for value in flat], axis=-1)

    def score(features: Features, splits: tf.Tensor) -> dict[str, tf.Tensor]:
        owner = tf.ragged.row_splits_to_segment_ids(splits)  # (candidates,): the request of each
        items = embedded(features, on["candidate"])  # (candidates, item width)
        past = features[on["history"][0]].with_values(embedded(features, on["history"])).to_tensor()  # (requests, events, event width)
        fit = tf.einsum("ce,che->ch", items @ module.query, tf.gather(past, owner))
        interest = tf.einsum("ch,che->ce", tf.nn.softmax(fit), tf.gather(past, owner))
        shopper = tf.concat([embedded(features, on["request"]), logs(features, counted["request"])], axis=-1)
        hidden = tf.concat([tf.gather(shopper, owner), items, logs(features, counted["candidate"]), interest], axis=-1)
        for kernel, bias in module.layers[:-1]:
            hidden = tf.nn.relu(hidden @ kernel + bias)
        kernel, bias = module.layers[-1]
        return {SCORES: tf.sigmoid(hidden @ kernel + bias)[:, 0]}

    signatures.save(module, score, str(folder), dataset=dataset)
    return Made(module, on, counted)


def request(signature: meta_graph_pb2.SignatureDef, *, candidates: int, events: int, seed: int = 1) -> Request:
    """Generate a request for the signature: random words and numbers, for this number of candidates and events."""
    rng = np.random.default_rng(seed)
    made = {}
    for name, info in signature.inputs.items():
        if name in ("n_candidates", "n_history"):
            made[name] = np.array([candidates if name == "n_candidates" else events])
            continue
        length = events if name.startswith("history_") else candidates
        shape = [1, *(dim.size if dim.size > 0 else length for dim in info.tensor_shape.dim[1:])]
        kind = tf.as_dtype(info.dtype)
        if kind == tf.string:
            made[name] = np.array([f"word{word}".encode() for word in rng.integers(0, 10_000, int(np.prod(shape)))], object).reshape(shape)
        else:
            made[name] = rng.integers(1, 100, shape).astype(kind.as_numpy_dtype)
    return made


@contextmanager
def serving(base: Path, *options: str) -> Iterator[tuple[str, int]]:
    """Run a model server in a process of its own; yields its address and the process's id."""
    with closing(socket.create_server(("127.0.0.1", 0))) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "serving.model_server", f"--port={port}", f"--model_base_path={base}", *options]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            grpc.channel_ready_future(channel).result(timeout=120)
        yield f"127.0.0.1:{port}", process.pid
    finally:
        process.terminate()
        process.wait()


@contextmanager
def served(base: Path) -> Iterator[str]:
    """Run a model server in a process of its own; yields its address."""
    with serving(base) as (address, _):
        yield address


def ways(folder: Path, tensors: Request, channel: grpc.Channel) -> Ways:
    """Return by name a call that scores the request."""
    loaded = tf.saved_model.load(str(folder))  # owns the variables: held by `direct`
    eager = loaded.signatures["serving_default"]
    model = LoadedModel(folder)
    signature = model.signatures["serving_default"]
    stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)

    def direct(_owner: Any = loaded) -> Array:
        scores: Array = eager(**{name: tf.constant(value) for name, value in tensors.items()})[SCORES].numpy()
        return scores

    def session() -> Array:
        feeds = {signature.inputs[name].name: value for name, value in tensors.items()}
        return model.run(feeds, [signature.outputs[SCORES].name], deadline=0)[0]

    def server() -> Array:
        message = predict_pb2.PredictRequest(output_filter=[SCORES])
        message.model_spec.name = "default"
        for name, value in tensors.items():
            fill_proto(message.inputs[name], value, as_content=True)
        return to_array(stub.Predict(message, timeout=60).outputs[SCORES])

    return {"direct": direct, "session": session, "server": server}


def milliseconds(calls: Ways, *, rounds: int, clients: int) -> dict[str, Array]:
    """Measure the ms of each call [rounds * clients], by name; they alternate in blocks of 20 calls of each client."""
    milliseconds_by_way: dict[str, list[float]] = {name: [] for name in calls}

    def block(call: Callable[[], Array]) -> list[float]:
        times = []
        for _ in range(20):
            start = time.perf_counter()
            call()
            times.append((time.perf_counter() - start) * 1e3)
        return times

    with ThreadPoolExecutor(clients) as pool:
        for turn in range(-2, rounds // 20):  # the first two warm up
            for name, call in calls.items():
                for times in pool.map(block, [call] * clients):
                    milliseconds_by_way[name] += times if turn >= 0 else []
    return {name: np.array(times) for name, times in milliseconds_by_way.items()}


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--candidates", type=int, default=200)
    parser.add_argument("--events", type=int, default=20, help="of the history")
    parser.add_argument("--calls", type=int, default=500, help="of each way by each client")
    parser.add_argument("--clients", type=int, default=1)
    parser.add_argument("--model", type=Path, help="folder of a SavedModel of ours; made when not given")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        base = Path(scratch)
        if args.model:
            (base / "1").symlink_to(args.model.resolve())
        else:
            made_model(base / "1")
        meta = LoadedModel(base / "1")
        tensors = request(meta.signatures["serving_default"], candidates=args.candidates, events=args.events)
        meta.close()
        with served(base) as address, grpc.insecure_channel(address) as channel:
            calls = ways(base / "1", tensors, channel)
            answers = {name: call() for name, call in calls.items()}
            milliseconds_by_way = milliseconds(calls, rounds=args.calls, clients=args.clients)
    apart = max(float(np.abs(answer - answers["direct"]).max()) for answer in answers.values())
    size = sum(value.nbytes if not value.dtype.hasobject else sum(map(len, value.flat)) for value in tensors.values())
    console = Console()
    console.print(
        f"{args.candidates} candidates, {args.events} events, {len(tensors)} inputs, {size / 1024:.0f} KiB, {args.clients} client(s), "
        f"{args.calls} calls each; scores differ by {apart:.1e} at most"
    )
    table = Table("way", "p50 ms", "p99 ms", "p50 / direct", "calls/s a client")
    for name, times in milliseconds_by_way.items():
        half, most = np.percentile(times, [50, 99])
        ratio = half / np.percentile(milliseconds_by_way["direct"], 50)
        table.add_row(name, f"{half:.2f}", f"{most:.2f}", f"{ratio:.2f}", f"{1e3 / times.mean():.0f}")
    console.print(table)


if __name__ == "__main__":
    main()
