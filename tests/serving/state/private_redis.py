"""A Redis of one's own: Debian's server on a free port of loopback, which nothing is saved of."""

import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import redis


@contextmanager
def private_redis() -> Iterator[redis.Redis]:
    """A client of a server that ends with the block; the test is skipped where no `redis-server` is installed."""
    server = shutil.which("redis-server")
    if server is None:
        pytest.skip("no redis-server here: apt-get install redis-server")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        command = [server, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", folder]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            with redis.Redis(port=port) as client:
                yield answering(client, process)
        finally:
            process.terminate()
            process.wait(timeout=30)


def answering(client: redis.Redis, process: "subprocess.Popen[bytes]") -> redis.Redis:
    """The client, once its server answers."""
    until = time.monotonic() + 30
    while True:
        try:
            client.ping()
            return client
        except redis.ConnectionError:
            assert process.poll() is None, "redis-server ended at once"
            assert time.monotonic() < until, "redis-server doesn't answer"
            time.sleep(0.02)
