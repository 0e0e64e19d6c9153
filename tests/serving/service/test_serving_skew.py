"""The real service, its log, and real ingestion of that log: the features sent are those computed, but for one that is fed otherwise."""

import json
import os
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import apache_beam as beam
import numpy as np
import pytest
import yaml
from apache_beam.options.pipeline_options import PipelineOptions

from components.contract.load import parse_dataset
from components.contract.storage.store_layout import MANIFEST
from components.drift.sketch.examples import sketch_examples
from components.drift.sketch.sketch_file import FILE, write_sketch
from components.ingest.requests.splits import SPLITS
from components.ingest.sources.files import layout
from components.ingest.steps import ingest
from pipeline.cli.main import main
from serving.exposure.dataset_section import log_sources
from tests.components.ingest.generators.plain_shop import as_csv, write
from tests.components.ingest.without_beam import job_of
from tests.serving.service.bad_model_servers import free_port
from tests.serving.service.conftest import Shop
from tests.serving.service.little_shop import BRANDS, ITEMS, PRICES, SHOP
from tests.serving.service.test_start_and_stop import ROOT, asked, command, ready

pytestmark = pytest.mark.slow

REQUESTS, SHOPPERS, SEEN = 120, 12, 4
STALE = ITEMS.index("p2")  # its price is another in the shop's table than the service has


@pytest.fixture(scope="module")
def work(shop: Shop, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The log of a service that was asked and saw clicks, beside the shop's tables."""
    work = tmp_path_factory.mktemp("served")
    port = free_port()
    log = ("--log", str(work / "log"), "--logged-features", "1")
    process = subprocess.Popen(command(shop, port, *log), cwd=ROOT, env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)})
    try:
        ready(port, process)
        rng = np.random.default_rng(0)
        for n in range(REQUESTS):
            _visit(port, rng, n)
        process.terminate()
        assert process.wait(timeout=60) == 0
    finally:
        process.kill()
        process.wait(timeout=60)
    assert not list((work / "log").glob("*.open"))
    write(work, "users.csv", as_csv([{"id": "a", "country": "DE"}, {"id": "b", "country": "FR"}]))
    tags = ["new|sale", "", "sale", "", "", "new"]
    for name, prices in (("items", PRICES), ("items_of_today", [99.5 if i == STALE else price for i, price in enumerate(PRICES)])):
        rows = zip(ITEMS, BRANDS, tags, prices, strict=True)
        write(work, f"{name}.csv", as_csv([{"id": i, "brand": brand, "tags": tag, "price": price} for i, brand, tag, price in rows]))
    return work


def _visit(port: int, rng: np.random.Generator, n: int) -> None:
    """Ask for an order, and click in half of the cases on one of the candidates that were seen."""
    shopper = "ab"[n % 2] if n % 3 == 0 else f"u{rng.integers(SHOPPERS)}"
    candidates = rng.permutation(ITEMS).tolist()
    body: dict[str, Any] = {
        "candidates": candidates,
        "shopper": shopper,
        "request": f"r{n}",
        "session": f"s{shopper}",
        "places": SEEN,
        "context": {"device": "mobile" if rng.random() < 0.7 else "desktop", "taste": rng.normal(size=2).round(3).tolist()},
        "shown": {
            "shown_price": [None if rng.random() < 0.2 else float(rng.integers(1, 90)) for _ in candidates],
            "look": rng.normal(size=(len(candidates), 2)).tolist(),
            "badges": rng.choice(["hot", "hot|rare", ""], len(candidates)).tolist(),
        },
    }
    status, answer = asked(port, "POST", "/v1/rank", json.dumps(body).encode())
    assert status == 200, answer
    if n % 2:
        item = json.loads(answer)["order"][int(rng.integers(SEEN))]
        click = {"action": "click", "item": item, "shopper": shopper, "request": f"r{n}", "session": f"s{shopper}"}
        assert asked(port, "POST", "/v1/events", json.dumps({"interactions": [click]}).encode())[0] == 200


def ingested(work: Path, items: str, tmp_path: Path) -> Path:
    """A folder with the dataset file that reads the log, the examples that Beam's ingestion makes of it, and a release of those."""
    until = (datetime.now(UTC) + timedelta(days=1)).date().isoformat()
    file = yaml.safe_load(SHOP) | {
        "events": log_sources(parse_dataset(SHOP), "log"),
        "items": {"path": f"{items}.csv", "id": "id"},
        "attribution": "1s",
        "windows": {"until": until},
    }
    text = yaml.safe_dump(file, sort_keys=False)
    (tmp_path / "shop.yaml").write_text(text)
    dataset, job = parse_dataset(text), job_of(text, work, tmp_path)
    options = PipelineOptions(["--runner=FnApiRunner", "--direct_running_mode=in_memory", "--direct_num_workers=1"])
    with beam.Pipeline(options=options) as root:
        ingest(root, job, layout(dataset, str(work)).blocks)
    release = tmp_path / "releases" / "1"
    write_sketch(sketch_examples(job.examples, SPLITS, dataset), release / FILE)
    (release / MANIFEST).write_text("{}")
    return tmp_path


@pytest.fixture
def drift(capsys: pytest.CaptureFixture[str]) -> Any:
    def run(work: Path, folder: Path) -> dict[str, Any]:
        day = time.strftime("%Y-%m-%d", time.gmtime(time.time() - 86_400))
        paths = ("--log", str(work / "log"), "--examples", str(folder / "examples"), "--releases", str(folder / "releases"))
        main(["drift", str(folder / "shop.yaml"), *paths, "--from", day, "--json"])
        report: dict[str, Any] = json.loads(capsys.readouterr().out)
        return report

    return run


def test_a_service_sends_what_ingestion_computes_from_its_log(work: Path, tmp_path: Path, drift: Any) -> None:
    report = drift(work, ingested(work, "items", tmp_path))
    assert report["counts"]["requests compared with ingestion's value by value"] == REQUESTS
    assert report["decision"]["reasons"] == []


def test_a_service_with_another_price_is_named_with_the_request_and_both_values(work: Path, tmp_path: Path, drift: Any) -> None:
    report = drift(work, ingested(work, "items_of_today", tmp_path))
    skewed = {reason["subject"]: reason["text"] for reason in report["decision"]["reasons"] if reason["kind"] == "training/serving skew"}
    assert skewed.keys() == {"price", "history_price"}  # what was clicked is in histories with its price
    assert report["decision"]["action"] == "freeze"
    assert "item 'p2': sent 30, ingestion computes 99.5" in skewed["price"]
    assert "request 'r" in skewed["price"]
