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
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from components.contract.errors import RunError
from pipeline.beam.preset_options import Portable

_ROOT = Path(__file__).parents[2]
_START_S, _STOP_S = 120.0, 20.0


@contextmanager
def beam_service(folder: Path) -> Iterator[Portable]:
    """Start both, yield the settings to connect to them, and stop them with all their workers.

    Args:
        folder: for their logs (`job-service.log`, `worker-pool.log`: workers write there too) and what jobs are made
            of.

    Raises:
        RunError: one of them doesn't start.
    """
    folder.mkdir(parents=True, exist_ok=True)
    job_port, pool_port = _free_ports(2)
    staging = folder / "staging"
    service = ("local_job_service_main", f"--port={job_port}", f"--staging_dir={staging}")
    with (
        _running("runners.portability", *service, log=folder / "job-service.log", port=job_port),
        _running("runners.worker", "worker_pool_main", f"--service_port={pool_port}", log=folder / "worker-pool.log", port=pool_port),
    ):
        yield Portable(image="none", job_endpoint=f"localhost:{job_port}", pool=f"localhost:{pool_port}")


@contextmanager
def _running(package: str, module: str, *arguments: str, log: Path, port: int) -> Iterator[None]:
    # The pool starts its workers as `python`, and the workers import this code.
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    code = os.pathsep.join([str(_ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    with log.open("ab") as target:
        process = subprocess.Popen(
            [sys.executable, "-m", f"apache_beam.{package}.{module}", *arguments],
            env=os.environ | {"PATH": path, "PYTHONPATH": code},
            stdout=target,
            stderr=target,
            start_new_session=True,
        )
    try:
        _await_port(process, port, what=module, log=log)
        yield
    finally:
        process.send_signal(signal.SIGINT)  # The pool then ends its workers; after a SIGTERM they would go on.
        with suppress(subprocess.TimeoutExpired):
            process.wait(_STOP_S)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _await_port(process: subprocess.Popen[bytes], port: int, *, what: str, log: Path) -> None:
    until = time.monotonic() + _START_S
    while time.monotonic() < until and process.poll() is None:
        with socket.socket() as probe:
            probe.settimeout(1)
            if probe.connect_ex(("localhost", port)) == 0:
                return
        time.sleep(0.1)
    raise RunError(f"Beam's {what} doesn't listen at port {port}; see {log}")


def _free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("localhost", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports
