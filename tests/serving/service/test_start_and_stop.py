"""The service as a process: what it imports and weighs, how it starts, and how it stops."""

import http.client
import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

from tests.serving.service.bad_model_servers import free_port
from tests.serving.service.conftest import Shop
from tests.serving.service.load import terminated_under_clicks

ROOT = Path(__file__).resolve().parents[3]
# Frameworks, and a compiler: it is to start in a second or two, and small.
HEAVY = ("tensorflow", "tfx", "apache_beam", "polars", "keras", "tf_keras", "numba", "llvmlite", "scipy", "pandas")
IMPORTED = f"""
import sys
import serving.service.__main__, serving.state.redis
print(sorted({{name.split(".")[0] for name in sys.modules}} & set({HEAVY})))
"""


def test_no_heavy_framework_is_imported() -> None:
    assert subprocess.run([sys.executable, "-c", IMPORTED], cwd=ROOT, check=True, capture_output=True, text=True).stdout.strip() == "[]"


def resident_mb(process: "subprocess.Popen[bytes]") -> float:
    (line,) = (line for line in Path(f"/proc/{process.pid}/status").read_text().splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) / 1000


def command(shop: Shop, port: int, *more: str) -> list[str]:
    line = [sys.executable, "-m", "serving.service", str(shop.dataset), "--state", str(shop.state), "--model-server", shop.address]
    return [*line, "--model", "shop", "--label", "stable", "--deadline-ms", "2000", "--port", str(port), *more]


def asked(port: int, method: str, path: str, body: bytes | None = None) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        connection.request(method, path, body, {"content-type": "application/json"})
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def ready(port: int, process: "subprocess.Popen[bytes]") -> None:
    until = time.monotonic() + 60
    while True:
        try:
            assert asked(port, "GET", "/health/ready")[0] == 200
            return
        except OSError:
            assert process.poll() is None
            assert time.monotonic() < until
            time.sleep(0.05)


def test_on_sigterm_what_was_acknowledged_is_in_complete_files_and_in_the_snapshot(shop: Shop, tmp_path: Path) -> None:
    port, acknowledged, ended = free_port(), [], threading.Event()
    process = subprocess.Popen(command(shop, port, "--log", str(tmp_path / "log"), "--snapshot", str(tmp_path / "snapshot")), cwd=ROOT)
    try:
        ready(port, process)
        began = time.perf_counter()
        status, first = asked(port, "POST", "/v1/rank", b'{"candidates": ["p0", "p1"], "shopper": "a"}')
        assert (status, json.loads(first)["rung"]) == (200, "model")
        assert time.perf_counter() - began < 1  # nothing is compiled any more
        assert resident_mb(process) < 350

        def click(shopper: str) -> None:
            number = 0
            while not ended.is_set():
                event = {"action": "click", "item": "p0", "shopper": shopper, "request": f"{shopper}{number}"}
                try:
                    status, _ = asked(port, "POST", "/v1/events", json.dumps({"interactions": [event]}).encode())
                except (OSError, http.client.HTTPException):
                    return
                if status == 200:
                    acknowledged.append(event["request"])
                number += 1

        terminated_under_clicks(process, click, acknowledged, ended)
    finally:
        process.kill()
    rows = [json.loads(line) for path in (tmp_path / "log").glob("interactions-*.jsonl") for line in path.read_text().splitlines()]
    assert {row["request"] for row in rows} >= set(acknowledged)
    assert not list((tmp_path / "log").glob("*.open"))
    assert (tmp_path / "snapshot" / "users").is_dir()


def test_what_is_wrong_with_the_files_is_said_at_the_start(shop: Shop, tmp_path: Path) -> None:
    wrong = subprocess.run(
        command(shop, free_port(), "--rules", str(tmp_path / "none.yaml")), cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert wrong.returncode == 2
    assert wrong.stderr.startswith("the service can't start:")
    assert "none.yaml: expected a rules file" in wrong.stderr
    assert "Traceback" not in wrong.stderr


def test_a_salt_that_is_no_hexadecimal_number_is_refused(shop: Shop) -> None:
    environment = {**os.environ, "SHELFRANK_LOG_SALT": "xyz"}
    wrong = subprocess.run(command(shop, free_port()), cwd=ROOT, capture_output=True, text=True, timeout=60, env=environment)
    assert wrong.returncode == 2
    assert "Traceback" not in wrong.stderr
