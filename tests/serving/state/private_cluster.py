"""A Redis Cluster of one's own: three masters on free ports of loopback, made by `redis-cli --cluster create`."""

import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
import redis

from tests.serving.state.private_redis import answering

MASTERS = 3


def free_ports(count: int) -> list[int]:
    """Ports whose cluster bus, 10,000 above, has a number too."""
    with ExitStack() as stack:
        probes: list[socket.socket] = []
        while len(probes) < count:
            probe = stack.enter_context(socket.socket())
            probe.bind(("127.0.0.1", 0))
            if probe.getsockname()[1] < 50_000:
                probes.append(probe)
        return [probe.getsockname()[1] for probe in probes]


def node(folder: Path, port: int, *more: str) -> "subprocess.Popen[bytes]":
    """A node of a cluster, which keeps what it holds, and what it knows of the others, in a folder of its own."""
    folder.mkdir()
    command = ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder)]
    command += ["--cluster-enabled", "yes", "--cluster-config-file", f"nodes-{port}.conf", "--cluster-node-timeout", "2000", *more]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


@contextmanager
def private_cluster(*more: str) -> Iterator[list[int]]:
    """The ports of a cluster that ends with the block; `more` are arguments of each server."""
    if shutil.which("redis-server") is None or shutil.which("redis-cli") is None:
        pytest.skip("no redis-server here: apt-get install redis-server")
    ports = free_ports(MASTERS)
    with tempfile.TemporaryDirectory() as base:
        processes = [node(Path(base) / str(port), port, *more) for port in ports]
        try:
            for port, process in zip(ports, processes, strict=True):
                with redis.Redis(port=port) as client:
                    answering(client, process)
            made = ["redis-cli", "--cluster", "create", *(f"127.0.0.1:{port}" for port in ports), "--cluster-yes"]
            subprocess.run(made, check=True, capture_output=True, timeout=60)
            for port in ports:
                with redis.Redis(port=port) as client:
                    until = time.monotonic() + 30
                    while client.execute_command("CLUSTER INFO")["cluster_state"] != "ok":
                        assert time.monotonic() < until, "the cluster doesn't form"
                        time.sleep(0.05)
            yield ports
        finally:
            for process in processes:
                process.terminate()
            for process in processes:
                process.wait(timeout=30)
