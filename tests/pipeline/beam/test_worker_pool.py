"""The pool's workers end when the runner says so, and with the pool; a module that they can't import is told."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import grpc
import pytest
from apache_beam.portability.api import beam_fn_api_pb2, beam_fn_api_pb2_grpc, endpoints_pb2

from pipeline.beam.job_service import free_ports, running
from tests.pipeline.beam.whole_graph import environment

PATIENCE_S = 120.0


def ended(pid: int) -> bool:
    """Whether a process ends before long."""
    deadline = time.monotonic() + PATIENCE_S
    while Path(f"/proc/{pid}").exists():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


@pytest.mark.parametrize("number", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.slow)])
def test_a_worker_ends_when_it_is_stopped_and_with_the_pool(number: signal.Signals, tmp_path: Path) -> None:
    (port,) = free_ports(1)
    command = [sys.executable, "-m", "pipeline.beam.worker_pool", f"--port={port}", "--import", "json"]
    log = tmp_path / "worker-pool.log"
    with (
        socket.create_server(("localhost", 0)) as runner,  # it says nothing, so workers wait for it
        running(command, log=log, port=port, env=environment()) as pool,
        grpc.insecure_channel(f"localhost:{port}") as channel,
    ):
        stub = beam_fn_api_pb2_grpc.BeamFnExternalWorkerPoolStub(channel)
        control = endpoints_pb2.ApiServiceDescriptor(url=f"localhost:{runner.getsockname()[1]}")
        for worker in ("a", "b"):
            assert not stub.StartWorker(beam_fn_api_pb2.StartWorkerRequest(worker_id=worker, control_endpoint=control)).error
        a, b = (int(pid) for pid in re.findall(r"Started worker \w as process (\d+)", log.read_text()))
        stub.StopWorker(beam_fn_api_pb2.StopWorkerRequest(worker_id="a"))
        assert ended(a)
        assert Path(f"/proc/{b}").exists()
        os.kill(pool.pid, number)
        assert ended(b)
        assert pool.wait(PATIENCE_S) == {signal.SIGINT: 0, signal.SIGTERM: 128 + signal.SIGTERM}[number]


@pytest.mark.slow
def test_a_module_that_cannot_be_imported_is_named() -> None:
    command = [sys.executable, "-m", "pipeline.beam.worker_pool", "--port=0", "--import", "json", "no_such_module"]
    done = subprocess.run(command, env=environment(), capture_output=True, text=True, check=False, timeout=PATIENCE_S)
    assert done.returncode
    assert "workers can't import all of json, no_such_module; the reason is above" in done.stderr
    assert "No module named 'no_such_module'" in done.stderr
