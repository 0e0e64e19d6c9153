"""The circle closed: what the service was told and logged trains the next model, as well as the shop's own log does."""

import json
import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from components.contract.load import load_dataset
from serving.exposure.dataset_section import log_sources
from tests.pipeline.shop import shop_without_model
from tests.pipeline.test_whole_run import LAX, free_ports, shelfrank
from tests.serving.features.simulated import CONTEXT, Shop, moments

pytestmark = pytest.mark.slow
AT_A_TIME = 500


@contextmanager
def served(root: str, *, cwd: Path) -> Iterator[str]:
    """The release of a run, by `shelfrank serve`; gives the service's address."""
    ports = free_ports(3)
    options = [f"--{name}={port}" for name, port in zip(("port", "grpc-port", "rest-port"), ports, strict=True)]
    command = [sys.executable, "-m", "pipeline.cli", "serve", "--root", root, *options]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(map(os.path.abspath, sys.path))}
    process = subprocess.Popen(command, cwd=cwd, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert process.stdout is not None
    try:
        assert any(line.startswith("Ctrl-C") for line in process.stdout)
        yield f"http://127.0.0.1:{ports[0]}"
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)


def bodies(shop: Shop) -> Iterator[dict[str, list[dict[str, Any]]]]:
    """The shop's log as bodies of `events`."""
    for asked, happened in moments(shop):
        contexts = {request.request: dict(request.context) for request in asked}
        impressions, interactions = [], []
        for event in happened:
            common = {"shopper": event.shopper, "request": event.request, "session": event.session, "time_us": event.time_us}
            if hasattr(event, "items"):
                impressions.append(common | {"items": list(event.items), "context": contexts[event.request]})
            else:
                interactions.append(common | {"action": event.action, "item": event.item})
        yield {"impressions": impressions, "interactions": interactions}


def send(address: str, shop: Shop) -> int:
    """All of the log, in order of time; how many events were accepted."""
    accepted = 0
    waiting: dict[str, list[dict[str, Any]]] = {"impressions": [], "interactions": []}

    def flush() -> int:
        body = json.dumps(waiting).encode()
        request = urllib.request.Request(f"{address}/v1/events", body, {"content-type": "application/json"})
        with urllib.request.urlopen(request, timeout=60) as answer:
            counts: dict[str, int] = json.load(answer)
        for each in waiting.values():
            each.clear()
        return counts["accepted"]

    for body in bodies(shop):
        for name, events in body.items():
            waiting[name] += events
        if sum(map(len, waiting.values())) >= AT_A_TIME:
            accepted += flush()
    return accepted + flush()


def test_a_model_trained_from_the_services_log_is_the_one_trained_from_the_shops(tmp_path: Path) -> None:
    assert shelfrank("simulate", "--out", "shop", "--events", 5_000, cwd=tmp_path).returncode == 0
    (tmp_path / "first.yaml").write_text(shop_without_model() + LAX)
    ended = shelfrank("run", "first.yaml", "--data", "shop", "--root", "first", "--json", cwd=tmp_path)
    assert ended.returncode == 0, ended.stderr
    first = json.loads(ended.stdout)
    dataset = load_dataset(tmp_path / "first.yaml")
    with served("first", cwd=tmp_path) as address:
        accepted = send(address, Shop(dataset, tmp_path / "shop", tmp_path, {}))
    assert accepted > 400
    assert set(CONTEXT) == {"device", "page", "query"}

    (tmp_path / "first" / "serving" / "exposures").rename(tmp_path / "shop" / "log")
    # The page reported what it showed, so impressions stand among the interactions; those that the service knows itself there are none.
    sources = [source for source in log_sources(dataset, "log") if list((tmp_path / "shop").glob(source["path"]))]
    text = yaml.safe_load(shop_without_model() + LAX) | {"events": sources}
    (tmp_path / "second.yaml").write_text(yaml.safe_dump(text, sort_keys=False))
    ended = shelfrank("run", "second.yaml", "--data", "shop", "--root", "second", "--json", cwd=tmp_path)
    assert ended.returncode == 0, ended.stderr
    second = json.loads(ended.stdout)
    assert second["release"] == 1
    counts = [{name: n for name, n in run["ingestion"]["counts"].items() if name != "files read"} for run in (first, second)]
    assert counts[0] == counts[1]
    assert counts[0]["examples: train requests"] > 100
    assert first["slices"] == second["slices"]
