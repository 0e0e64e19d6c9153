"""Measure the share of responses in time while the model isn't: over REST and gRPC, on idle and on loaded cores.

    python -m benchmarks.serving.deadlines [--deadlines 20 50 100 200 500 1000] [--calls 100] [--clients 2] [--candidates 200]

The service runs in a process of its own over a catalogue of 20,000 products, with the log. Over REST the deadline is
the service's (`--deadline-ms`), over gRPC the caller's, with the service's at 5 s. The client measures, from before it
writes the request to the last byte of the response; a gRPC call that ends with DEADLINE_EXCEEDED isn't in time. The
model is

- `hung`: it doesn't respond;
- `slow`: it takes from half of the deadline to one and a half;
- `gone`: no server listens.

A hung or slow model responds to each fourth call at once: otherwise the circuit breaker would open, and no request
would wait. The full load is a busy process for each core.
"""

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import grpc
import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.serving.model_server import SHOP
from benchmarks.serving.service import free_port, made_shop
from components.contract.load import load_dataset
from serving.client.messages import PREDICT, PredictResponse
from serving.client.tensors import write
from serving.service import messages

MODELS = ("hung", "slow", "gone")
WELL = "well"
OWN_MS = 5_000.0  # the service's deadline where the caller's is the shorter
WARM_UP = 20
Asked = Callable[[], Awaitable[bool]]


@dataclass
class Model:
    """Model server that waits instead of computing."""

    candidates: int
    state: str = WELL
    deadline_s: float = 0.0
    calls: int = 0
    random: np.random.Generator = field(default_factory=lambda: np.random.default_rng(1))

    async def predict(self, _: bytes, __: grpc.aio.ServicerContext) -> bytes:
        """Respond with scores, after the delay."""
        self.calls += 1
        if self.state != WELL and self.calls % 4:
            await asyncio.sleep(3_600.0 if self.state == "hung" else self.deadline_s * self.random.uniform(0.5, 1.5))
        response = PredictResponse()
        write(response.outputs.add(key="scores").value, np.zeros((1, self.candidates), np.float32))
        answer: bytes = response.SerializeToString()
        return answer

    @asynccontextmanager
    async def served(self) -> AsyncIterator[str]:
        """Serve while the block runs; yields the address."""
        server = grpc.aio.server()
        service, _, method = PREDICT.strip("/").partition("/")
        handler = grpc.unary_unary_rpc_method_handler(self.predict)
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, {method: handler}),))
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        try:
            yield f"127.0.0.1:{port}"
        finally:
            await server.stop(0)


@dataclass(frozen=True)
class Service:
    """Ports of a running service."""

    rest: int
    grpc: int


@asynccontextmanager
async def serviced(state: Path, model_server: str, deadline_ms: float) -> AsyncIterator[Service]:
    """Run a service in a process of its own."""
    made = Service(free_port(), free_port())
    line = [sys.executable, "-m", "serving.service", str(SHOP), "--state", str(state), "--model-server", model_server, "--model", "default"]
    line += ["--log", str(state / "log"), "--deadline-ms", str(deadline_ms), "--port", str(made.rest), "--grpc-port", str(made.grpc)]
    process = await asyncio.create_subprocess_exec(*line, stderr=subprocess.DEVNULL)
    try:
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", made.rest)
                writer.close()
                break
            except ConnectionRefusedError:
                if process.returncode is not None:
                    raise SystemExit("the service can't start") from None
                await asyncio.sleep(0.05)
        yield made
    finally:
        process.terminate()
        await process.wait()


@asynccontextmanager
async def by_rest(service: Service, candidates: list[str], deadline_s: float) -> AsyncIterator[Asked]:
    """Create a REST client with a connection of its own."""
    body = json.dumps({"candidates": candidates, "shopper": "u000001"}).encode()
    head = f"POST /v1/rank HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n".encode()
    reader, writer = await asyncio.open_connection("127.0.0.1", service.rest)

    async def ask() -> bool:
        began = time.perf_counter()
        writer.write(head + body)
        headers = await reader.readuntil(b"\r\n\r\n")
        assert headers.startswith(b"HTTP/1.1 200 "), headers
        length = next(line for line in headers.lower().split(b"\r\n") if line.startswith(b"content-length:"))
        await reader.readexactly(int(length.split(b":")[1]))
        return time.perf_counter() - began <= deadline_s

    try:
        yield ask
    finally:
        writer.close()


@asynccontextmanager
async def by_grpc(service: Service, candidates: list[str], deadline_s: float) -> AsyncIterator[Asked]:
    """Create a gRPC client with a connection of its own."""
    body = messages.message_class("RankRequest")(candidates=candidates, shopper="u000001").SerializeToString()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{service.grpc}", options=(("grpc.use_local_subchannel_pool", 1),)) as channel:
        call = channel.unary_unary(f"/{messages.SERVICE}/Rank")

        async def ask() -> bool:
            try:
                await call(body, timeout=deadline_s)
            except grpc.aio.AioRpcError as error:
                if error.code() is not grpc.StatusCode.DEADLINE_EXCEEDED:
                    raise
                return False
            return True

        yield ask


PROTOCOLS = {"REST": by_rest, "gRPC": by_grpc}


async def share_in_time(protocol: str, service: Service, args: argparse.Namespace, deadline_s: float, calls: int) -> float:
    """Measure the share in time of `calls` by several clients at a time."""
    candidates = [f"i{row:06d}" for row in range(args.candidates)]

    async def client(times: int) -> int:
        async with PROTOCOLS[protocol](service, candidates, deadline_s) as ask:
            return sum([await ask() for _ in range(times)])

    each = -(-calls // args.clients)
    kept = await asyncio.gather(*(client(each) for _ in range(args.clients)))
    share: float = sum(kept) / (each * args.clients)
    return share


@contextmanager
def loaded(busy: bool) -> Iterator[None]:
    """Run a busy process on each core, or none."""
    line = [sys.executable, "-c", "while True: pass"]
    processes = [subprocess.Popen(line) for _ in range(os.cpu_count() or 1)] if busy else []
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


async def measured(args: argparse.Namespace, state: Path) -> dict[tuple[str, str, bool, float], float]:
    """Measure the share by protocol, model, load and deadline in ms."""
    shares = {}
    for deadline_ms in args.deadlines:
        for protocol in PROTOCOLS:
            for name in MODELS:
                model = Model(args.candidates, deadline_s=deadline_ms / 1e3)
                async with model.served() as address:
                    where = f"127.0.0.1:{free_port()}" if name == "gone" else address
                    async with serviced(state, where, deadline_ms if protocol == "REST" else OWN_MS) as service:
                        await share_in_time(protocol, service, args, 10.0, WARM_UP)
                        model.state = name
                        for busy in (False, True):
                            with loaded(busy):
                                share = await share_in_time(protocol, service, args, deadline_ms / 1e3, args.calls)
                            shares[protocol, name, busy, deadline_ms] = share
                            print(f"{protocol} {name} {deadline_ms:g} ms {'loaded' if busy else 'quiet'}: {share:.1%}", file=sys.stderr)
    return shares


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--deadlines", type=float, nargs="+", default=[20, 50, 100, 200, 500, 1_000], metavar="MS")
    parser.add_argument("--calls", type=int, default=100)
    parser.add_argument("--clients", type=int, default=2)
    parser.add_argument("--candidates", type=int, default=200)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        made_shop(load_dataset(SHOP), Path(folder))
        shares = asyncio.run(measured(args, Path(folder)))
    table = Table("door", "model", "cores", *(f"{deadline:g} ms" for deadline in args.deadlines), title="% of orders in time")
    for protocol, name, busy in dict.fromkeys(key[:3] for key in shares):
        cells = [f"{shares[protocol, name, busy, deadline] * 100:.1f}" for deadline in args.deadlines]
        table.add_row(protocol, name, "full load" if busy else "quiet", *cells)
    Console(width=140).print(table)


if __name__ == "__main__":
    main()
