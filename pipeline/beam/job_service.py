"""Run a Beam job service and a worker pool on this machine, for preset `portable`, without Java.

Each is a process of its own. It is Beam's own in-process runner behind the interface that Flink, Spark and others are
reached by: steps are pickled, sent to the job service, and run by a worker process that shares nothing with the one
that submits but the file system. For tests and rehearsals: it works on one block at a time.
"""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from components.contract.errors import RunError
from pipeline.beam.preset_options import Portable
from pipeline.beam.worker_pool import ALL_STEPS

_ROOT = Path(__file__).parents[2]
_START_S, _STOP_S = 120.0, 20.0


@contextmanager
def beam_service(folder: Path, modules: Sequence[str] = ALL_STEPS) -> Iterator[Portable]:
    """Start both, yield the settings to connect to them, and stop them with all their workers.

    Args:
        folder: for their logs (`job-service.log`, `worker-pool.log`: workers write there too) and what jobs are made
            of.
        modules: that workers have imported when they start.

    Raises:
        RunError: one of them doesn't start.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (port,) = free_ports(1)
    command = [sys.executable, "-m", "apache_beam.runners.portability.local_job_service_main"]
    command += [f"--port={port}", f"--staging_dir={folder / 'staging'}"]
    with running(command, log=folder / "job-service.log", port=port), worker_pool(folder, modules) as pool:
        yield Portable(image="none", job_endpoint=f"localhost:{port}", pool=pool)


@contextmanager
def worker_pool(folder: Path, modules: Sequence[str] = ALL_STEPS) -> Iterator[str]:
    """Start the worker pool, yield its host:port, and stop it with all its workers; arguments as of `beam_service`."""
    (port,) = free_ports(1)
    code = os.pathsep.join([str(_ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    command = [sys.executable, "-m", "pipeline.beam.worker_pool", f"--port={port}", "--import", *modules]
    with running(command, log=folder / "worker-pool.log", port=port, env={"PYTHONPATH": code}):
        yield f"localhost:{port}"


@contextmanager
def running(command: Sequence[str], *, log: Path, port: int, env: Mapping[str, str] | None = None) -> Iterator[subprocess.Popen[bytes]]:
    """Run a server in a process group of its own until the block ends; the block begins when it listens.

    Args:
        command: that starts it.
        log: the file for its output.
        port: of this machine, where it listens.
        env: variables to set beside those of this process.

    Raises:
        RunError: it doesn't listen.
    """
    with log.open("ab") as target:
        process = subprocess.Popen(command, env=os.environ | (env or {}), stdout=target, stderr=target, start_new_session=True)
    try:
        _await_port(process, port, log=log)
        yield process
    finally:
        process.send_signal(signal.SIGINT)  # A worker pool then ends its workers; after a SIGTERM they would go on.
        with suppress(subprocess.TimeoutExpired):
            process.wait(_STOP_S)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _await_port(process: subprocess.Popen[bytes], port: int, *, log: Path) -> None:
    until = time.monotonic() + _START_S
    while time.monotonic() < until and process.poll() is None:
        with socket.socket() as probe:
            probe.settimeout(1)
            if probe.connect_ex(("localhost", port)) == 0:
                return
        time.sleep(0.1)
    raise RunError(f"{log.stem} doesn't listen at port {port}; see {log}")


def free_ports(count: int) -> list[int]:
    """Return ports of this machine that nothing listens at now."""
    sockets = [socket.create_server(("localhost", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports
