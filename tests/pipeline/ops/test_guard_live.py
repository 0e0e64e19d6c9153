"""The guard as it works: real model server, real service, simulated shoppers who click on what stands first, a real guard process."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from components.release.labels import read_labels
from components.release.manifest import Manifest
from components.release.publish import publish
from pipeline.cli.main import main
from serving.model_server.config import ServerConfig
from serving.model_server.server import ModelServer
from tests.serving.service.conftest import Shop, service_of
from tests.serving.service.little_shop import ITEMS, write_model, write_shop
from tests.serving.service.running import Service, running
from tests.serving.service.state.test_events_through_stream import consuming
from tests.serving.state.private_redis import private_redis

pytestmark = pytest.mark.slow
MOST = 6_000
EXPERIMENTS = """
salt: guarded
layers:
  - name: ranker
    experiments:
      - name: trial
        traffic: 100%
        arms: [{name: control, share: 50%}, {name: tried, share: 50%, model: canary}]
"""
# Looser than the defaults, so that some hundred requests decide; the scores of a model of the little shop aren't chances.
LIMITS = [
    "--click-loss",
    "0.2",
    "--error-rise",
    "0.05",
    "--slow-rise",
    "0.3",
    "--slow-ms",
    "1000",
    "--score-shift",
    "100",
    "--min-requests",
    "200",
    "--block",
    "50",
]


@dataclass(frozen=True)
class Trial:
    """A shop with stable release 1 and canary 2, on a live server behind a live service, and the guard's command line."""

    base: Path
    service: Service
    address: str
    event_log: list[str] = field(default_factory=list)

    def labels(self) -> dict[str, int]:
        labels = read_labels(self.base / "releases")
        assert labels is not None
        return labels.now

    def journal(self) -> list[dict[str, Any]]:
        file = self.base / "releases" / "guard.jsonl"
        return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []

    @contextmanager
    def guarded(self) -> Iterator["subprocess.Popen[bytes]"]:
        places = {"dataset": "shop.yaml", "releases": "releases", "log": "log", "model-server": self.address}
        command = [sys.executable, "-m", "pipeline.cli", "guard", *(f"--{name}={path}" for name, path in places.items()), *LIMITS]
        command += ["--click-s=0.5", "--late-s=0.5", "--every=0.2", *self.event_log]
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(map(os.path.abspath, sys.path))}
        process = subprocess.Popen(command, cwd=self.base, env=environment)
        try:
            yield process
            process.terminate()
            assert process.wait(30) in (0, -signal.SIGKILL)
        finally:
            process.kill()
            process.wait()

    def shopper(self, n: int, rng: np.random.Generator) -> dict[str, Any]:
        """One who asks once, and clicks on the first product the likelier the dearer it is: from 10 % to 60 %."""
        candidates = [ITEMS[at] for at in rng.permutation(len(ITEMS))]
        answer: dict[str, Any] = self.service.rank(*candidates, shopper=f"s{n}", places=6)
        first = answer["order"][0]
        if rng.random() < 0.1 * (1 + ITEMS.index(first)):
            click = {"action": "click", "item": first, "shopper": f"s{n}", "request": answer["request"]}
            assert self.service.post("/v1/events", {"interactions": [click]}).status == 200
        return answer


