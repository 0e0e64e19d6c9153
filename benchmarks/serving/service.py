"""Compare a request of the ranking service with a direct call of the same model: the overhead of service and state.

    python -m benchmarks.serving [--candidates 200 1000] [--clients 1 8] [--calls 500] [--reuse-ms 1000]

- `onnx`: ONNX Runtime on the same weights, from the embedding rows on (benchmarks/serving/onnx_core.py), for reference.
- `direct`: the SavedModel's `serving_default`, called eagerly in this process on the request's tensors, which are
  ready.
- `model server`: the same call over gRPC to `python -m serving.model_server` in a process of its own, from arrays to
  scores.
- `service`: `POST /v1/rank` to `python -m serving.service` in a process of its own, from the request's JSON to the
  response's: state, features, the call of that model server, rules, log. With `--reuse-ms` the same request is
  repeated.

The calls alternate. The model is the one of benchmarks.serving.model_server over examples/simulated_shop.yaml, with
random weights; the shop is a generated catalogue of 20,000 products and shoppers with full histories.
"""

import argparse
import http.client
import json
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from threading import local
from typing import Any

import grpc
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from benchmarks.serving.model_server import SHOP, Made, Ways, made_model, milliseconds, served, ways
from benchmarks.serving.onnx_core import onnx_call
from components.contract.dataset import Dataset
from components.contract.features import Number
from components.contract.load import load_dataset
from serving.features.build_tensors import RequestFeatures
from serving.features.catalogue import load_catalogue
from serving.features.events import Changes, Interaction
from serving.features.request import Request
from serving.state import snapshot
from serving.state.interface import plans_of
from serving.state.memory import MemoryStates

ITEMS, SHOPPERS, CLICKS = 20_000, 200, 40
START_US = 1_770_000_000_000_000


def made_shop(dataset: Dataset, base: Path) -> None:
    """Write a state of random products and shoppers with clicks."""
    rng = np.random.default_rng(0)
    (base / "catalogue").mkdir(parents=True)
    for table, key, rows in (("items", "item", ITEMS), ("users", "user", SHOPPERS)):
        columns: dict[str, Any] = {key: pa.array([f"{key[0]}{row:06d}" for row in range(rows)], pa.large_string())}
        for feature in dataset.input_features(table):
            if feature.name != key:
                numeric = isinstance(feature, Number)
                values = rng.uniform(1, 100, rows) if numeric else [f"word{word}" for word in rng.integers(0, 50, rows)]
                columns[feature.name] = pa.array(values, pa.float32() if numeric else pa.large_string())
        pq.write_table(pa.table(columns), base / "catalogue" / f"{table}.parquet")
    catalogue = load_catalogue(base, dataset)
    states, changes = MemoryStates(plans_of(dataset), catalogue.codes), Changes(dataset, catalogue)
    for number in range(SHOPPERS * CLICKS):
        item = catalogue.items.ids[int(rng.integers(ITEMS))]
        click = Interaction(shopper=f"u{number % SHOPPERS:06d}", action="click", time_us=START_US + number, item=item)
        change = changes.from_event(click, now_us=START_US * 2)
        assert change is not None
        states.record(change)
    snapshot.save(states.snapshot(), base / "saved")
    for path in (base / "saved").iterdir():
        path.rename(base / path.name)


@contextmanager
def serviced(state: Path, model_server: str, *, reuse_ms: float = 0.0) -> Iterator[tuple[int, float, float]]:
    """Run a service in a process of its own; yields its port, the seconds until ready, and its resident MB then."""
    port = free_port()
    command = [sys.executable, "-m", "serving.service", str(SHOP), "--state", str(state), "--model-server", model_server]
    command += [
        "--model",
        "default",
        "--log",
        str(state / "log"),
        "--deadline-ms",
        "1000",
        "--port",
        str(port),
        "--reuse-ms",
        str(reuse_ms),
    ]
    began = time.perf_counter()
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        while True:
            try:
                connection = http.client.HTTPConnection("127.0.0.1", port)
                connection.request("GET", "/health/ready")
                assert connection.getresponse().status == 200
                break
            except ConnectionRefusedError:
                time.sleep(0.01)
        ready_s = time.perf_counter() - began
        (line,) = (line for line in Path(f"/proc/{process.pid}/status").read_text().splitlines() if line.startswith("VmRSS"))
        yield port, ready_s, int(line.split()[1]) / 1000
    finally:
        process.terminate()
        process.wait()


