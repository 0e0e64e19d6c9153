"""A real Prometheus reads all metrics there are; every query of dashboards and rules finds what it asks for."""

import http.client
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
import yaml

from components.release.manifest import Manifest
from components.release.publish import publish
from pipeline.cli.main import main
from serving.model_server.config import ServerConfig
from serving.model_server.server import ModelServer
from tests.kubernetes.monitoring.growing_stream import growing_stream
from tests.serving.exposure.shop_log import SHOP
from tests.serving.guard.stream import GOOD, stream, write
from tests.serving.service.conftest import Shop, service_of
from tests.serving.service.little_shop import ITEMS, write_model, write_shop
from tests.serving.service.running import Service, running

pytestmark = pytest.mark.slow
MONITORING = Path(__file__).resolve().parents[3] / "kubernetes" / "monitoring"
RULES = yaml.safe_load((MONITORING / "plain" / "rules.yaml").read_text())
MODELS = """
model_config_list {{ config {{
  name: "shop" base_path: "{base}" model_platform: "tensorflow" model_version_policy {{ all {{}} }}
  version_labels {{ key: "stable" value: 2 }} version_labels {{ key: "canary" value: 1 }}
}} }}
"""
EXPERIMENTS = """
salt: watched
layers:
  - name: ranker
    experiments:
      - name: trial
        traffic: 100%
        arms: [{name: control, share: 50%}, {name: canary, share: 50%, model: canary}]
"""
# What a variable of a dashboard stands for here.
VARIABLES = {
    "__rate_interval": "20s",
    "__range": "1m",
    "window": "1m",
    "action": "click",
    "control": "control",
    "by": "version",
    "amount": "revenue",
}
# Metrics that say nothing here, and why.
EMPTY_METRICS = {
    "shelfrank:scores:increase1d": "the day before the last hour isn't there",
    "shelfrank:scores:share1d": "the day before the last hour isn't there",
    "shelfrank:scores:psi1h": "it takes 1,000 orders and the day before",
}
# Labels that every target has.
OF_TARGETS = {"job", "instance", "namespace", "pod", "__name__"}
NAME = re.compile(r"(?<![\w:])(?:shelfrank[_:][\w:]+|:tensorflow:[\w:]+|up(?=\{))")


def queries() -> Iterator[tuple[str, str]]:
    """Where each query stands, and the query."""
    for file in sorted((MONITORING / "dashboards").glob("*.json")):
        told = json.loads(file.read_text())
        for panel in told["panels"]:
            for target in panel.get("targets", ()):
                yield f"{file.stem}: {panel['title']} {target['refId']}", target["expr"]
        for variable in told["templating"]["list"]:
            if variable["type"] == "query" and (found := re.fullmatch(r"label_values\((.+), (\w+)\)", variable["definition"])):
                yield f"{file.stem}: ${variable['name']}", f"count by ({found[2]}) ({found[1]})"
        for annotation in told["annotations"]["list"]:
            yield f"{file.stem}: {annotation['name']}", annotation["expr"]
    for group in RULES["groups"]:
        for rule in group["rules"]:
            yield rule.get("record") or rule["alert"], rule["expr"]


QUERIES = dict(queries())
CONDITIONS = {rule["alert"] for group in RULES["groups"] for rule in group["rules"] if "alert" in rule} | {"releases: Guard"}


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
        return port


class Prometheus:
    def __init__(self, port: int) -> None:
        self.port = port

    def get(self, path: str, **given: str) -> Any:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            connection.request("GET", f"/api/v1/{path}?{urlencode(given)}")
            answer = json.loads(connection.getresponse().read())
        finally:
            connection.close()
        assert answer["status"] == "success", (given, answer)
        return answer["data"]

    def ask(self, query: str) -> list[Any]:
        for name, value in VARIABLES.items():
            query = query.replace(f"${name}", value)
        found: list[Any] = self.get("query", query=re.sub(r"\$\w+", ".*", query))["result"]
        return found


def traffic(service: Service) -> None:
    for number in range(12):
        shopper = f"s{number}"
        answer = service.rank(*ITEMS, shopper=shopper, places=3)
        click = {"action": "click", "item": answer["order"][0], "shopper": shopper, "request": answer["request"]}
        assert service.post("/v1/events", {"interactions": [click]}).status == 200


@contextmanager
def guarding(base: Path) -> Iterator[int]:
    """A guard in a process of its own, amid a trial: the port of its metrics."""
    (base / "shop.yaml").write_text(SHOP)
    for version in (1, 2):
        model = base / "made" / str(version)
        model.mkdir(parents=True)
        (model / "saved_model.pb").write_text(f"model {version}")
        publish(model, base / "releases", Manifest(time.time_ns() // 1000, "shop", "", {}, {}, (), ("x",), "c"))
    for version, label in ((1, "stable"), (2, "canary")):
        assert main(["releases", "promote", str(version), "--label", label, "--root", str(base)]) == 0
    os.utime(base / "releases" / "labels.json", (1_700_000_000, 1_700_000_000))
    (base / "log").mkdir()
    write(base / "log", stream(GOOD, requests=600, seed=1))
    port = free_port()
    places = {
        "dataset": "shop.yaml",
        "releases": "releases",
        "log": "log",
        "metrics-port": port,
        "click-s": 60,
        "every": 1,
        "min-requests": 10_000,
    }
    command = [sys.executable, "-m", "pipeline.cli", "guard", *(f"--{name}={place}" for name, place in places.items())]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(map(os.path.abspath, sys.path))}
    process = subprocess.Popen(command, cwd=base, env=environment)
    try:
        yield port
    finally:
        process.kill()
        process.wait()


@contextmanager
def scraping(base: Path, targets: dict[str, list[int]]) -> Iterator[Prometheus]:
    """Prometheus by the plain configuration, its pods named here in place of discovered, and in a hurry."""
    config = yaml.safe_load((MONITORING / "plain" / "prometheus.yaml").read_text())
    config["global"] = {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"}
    (job,) = config["scrape_configs"]
    del job["kubernetes_sd_configs"]
    meta = "__meta_kubernetes_"
    job["static_configs"] = [
        {
            "targets": [f"127.0.0.1:{port}"],
            "labels": {
                f"{meta}pod_label_app_kubernetes_io_name": name,
                f"{meta}pod_container_port_name": "metrics" if name in ("guard", "stream") else "rest",
                f"{meta}namespace": "shelfrank",
                f"{meta}pod_name": f"{name}-{number}",
            },
        }
        for name, ports in targets.items()
        for number, port in enumerate(ports)
    ]
    rules = {"groups": [{key: value for key, value in group.items() if key != "interval"} for group in RULES["groups"]]}
    base.mkdir()
    (base / "prometheus.yaml").write_text(yaml.safe_dump(config))
    (base / "rules.yaml").write_text(yaml.safe_dump(rules))
    port = free_port()
    command = [
        "prometheus",
        f"--config.file={base / 'prometheus.yaml'}",
        f"--storage.tsdb.path={base / 'tsdb'}",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    process = subprocess.Popen(command, cwd=base, stderr=subprocess.DEVNULL)
    try:
        prometheus, until = Prometheus(port), time.monotonic() + 60
        while time.monotonic() < until:
            try:
                if len(prometheus.ask("up == 1")) == sum(map(len, targets.values())):
                    break
            except (OSError, ValueError, http.client.HTTPException):  # it answers nothing, or that it begins
                pass
            assert process.poll() is None, "Prometheus has ended"
            time.sleep(0.2)
        yield prometheus
    finally:
        process.terminate()
        process.wait()


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """After some seconds of traffic; a second service, whose model server is gone, degrades each order."""
    if shutil.which("prometheus") is None:
        pytest.skip("no prometheus here (Debian's package has it): nothing can be scraped")
    base = tmp_path_factory.mktemp("watched")
    dataset, state = write_shop(base)
    write_model(base / "models" / "1", weight=-1.0, explains=False)
    write_model(base / "models" / "2", weight=1.0)
    (base / "models.config").write_text(MODELS.format(base=base / "models"))
    (base / "monitoring.config").write_text('prometheus_config { enable: true, path: "/monitoring/prometheus/metrics" }')
    (base / "experiments.yaml").write_text(EXPERIMENTS)
    config = ServerConfig(
        model_config_file=base / "models.config", labels_for_unavailable=True, monitoring_file=base / "monitoring.config", batching=True
    )
    with ExitStack() as stack:
        server = stack.enter_context(ModelServer(config))
        shop = Shop(dataset, state, base / "models", f"127.0.0.1:{server.grpc_port}")
        places = {"experiments": base / "experiments.yaml", "log": base / "log"}
        well = stack.enter_context(running(service_of(shop, places, shadow="canary", shadow_share=1.0, deadline_ms=60_000)))
        ill = stack.enter_context(
            running(service_of(shop, {**places, "model_server": "127.0.0.1:1", "log": base / "log2"}, deadline_ms=500))
        )
        (base / "trial").mkdir()
        guard = stack.enter_context(guarding(base / "trial"))
        traffic(well)  # a version's first run takes seconds
        assert server.rest_port is not None
        consumer = stack.enter_context(growing_stream())
        targets = {"ranking": [well.port, ill.port], "model-server": [server.rest_port], "guard": [guard], "stream": [consumer]}
        made = stack.enter_context(scraping(base / "prometheus", targets))
        until = time.monotonic() + 90
        while time.monotonic() < until:  # increases take several scrapes, and the rules their turns
            traffic(well)
            for _ in range(2):
                ill.rank(*ITEMS)
            if made.ask("count(shelfrank_guard_evidence)") and made.ask("count_over_time(shelfrank:scores:share1h[1m]) > 5"):
                break
            time.sleep(0.5)
        yield made


def exported(prometheus: Prometheus) -> dict[str, set[str]]:
    """Metric to its labels."""
    found: dict[str, set[str]] = {}
    for series in prometheus.get("series", **{"match[]": '{__name__=~".+"}'}):
        found.setdefault(series["__name__"], set()).update(series)
    return found


def test_every_metric_and_label_of_a_query_is_exported(prometheus: Prometheus) -> None:
    there, complaints = exported(prometheus), []
    for where, query in QUERIES.items():
        labels = set(OF_TARGETS)
        for name in set(NAME.findall(query)) - EMPTY_METRICS.keys():
            if name not in there:
                complaints.append(f"{where}: no metric {name}")
                continue
            labels |= there[name]
            for selector in re.findall(rf"(?<![\w:]){re.escape(name)}\{{(.*?)\}}", query):
                asked = set(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", re.sub(r'"[^"]*"', '""', selector)))
                complaints += [f"{where}: {name} has no label {label}" for label in asked - there[name] - OF_TARGETS]
        if set(NAME.findall(query)) & EMPTY_METRICS.keys():
            continue
        for listed in re.findall(r"\b(?:by|on|ignoring|without|group_left) \(([^)]*)\)", query):
            complaints += [f"{where}: no label {each}" for each in re.split(r",\s*", listed) if each and each not in labels | {"le"}]
    assert complaints == []


def test_every_query_returns_something_or_asks_for_what_cannot_be_there(prometheus: Prometheus) -> None:
    empty = {where for where, query in QUERIES.items() if where not in CONDITIONS and not prometheus.ask(query)}
    expected = {where for where, query in QUERIES.items() if set(NAME.findall(query)) & EMPTY_METRICS.keys()} - CONDITIONS
    expected |= EMPTY_METRICS.keys() & QUERIES.keys()
    assert empty == expected


def test_every_condition_can_be_evaluated_and_the_broken_service_is_found(prometheus: Prometheus) -> None:
    met = {where for where in CONDITIONS if prometheus.ask(QUERIES[where])}
    assert {"ShelfRankModelFailing", "ShelfRankOrdersDegraded"} <= met
    assert not met & {
        "ShelfRankTargetDown",
        "ShelfRankRankingGone",
        "ShelfRankModelServerGone",
        "ShelfRankStateFailing",
        "ShelfRankNoNewRelease",
    }


def test_rates_have_their_bounds_about_them(prometheus: Prometheus) -> None:
    rate, low, high = (
        {
            each["metric"]["arm"]: float(each["value"][1])
            for each in prometheus.ask(QUERIES[f"experiments: Click rate by arm, with bounds {ref}"])
        }
        for ref in "ABC"
    )
    assert set(rate) == {"control", "canary"}
    assert all(0 < low[arm] < rate[arm] < high[arm] for arm in rate)


def test_live_figures_are_rates_of_final_requests_and_of_open_ones(prometheus: Prometheus) -> None:
    final = prometheus.ask(QUERIES["figures: Success rate, with bounds A"])
    so_far = prometheus.ask(QUERIES["figures: Success rate so far A"])
    amount = prometheus.ask(QUERIES["figures: Amount per request A"])
    for found in (final, so_far):
        rates = {each["metric"]["value"]: float(each["value"][1]) for each in found}
        # Requests 0, 3, 6 and so on are bought from, the others clicked: of the even ones 6 of 10, of the odd ones 7.
        assert rates == pytest.approx({"7": 0.6, "8": 0.7}, abs=0.02)
    # Purchases alone have an amount: of the even ones 4 of 10, of the odd ones 3, at 2 each.
    assert {each["metric"]["value"]: float(each["value"][1]) for each in amount} == pytest.approx({"7": 0.8, "8": 0.6}, abs=0.05)
