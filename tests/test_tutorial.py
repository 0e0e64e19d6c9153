"""Every command of docs/tutorial.md, run one after the other in an empty folder: from a CSV file to a ranked shelf."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]
TUTORIAL = (ROOT / "docs" / "tutorial.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^```sh\n(.*?)```", TUTORIAL, re.MULTILINE | re.DOTALL)
SERVED_WITHIN_S = 120


def free_ports(count: int) -> list[int]:
    held = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [server.getsockname()[1] for server in held]
    for server in held:
        server.close()
    return ports


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_from_a_csv_file_to_a_ranked_shelf(tmp_path: Path) -> None:
    """On other ports than the tutorial's, which may be taken; an order that missed its deadline on a busy machine is asked for again."""
    (script,) = re.findall(r"^```python\n(.*?)```", TUTORIAL, re.MULTILINE | re.DOTALL)
    (tmp_path / "make_logs.py").write_text(script, encoding="utf-8")
    port, grpc_port, rest_port = free_ports(3)
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}

    def typed(command: str) -> str:
        shell = ["bash", "-euo", "pipefail", "-c", command.replace(":8080", f":{port}")]
        ran = subprocess.run(shell, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
        assert ran.returncode == 0, f"{command}{ran.stdout}{ran.stderr}"
        return ran.stdout

    *before, serve, rank, click, rank_again = COMMANDS
    assert serve == "shelfrank serve\n"
    assert "Released as version 1" in "".join(typed(command) for command in before)
    arguments = ["shelfrank", "serve", f"--port={port}", f"--grpc-port={grpc_port}", f"--rest-port={rest_port}"]
    server = subprocess.Popen(arguments, cwd=tmp_path, env=environment, stdout=subprocess.DEVNULL)
    try:
        _wait_for(port, server)
        first = _undegraded(lambda: typed(rank))
        assert json.loads(typed(click)) == {"accepted": 2}
        then = _undegraded(lambda: typed(rank_again))
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(60)
    assert first["order"].index("p000") > then["order"].index("p000") == 0
    assert first["rung"] == then["rung"] == "model"


def _undegraded(ask: Callable[[], str]) -> dict[str, Any]:
    for _ in range(50):
        answer: dict[str, Any] = json.loads(ask())
        if not answer["degraded"]:
            return answer
    raise TimeoutError(f"no order within its deadline: {answer}")


def _wait_for(port: int, server: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + SERVED_WITHIN_S
    while time.monotonic() < until:
        assert server.poll() is None, "shelfrank serve has ended"
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.5)
        else:
            return
    raise TimeoutError(f"nothing listens at {port}")