def free_port() -> int:
    """Find an unused port."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
        return port


def with_service(calls: Ways, port: int, request: Request) -> Ways:
    """Add a call through the service to the calls; each client has a connection of its own."""
    body = json.dumps({"candidates": list(request.candidates), "shopper": request.shopper, "context": dict(request.context)}).encode()
    per_thread = local()

    def service() -> Any:
        if not hasattr(per_thread, "connection"):
            per_thread.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        per_thread.connection.request("POST", "/v1/rank", body, {"content-type": "application/json"})
        answer = json.loads(per_thread.connection.getresponse().read())
        assert answer["rung"] == "model", answer
        at = dict(zip(answer["order"], answer["scores"], strict=True))
        return np.array([[at[item] for item in request.candidates]])

    return {"direct": calls["direct"], "model server": calls["server"], "service": service}


def measured(folder: Path, made: Made, channel: grpc.Channel, port: int, request: Request, tensors: Mapping[str, Any]) -> Ways:
    """Return the calls for one request."""
    calls = with_service(ways(folder, dict(tensors), channel), port, request)
    return {"onnx": onnx_call(made, dict(tensors))} | calls


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--candidates", type=int, nargs="+", default=[200, 1000])
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 8])
    parser.add_argument("--calls", type=int, default=500, help="of each way, shared by the clients")
    parser.add_argument("--reuse-ms", type=float, default=0.0, help="of the service")
    args = parser.parse_args()
    dataset, console, rng = load_dataset(SHOP), Console(width=100), np.random.default_rng(1)
    table = Table("candidates", "clients", "way", "p50 ms", "p99 ms", "p50 - direct", "items/s")
    with tempfile.TemporaryDirectory() as scratch:
        base = Path(scratch)
        made = made_model(base / "models" / "1")
        made_shop(dataset, base / "state")
        catalogue = load_catalogue(base / "state", dataset)
        plans = plans_of(dataset)
        states = MemoryStates(plans, catalogue.codes, snapshot.load(base / "state", plans, catalogue.codes))
        features, apart = RequestFeatures(dataset, catalogue, states), 0.0
        with ExitStack() as stack:
            address = stack.enter_context(served(base / "models"))
            channel = stack.enter_context(grpc.insecure_channel(address))
            port, ready_s, resident_mb = stack.enter_context(serviced(base / "state", address, reuse_ms=args.reuse_ms))
            for candidates in args.candidates:
                items = [catalogue.items.ids[at] for at in rng.choice(ITEMS, candidates, replace=False)]
                request = Request(shopper="u000007", candidates=items, time_us=time.time_ns() // 1000, context={"device": "mobile"})
                calls = measured(base / "models" / "1", made, channel, port, request, features.inputs(request).tensors)
                answers = {name: call() for name, call in calls.items()}
                # Ages have grown meanwhile: the service's scores are of later times than the others.
                apart = max(apart, *(float(np.abs(answer - answers["direct"]).max()) for answer in answers.values()))
                for clients in args.clients:
                    milliseconds_by_way = milliseconds(calls, rounds=max(20, args.calls // clients), clients=clients)
                    for row in rows(milliseconds_by_way, candidates=candidates, clients=clients):
                        table.add_row(*row)
    console.print(
        f"a history of 30 events, {args.calls} calls of each way; scores differ by {apart:.1e} at most; the service was ready after "
        f"{ready_s:.1f} s, with {resident_mb:.0f} MB"
    )
    console.print(table)


def rows(milliseconds_by_way: Mapping[str, NDArray[np.float64]], *, candidates: int, clients: int) -> Iterator[tuple[str, ...]]:
    """Yield the table's rows of one list length and number of clients."""
    direct = np.percentile(milliseconds_by_way["direct"], 50)
    for name, times in milliseconds_by_way.items():
        half, most = np.percentile(times, [50, 99])
        rate = clients * candidates * 1e3 / times.mean()
        yield str(candidates), str(clients), name, f"{half:.2f}", f"{most:.2f}", f"{half - direct:+.2f}", f"{rate:,.0f}"


if __name__ == "__main__":
    main()
