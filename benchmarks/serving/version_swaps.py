"""Measure a model server under load while versions are swapped: failed requests, tail latency, and memory.

    python -m benchmarks.serving.version_swaps [--minutes 10] [--swaps 20] [--clients 2] [--candidates 200] [--model FOLDER]

`python -m serving.model_server` serves the newest version of a folder, as TensorFlow Serving does: in a swap a new
version's folder appears, is loaded and warmed up beside the old version, becomes available, and the old one is
unloaded. The clients send requests without pause, over gRPC, and all scores are compared with the first response's.
Without --model (a release's folder) the model is that of benchmarks.serving.model_server.

Memory is the server's resident size between swaps, with one version loaded; growth counts from after the first swap,
when both versions have been loaded at once.
"""

import argparse
import shutil
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import grpc
import numpy as np
from rich.console import Console
from rich.table import Table
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

from benchmarks.serving.model_server import SCORES, Request, made_model, request, serving
from serving.model_server.inference.saved_model import LoadedModel
from serving.model_server.inference.tensors import fill_proto, to_array

AROUND_S = 3.0  # a swap lasts from the folder's appearance until this long after the new version's first response


@dataclass
class Seen:
    """Observations of a client: each response's time, latency in ms and version; and the errors."""

    at_s: list[float] = field(default_factory=list)
    took_ms: list[float] = field(default_factory=list)
    version: list[int] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)


def ask(address: str, tensors: Request, over: threading.Event, seen: Seen) -> None:
    """Send requests until the event is set."""
    message = predict_pb2.PredictRequest(output_filter=[SCORES])
    message.model_spec.name = "default"
    for name, value in tensors.items():
        fill_proto(message.inputs[name], value, as_content=True)
    expected = None
    with grpc.insecure_channel(address) as channel:
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        while not over.is_set():
            began = time.perf_counter()
            try:
                answer = stub.Predict(message, timeout=30)
            except grpc.RpcError as error:
                seen.failed.append(str(error))
                continue
            ended = time.perf_counter()
            scores = to_array(answer.outputs[SCORES])
            expected = scores if expected is None else expected
            if not np.allclose(scores, expected, atol=1e-6):
                seen.failed.append(f"version {answer.model_spec.version.value} has other scores")
            seen.at_s.append(ended)
            seen.took_ms.append((ended - began) * 1e3)
            seen.version.append(answer.model_spec.version.value)


def resident_mb(process: int) -> float:
    """Read a process's resident memory in MB."""
    (line,) = (line for line in Path(f"/proc/{process}/status").read_text().splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) / 1000


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--swaps", type=int, default=20)
    parser.add_argument("--clients", type=int, default=2)
    parser.add_argument("--candidates", type=int, default=200)
    parser.add_argument("--model", type=Path, help="folder of a SavedModel of ours; made when not given")
    args = parser.parse_args()
    console, pause_s = Console(width=100), args.minutes * 60 / (args.swaps + 1)
    with tempfile.TemporaryDirectory() as scratch:
        source, base = args.model or Path(scratch) / "source", Path(scratch) / "models"
        if not args.model:
            made_model(source)
        base.mkdir()
        shutil.copytree(source, base / "1")
        meta = LoadedModel(source)
        tensors = request(meta.signatures["serving_default"], candidates=args.candidates, events=20)
        meta.close()
        seen, over, memory, swaps = [Seen() for _ in range(args.clients)], threading.Event(), list[float](), list[tuple[float, float]]()
        with serving(base, "--file_system_poll_wait_seconds=1") as (address, process):
            clients = [threading.Thread(target=ask, args=(address, tensors, over, each)) for each in seen]
            for client in clients:
                client.start()
            try:
                for version in range(2, args.swaps + 2):
                    time.sleep(pause_s)
                    memory.append(resident_mb(process))
                    console.print(f"version {version - 1}: {memory[-1]:.0f} MB, {sum(len(each.at_s) for each in seen):,} answers")
                    began = time.perf_counter()
                    shutil.copytree(source, base / f"new{version}")
                    (base / f"new{version}").rename(base / str(version))
                    while max(each.version[-1] for each in seen) < version:
                        time.sleep(0.01)
                    swaps.append((began, time.perf_counter() + AROUND_S))
                    shutil.rmtree(base / str(version - 1))
                time.sleep(pause_s)
                memory.append(resident_mb(process))
            finally:
                over.set()
                for client in clients:
                    client.join()
    at_s = np.concatenate([each.at_s for each in seen])
    took_ms = np.concatenate([each.took_ms for each in seen])
    during = np.any([(at_s >= start) & (at_s <= end) for start, end in swaps], axis=0)
    table = Table("answers", "number", "p50 ms", "p99 ms", "p99.9 ms", "most ms")
    for name, selected in (("between swaps", ~during), ("during swaps", during)):
        table.add_row(name, f"{selected.sum():,}", *(f"{each:.1f}" for each in np.percentile(took_ms[selected], [50, 99, 99.9, 100])))
    console.print(table)
    failed = [sentence for each in seen for sentence in each.failed]
    console.print(f"{len(failed)} failed{f', such as: {failed[0]}' if failed else ''}; {args.swaps} swaps in {args.minutes:g} minutes")
    console.print(
        f"memory: {memory[1]:.0f} MB after the first swap, {memory[-1]:.0f} MB after the last ({memory[-1] / memory[1] - 1:+.1%})"
    )


if __name__ == "__main__":
    main()
