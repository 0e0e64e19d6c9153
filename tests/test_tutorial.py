"""Every command of docs/tutorial.md, run one after the other in an empty folder: from a CSV file to a ranked shelf."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

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
    """The ports are other ones, so that the tutorial's own may be taken."""
    (script,) = re.findall(r"^```python\n(.*?)```", TUTORIAL, re.MULTILINE | re.DOTALL)
    (tmp_path / "make_logs.py").write_text(script, encoding="utf-8")
    port, grpc_port, rest_port = free_ports(3)
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = os.environ | {"PATH": path, "PYTHONPATH": str(ROOT)}
    printed: list[str] = []
    serving: subprocess.Popen[bytes] | None = None
    try:
        for command in COMMANDS:
            if command == "shelfrank serve\n":
                arguments = ["shelfrank", "serve", f"--port={port}", f"--grpc-port={grpc_port}", f"--rest-port={rest_port}"]
                serving = subprocess.Popen(arguments, cwd=tmp_path, env=environment, stdout=subprocess.DEVNULL)
                _wait_for(port, serving)
                continue
            ran = subprocess.run(
                ["bash", "-euo", "pipefail", "-c", command.replace(":8080", f":{port}")],
                cwd=tmp_path, env=environment, capture_output=True, text=True, check=False,
            )  # fmt: skip
            assert ran.returncode == 0, f"{command}{ran.stdout}{ran.stderr}"
            printed.append(ran.stdout)
    finally:
        if serving is not None:
            serving.send_signal(signal.SIGTERM)
            serving.wait(60)
    assert "Released as version 1" in "".join(printed)
    before, after = json.loads(printed[-2]), json.loads(printed[-1].partition("}")[2])
    assert before["rung"] == after["rung"] == "model"
    assert after["order"].index("p003") < len(after["order"]) - 1
    assert before["scores"] != after["scores"]


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