@contextmanager
def trial(base: Path, stable: dict[str, Any], canary: dict[str, Any], *, through_stream: bool = False) -> Iterator[Trial]:
    dataset, state = write_shop(base)
    for version, made in ((1, stable), (2, canary)):
        write_model(base / "made" / str(version), **made)
        publish(base / "made" / str(version), base / "releases", Manifest(version, "little", "", {}, {}, (), ("x",), "c"))
    for version, label in ((1, "stable"), (2, "canary")):
        assert main(["releases", "promote", str(version), "--label", label, "--root", str(base)]) == 0
    (base / "experiments.yaml").write_text(EXPERIMENTS)
    config = ServerConfig(model_config_file=base / "releases" / "model_config.txt", labels_for_unavailable=True, rest_port=None)
    with ExitStack() as stack:
        server = stack.enter_context(ModelServer(config))
        shop = Shop(dataset, state, base / "releases", f"127.0.0.1:{server.grpc_port}")
        for label in ("stable", "canary"):  # a version's first run takes seconds on a busy machine
            with running(service_of(shop, {"model": "little"}, label=label, deadline_ms=60_000)) as cold:
                cold.rank(*ITEMS)
        places = {"model": "little", "experiments": base / "experiments.yaml", "log": base / "log"}
        event_log = []
        if through_stream:
            port = stack.enter_context(private_redis()).connection_pool.connection_kwargs["port"]
            places |= {"redis": f"redis://127.0.0.1:{port}/1", "events_to": f"redis://127.0.0.1:{port}/0?stream=clicks"}
            stack.enter_context(consuming(base / "consumer", port, "--window=0.5"))
            event_log = [f"--event-log={base / 'consumer' / 'log'}"]
            (base / "consumer" / "log").mkdir(exist_ok=True)
        service = stack.enter_context(running(service_of(shop, places, previous="previous")))
        yield Trial(base, service, shop.address, event_log)


BY_PRICE, AGAINST_IT = {"weight": 1e3}, {"weight": -1e3}  # so great that the clicks, which the models count too, change no order
BROKEN = {"weight": 1.0, "scores": [float("nan")]}


@pytest.mark.parametrize(
    ("stable", "canary", "decision", "why"),
    [
        pytest.param(BY_PRICE, AGAINST_IT, "roll back", "requests clicked", id="ranks worse"),
        pytest.param(BY_PRICE, BROKEN, "roll back", "requests failed", id="answers rubbish"),
        pytest.param(AGAINST_IT, BY_PRICE, "promote", "", id="ranks better"),
    ],
)
def test_a_canary_is_judged_by_what_shoppers_do(
    tmp_path: Path, stable: dict[str, Any], canary: dict[str, Any], decision: str, why: str
) -> None:
    rng = np.random.default_rng(1)
    with trial(tmp_path, stable, canary) as live, live.guarded():
        asked, began = 0, time.monotonic()
        while not live.journal() and asked < MOST:
            answer = live.shopper(asked, rng)
            asked += 1
            if canary is not BROKEN:
                assert (answer["degraded"], answer["rung"]) == (False, "model")
        (entry,) = live.journal()
        print(f"{decision} after {entry['requests']} requests, {time.monotonic() - began:.0f} s: {entry['reason']}")
        assert (entry["decision"], entry["done"]) == (decision, True)
        assert why in entry["reason"]
        kept = 2 if decision == "promote" else 1
        assert (live.labels()["stable"], live.labels()["canary"]) == (kept, kept)
        if canary is BROKEN:
            time.sleep(2.0)  # the service doesn't ask a label for a second that has kept failing
        after = [live.shopper(asked + n, rng) for n in range(40)]
    assert {(answer["rung"], answer["version"], answer["degraded"]) for answer in after} == {("model", kept, False)}
    assert {answer["label"] for answer in after} == {"stable", "canary"}


def test_a_canary_is_judged_by_clicks_that_go_through_a_stream(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    with trial(tmp_path, BY_PRICE, AGAINST_IT, through_stream=True) as live, live.guarded():
        asked = 0
        while not live.journal() and asked < MOST:
            live.shopper(asked, rng)
            asked += 1
        (entry,) = live.journal()
        assert not list((tmp_path / "log").glob("interactions-*"))
    assert (entry["decision"], entry["done"]) == ("roll back", True)
    assert "requests clicked" in entry["reason"]


def test_a_guard_that_is_killed_goes_on_where_it_was(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    with trial(tmp_path, BY_PRICE, AGAINST_IT) as live:
        asked, kills = 0, 0
        while not live.journal() and asked < MOST:
            with live.guarded() as guard:
                for _ in range(150 if kills < 3 else MOST):
                    live.shopper(asked, rng)
                    asked += 1
                    if live.journal():
                        break
                if kills < 3:
                    guard.kill()
                    guard.wait()
                    kills += 1
        (entry,) = live.journal()
    assert kills == 3
    assert entry["decision"] == "roll back"
    assert sum(entry["requests"].values()) <= asked
