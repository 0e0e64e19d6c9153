"""The commands of the rendered manifests as processes of this machine: folders and ports are other ones, and the embedded model server
stands for TensorFlow Serving; all else is as it is rendered."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from components.release.manifest import Manifest
from components.release.publish import publish
from pipeline.cli.main import main
from tests.kubernetes.rendered import ROOT, Doc, command, config, pod, rendered
from tests.serving.service.little_shop import ITEMS, write_model, write_shop

pytestmark = pytest.mark.slow
TOKEN = "0123456789abcdef"
# Waits are shorter here, and the first answers of a busy machine slower.
HURRY = {
    "--every=5": "--every=0.5",
    "--every=10": "--every=0.5",
    "--settle=60": "--settle=4",
    "--model_config_file_poll_wait_seconds=10": "--model_config_file_poll_wait_seconds=1",
    "--deadline-ms=100": "--deadline-ms=60000",
}
PROGRAMS = {
    "python": [sys.executable],
    "shelfrank": [sys.executable, "-m", "pipeline.cli.main"],
    "tensorflow_model_server": [sys.executable, "-m", "serving.model_server"],
}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@dataclass
class Node:
    """A folder that stands for the volume and for what pods have of their own, and ports for theirs."""

    base: Path
    docs: list[Doc]
    ports: dict[str, int] = field(
        default_factory=lambda: {number: free_port() for number in ("8500", "8501", "8080", "8081", "6379", "9100")}
    )

    def mapped(self, word: str, name: str) -> str:
        word = HURRY.get(word, word).replace("simulated_shop", "little").replace("0.0.0.0", "127.0.0.1").replace("POD_NAME", f"{name}-0")
        word = re.sub(r"^((?:--[\w-]+=)?)redis://redis:", r"\1redis://127.0.0.1:", word).replace(
            "dns:///model-server:", "dns:///127.0.0.1:"
        )
        word = re.sub(r"(?<!\d)(8500|8501|8080|8081|6379|9100)(?!\d)", lambda found: str(self.ports[found[1]]), word)
        own = self.base / name
        return re.sub(
            r"(^|=)/(shelfrank|served|etc/model-server|data)(?=/|$)", lambda found: f"{found[1]}{self.folder(found[2], own)}", word
        )

    def folder(self, mount: str, own: Path) -> Path:
        return self.base / "volume" if mount == "shelfrank" else own / mount

    def container(self, name: str, container: str) -> Doc:
        return pod(self.docs, name).container(container)

    def words(self, name: str, container: str) -> list[str]:
        first, *rest = command(self.docs, self.container(name, container))
        return [*PROGRAMS.get(first, [first]), *(self.mapped(word, name) for word in rest)]

    @contextmanager
    def running(self, name: str, container: str) -> Iterator["subprocess.Popen[bytes]"]:
        own = self.base / name
        for mount in ("served", "data", "etc/model-server"):
            (own / mount).mkdir(parents=True, exist_ok=True)
        for file, content in config(self.docs, "model-server").items():
            (own / "etc/model-server" / file).write_text(content)
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "SHELFRANK_TOKEN": TOKEN, "SHELFRANK_LOG_SALT": "ab" * 16}
        log = (self.base / f"{name}-{container}.log").open("ab")
        with log, subprocess.Popen(self.words(name, container), env=environment, stdout=log, stderr=log, cwd=own) as process:
            try:
                yield process
            finally:
                process.kill()

    def ends(self, name: str, container: str) -> None:
        """An init container that is to end by itself."""
        with self.running(name, container) as process:
            assert process.wait(120) == 0, self.said(name, container)

    def said(self, name: str, container: str) -> str:
        return (self.base / f"{name}-{container}.log").read_text(errors="replace")[-2000:]

    def probed(self, name: str, container: str, probe: str) -> bool:
        """A probe as the manifest has it."""
        asked = self.container(name, container)[probe]
        numbers = {port["name"]: self.ports[str(port["containerPort"])] for port in self.container(name, container)["ports"]}
        try:
            if "httpGet" in asked:
                address = (
                    f"http://127.0.0.1:{numbers[asked['httpGet']['port']]}{asked['httpGet']['path'].replace('simulated_shop', 'little')}"
                )
                with urllib.request.urlopen(address, timeout=5):
                    return True
            with socket.create_connection(("127.0.0.1", numbers[asked["tcpSocket"]["port"]]), timeout=5):
                return True
        except (OSError, urllib.error.URLError):
            return False

    def call(self, route: str, body: Any, token: str = "") -> tuple[int, Any]:
        headers = {"content-type": "application/json"} | ({"authorization": f"Bearer {token}"} if token else {})
        request = urllib.request.Request(f"http://127.0.0.1:{self.ports['8080']}{route}", json.dumps(body).encode(), headers)
        try:
            with urllib.request.urlopen(request, timeout=90) as answer:
                return answer.status, json.loads(answer.read())
        except urllib.error.HTTPError as error:
            return error.code, None


def wait_until(what: Callable[[], bool], *, seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "it didn't come about in time"
        time.sleep(0.2)


def release(node: Node, version: int, **made: Any) -> None:
    """What a run of the pipeline leaves in the store, without a label."""
    made_here, store = node.base / "made" / str(version), node.base / "volume"
    write_model(made_here, **made)
    publish(made_here, store / "releases", Manifest(version, "little", "", {}, {}, (), ("x",), "c"))
    shop = node.base / "made" / f"shop-{version}"
    shop.mkdir()
    dataset, state = write_shop(shop)
    (store / "serving" / str(version)).mkdir(parents=True)
    shutil.copytree(state, store / "serving" / str(version) / "state")
    shutil.copy(dataset, store / "serving" / str(version) / "dataset.yaml")


def promote(node: Node, version: int, label: str) -> None:
    assert main(["releases", "promote", str(version), "--label", label, "--releases", str(node.base / "volume" / "releases")]) == 0


@pytest.mark.parametrize("folder", ["overlays/local", "overlays/gpu"])
def test_a_shelf_is_ranked_by_what_the_manifests_start(folder: str, tmp_path: Path) -> None:
    if shutil.which("redis-server") is None:
        pytest.skip("no redis-server here: apt-get install redis-server")
    node = Node(tmp_path, rendered(folder))
    (tmp_path / "volume").mkdir()
    with ExitStack() as stack:
        with node.running("model-server", "first-release") as waiting:
            wait_until(lambda: "no release yet" in node.said("model-server", "first-release"))
            assert waiting.poll() is None, "a pod without a release waits; it doesn't fail"
            release(node, 1, weight=1.0)
            promote(node, 1, "stable")
            assert waiting.wait(120) == 0
        for name, container in (("ranking", "state"), ("guard", "state"), ("guard", "logs")):
            node.ends(name, container)
        started = {}
        for name, container in (
            ("redis", "redis"),
            ("model-server", "model-server"),
            ("model-server", "mirror"),
            ("ranking", "ranking"),
            ("guard", "guard"),
        ):
            started[name, container] = stack.enter_context(node.running(name, container))
        for name in ("model-server", "ranking", "guard"):
            for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
                wait_until(lambda name=name, probe=probe: node.probed(name, name, probe))
        asked = {"shopper": "a", "candidates": ITEMS, "places": 3}
        wait_until(lambda: node.call("/v1/rank", asked)[1]["rung"] == "model")
        status, answer = node.call("/v1/rank", asked)
        assert (status, answer["version"], answer["label"], answer["order"]) == (200, 1, "stable", ITEMS[::-1])
        click = {"interactions": [{"action": "click", "item": ITEMS[0], "shopper": "a", "request": answer["request"]}]}
        assert node.call("/v1/events", click)[0] == 401
        assert node.call("/v1/events", click, TOKEN)[0] == 200
        logged = tmp_path / "volume" / "exposures" / "ranking-0"
        assert list(logged.glob("interactions-*"))
        # Another release: the files alone move, and the server follows.
        release(node, 2, weight=-1.0)
        promote(node, 2, "stable")
        wait_until(lambda: node.call("/v1/rank", asked)[1]["version"] == 2)
        page = f"http://127.0.0.1:{node.ports['8501']}/monitoring/prometheus/metrics"
        with urllib.request.urlopen(page, timeout=5) as metrics:
            assert b":tensorflow:serving:request_count" in metrics.read()
        for (name, container), process in started.items():
            assert process.poll() is None, node.said(name, container)
        for name, container in (("ranking", "ranking"), ("guard", "guard"), ("model-server", "mirror"), ("redis", "redis")):
            started[name, container].send_signal(signal.SIGTERM)
            assert started[name, container].wait(60) == 0, node.said(name, container)
        assert not list(logged.glob("*.open")), "the log is completed"
