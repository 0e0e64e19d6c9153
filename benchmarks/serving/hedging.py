"""Measure tail latency with a second replica: the model's client with two servers, each of which stalls occasionally.

    python -m benchmarks.serving.hedging [--calls 3000] [--stalls 0.02] [--stall-ms 100]

The servers respond after some milliseconds (log-normal, p50 3 ms) and stall in a share of the calls, independently: as
by a pause of the garbage collector, another process's load, a version being warmed up. They wait instead of computing,
so the client is measured.
"""

import argparse
import asyncio
import time
from collections.abc import Sequence

import grpc
import numpy as np
from rich.console import Console
from rich.table import Table

from serving.client.hedging import HedgeSettings
from serving.client.messages import PREDICT, PredictResponse
from serving.client.model import ModelClient
from serving.client.tensors import Array, write

TENSORS = {"price": np.zeros((1, 200), np.float32)}
PAUSE_S = 0.002  # between calls


async def server(seed: int, *, stalls: float, stall_s: float) -> tuple[grpc.aio.Server, str]:
    """Run a server; returns it and its address."""
    rng, response = np.random.default_rng(seed), PredictResponse()
    write(response.outputs.add(key="scores").value, np.zeros((1, 200), np.float32))
    answer: bytes = response.SerializeToString()

    async def predict(_: bytes, __: grpc.aio.ServicerContext) -> bytes:
        await asyncio.sleep(stall_s if rng.random() < stalls else float(rng.lognormal(np.log(0.003), 0.3)))
        return answer

    running = grpc.aio.server()
    service, _, method = PREDICT.strip("/").partition("/")
    methods = {method: grpc.unary_unary_rpc_method_handler(predict)}
    running.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, methods),))
    port = running.add_insecure_port("127.0.0.1:0")
    await running.start()
    return running, f"127.0.0.1:{port}"


async def latencies(addresses: Sequence[str], *, calls: int, share: float) -> tuple[Array, float]:
    """Measure the milliseconds of each request, and the number of server calls per request."""
    client = ModelClient(addresses, "shop", hedging=HedgeSettings(share=share))
    call_ms = []
    for _ in range(calls):
        began = time.perf_counter()
        await client.predict(TENSORS, label="", timeout_s=10.0, check=lambda _: None)
        call_ms.append((time.perf_counter() - began) * 1e3)
        await asyncio.sleep(PAUSE_S)
    calls_per_request = client.counts().calls / calls
    await client.close()
    return np.array(call_ms), calls_per_request


async def measured(args: argparse.Namespace) -> Table:
    """Measure a row for each setting."""
    servers = [await server(seed, stalls=args.stalls, stall_s=args.stall_ms / 1e3) for seed in (1, 2)]
    addresses = [address for _, address in servers]
    table = Table("way", "p50 ms", "p95 ms", "p99 ms", "p99.9 ms", "calls a request")
    ways = (("one server", addresses[:1], 0.0), ("two, not hedged", addresses, 0.0), ("two, hedged", addresses, HedgeSettings().share))
    for name, replicas, share in ways:
        call_ms, calls_per_request = await latencies(replicas, calls=args.calls, share=share)
        table.add_row(name, *(f"{value:.1f}" for value in np.percentile(call_ms, [50, 95, 99, 99.9])), f"{calls_per_request:.3f}")
    for each, _ in servers:
        await each.stop(0)
    return table


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=3_000)
    parser.add_argument("--stalls", type=float, default=0.02, help="share of a server's calls")
    parser.add_argument("--stall-ms", type=float, default=100.0)
    Console().print(asyncio.run(measured(parser.parse_args())))


if __name__ == "__main__":
    main()
