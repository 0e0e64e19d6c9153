"""The command as a shop runs it: all real steps, on a small simulated shop."""

import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from components.contract.load import load_dataset
from components.release.manifest import read_manifest
from components.release.publish import versions
from pipeline.cli.commands import default_shop
from pipeline.ops.ports import in_use
from tests.pipeline.shop import shop_without_model

pytestmark = pytest.mark.slow

LAX = "\nmodel: {epochs: 1}\ngates: {drop: {auc: 0.9}, slice_drop: {}}\n"
STRICT = "\nmodel: {epochs: 1}\ngates: {floor: {auc: 0.999}, slice_drop: {}}\n"


def shelfrank(*arguments: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(map(os.path.abspath, sys.path))}
    command = [sys.executable, "-m", "pipeline.cli", *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    work = tmp_path_factory.mktemp("work")
    assert shelfrank("simulate", "--out", "shop", "--events", 5_000, cwd=work).returncode == 0
    return work


def run(work: Path, gates: str, name: str) -> subprocess.CompletedProcess[str]:
    (work / f"{name}.yaml").write_text(shop_without_model() + gates)
    return shelfrank("run", f"{name}.yaml", "--data", "shop", "--root", name, "--json", cwd=work)


@pytest.fixture(scope="module")
def first(work: Path) -> dict[str, Any]:
    ended = run(work, LAX, "lax")
    assert ended.returncode == 0, ended.stderr
    assert re.search(r"^\[Trainer\] .*epoch 1", ended.stderr, re.MULTILINE)
    report: dict[str, Any] = json.loads(ended.stdout)
    return report


def test_a_run_ends_in_a_release_that_says_where_it_came_from(work: Path, first: dict[str, Any]) -> None:
    assert (first["release"], first["champion"], first["passed"]) == (1, "baseline", True)
    manifest = read_manifest(work / "lax" / "releases" / "1")
    overall = next(row["metrics"] for row in first["slices"] if not row["slice"])
    assert manifest.metrics["auc"] == overall["auc"]["challenger"]
    assert list(manifest.verdict) == first["verdict"]
    assert manifest.rehearsal == first["rehearsal"]


def test_a_release_was_rehearsed_and_carries_its_warm_up(work: Path, first: dict[str, Any]) -> None:
    assert (first["rehearsal"]["differing"], first["rehearsal"]["fault"]) == (0, "")
    assert any("served scores of" in sentence for sentence in first["verdict"])
    release = work / "lax" / "releases" / "1"
    assert (release / "assets.extra" / "tf_serving_warmup_requests").exists()
    assert (release / "assets.extra" / "batching_parameters.txt").exists()


def free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]


@contextmanager
def serving(root: str, *, cwd: Path) -> Iterator[tuple["subprocess.Popen[str]", list[str], list[int]]]:
    """`shelfrank serve` of a run, up: its process, what it has said, and its ports. How it ends is the test's."""
    ports = free_ports(3)
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(map(os.path.abspath, sys.path))}
    options = [f"--{name}={port}" for name, port in zip(("port", "grpc-port", "rest-port"), ports, strict=True)]
    command = [sys.executable, "-m", "pipeline.cli", "serve", "--root", root, *options]
    process = subprocess.Popen(command, cwd=cwd, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        report: list[str] = []
        for line in process.stdout:
            report.append(line)
            if line.startswith("Ctrl-C"):
                break
        yield process, report, ports
    finally:
        process.kill()
        process.wait()
        for pipe in (process.stdout, process.stderr):
            assert pipe is not None
            pipe.close()


def test_the_release_is_served_and_the_commands_that_are_told_work(work: Path, first: dict[str, Any]) -> None:
    with serving("lax", cwd=work) as (process, report, _):
        tried = [line for line in report if line.startswith("curl ")]
        assert len(tried) == 3, report
        rank, events, explain = (json.loads(subprocess.run(shlex.split(line), capture_output=True, check=True).stdout) for line in tried)
        page = next(line.split()[-1] for line in report if line.startswith("page to try it"))
        with urllib.request.urlopen(f"{page}choices") as answer:
            choices = json.load(answer)
        with urllib.request.urlopen(f"{page}products?count=1") as answer:
            (product,) = json.load(answer)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
    shown = [candidate["item"] for candidate in first["example"]["candidates"]][:10]
    assert sorted(rank["order"]) == sorted(shown)
    assert (rank["rung"], rank["version"], rank["degraded"]) == ("model", 1, False)
    assert rank["scores"] == sorted(rank["scores"], reverse=True)
    assert events == {"accepted": 1}
    assert (choices["versions"], choices["actions"]) == ([1], ["click", "cart", "purchase"])
    assert {each["name"]: bool(each["values"]) for each in choices["context"]} == {"device": True, "page": True, "query": False}
    assert len(product["title"].split()) == 4  # as the simulator calls its products
    assert explain["candidates"] == shown[:3]
    assert {"price", "history.same_item"} <= set(explain["features"])
    assert process.returncode == 0, said
    assert list((work / "lax" / "serving" / "exposures").rglob("*.jsonl"))


def test_a_copied_folder_serves_itself_when_the_original_is_gone_and_no_server_outlives_a_kill(work: Path, first: dict[str, Any]) -> None:
    shutil.copytree(work / "lax", work / "copy", symlinks=True)
    (work / "lax").rename(work / "hidden")
    try:
        with serving("copy", cwd=work) as (process, report, ports):
            ranks = next(line for line in report if line.startswith("curl ") and "/v1/rank" in line)
            rank = json.loads(subprocess.run(shlex.split(ranks), capture_output=True, check=True).stdout)
            assert (rank["rung"], rank["version"], rank["degraded"]) == ("model", 1, False)
            process.kill()  # as nobody can answer to
            process.wait()
            end = time.monotonic() + 60
            while any(in_use("127.0.0.1", port) for port in ports):
                assert time.monotonic() < end
                time.sleep(0.1)
        assert json.loads(shelfrank("report", "--root", "copy", "--json", cwd=work).stdout)["places"]["releases"] == str(
            work / "copy" / "releases"
        )
    finally:
        (work / "hidden").rename(work / "lax")


def test_a_release_that_cannot_be_loaded_is_said_with_the_servers_own_words(work: Path, first: dict[str, Any]) -> None:
    shutil.copytree(work / "lax", work / "broken", symlinks=True)
    (work / "broken" / "releases" / "1" / "saved_model.pb").write_text("no graph")
    options = [f"--{name}={port}" for name, port in zip(("port", "grpc-port", "rest-port"), free_ports(3), strict=True)]
    ended = shelfrank("serve", "--root", "broken", *options, cwd=work)
    assert ended.returncode == 1
    assert "[Model server] failed" in ended.stderr
    assert "the model server has ended with exit code 2; the end of" in ended.stderr
    assert "Failed to start server. Error: " in ended.stderr


def test_a_run_tells_of_every_step_split_and_place(first: dict[str, Any]) -> None:
    assert {step["state"] for step in first["steps"]} == {"done"}
    assert first["ingestion"]["counts"]["examples: test requests"] > 0
    assert all(Path(path).exists() for path in first["places"].values())
    assert [each["feature"] for each in first["importance"]["features"]] == [each.name for each in load_dataset(default_shop()).features]
    scores = [candidate["score"] for candidate in first["example"]["candidates"]]
    assert scores == sorted(scores, reverse=True)
    assert any(candidate["label"] for candidate in first["example"]["candidates"])


def test_a_second_run_comes_from_the_cache_with_the_same_report_and_no_second_release(work: Path, first: dict[str, Any]) -> None:
    ended = run(work, LAX, "lax")
    again = json.loads(ended.stdout)
    assert {step["state"] for step in again["steps"]} == {"cached"}
    changing = ("steps", "made_at", "places")
    assert {name: again[name] for name in again if name not in changing} == {name: first[name] for name in first if name not in changing}
    assert versions(work / "lax" / "releases") == (1,)


def test_a_release_that_was_deleted_is_made_again_from_the_cache(work: Path, first: dict[str, Any]) -> None:
    (work / "lax" / "releases" / "1").rename(work / "away")
    again = json.loads(run(work, LAX, "lax").stdout)
    assert [step["name"] for step in again["steps"] if step["state"] == "done"] == ["Release", "SliceReport"]
    assert read_manifest(work / "lax" / "releases" / "1").content == read_manifest(work / "away").content


def test_what_came_from_what_is_told_without_a_metadata_store(work: Path, first: dict[str, Any]) -> None:
    report = json.loads(Path(first["places"]["lineage"]).read_text())
    manifest = json.loads((work / "lax" / "releases" / "1" / "manifest.json").read_text())
    assert (report["release"]["version"], report["release"]["content"], report["champion"]) == (1, manifest["content"], "baseline")
    assert report["dataset"]["sha256"] == manifest["dataset_digest"]
    assert report["data"]["window"] == first["ingestion"]["window"]
    assert [(file["path"], file["bytes"]) for file in report["data"]["files"]] == [
        (str(path), path.stat().st_size) for path in sorted((work / "shop" / "events").iterdir())
    ]
    assert "files" not in first["ingestion"]
    assert report["steps"]["Trainer"]["inputs"] == {
        "examples": "EventExampleGen.examples",
        "transform_graph": "Transform.transform_graph",
    }
    assert all(Path(path).exists() for path in report["artifacts"].values())
    assert {path for step in report["steps"].values() for path in step["inputs"].values()} >= set(report["artifacts"]) - {
        "Release.pushed_model",
        "FeatureImportance.report",
    }


def test_the_report_is_there_afterwards_as_table_json_and_page(work: Path, first: dict[str, Any]) -> None:
    assert json.loads(shelfrank("report", "--root", "lax", "--json", cwd=work).stdout)["slices"] == first["slices"]
    assert "Released as version 1" in shelfrank("report", "--root", "lax", cwd=work).stdout
    assert shelfrank("report", "--root", "lax", "--html", "page.html", cwd=work).returncode == 0
    assert (work / "page.html").read_text().startswith("<!")


def test_a_refused_model_has_its_exit_code_and_its_reasons_and_is_not_released(work: Path) -> None:
    ended = run(work, STRICT, "strict")
    assert ended.returncode == 3
    assert "is below 0.999" in ended.stderr
    report = json.loads(ended.stdout)
    assert (report["release"], report["passed"]) == (None, False)
    assert versions(work / "strict" / "releases") == ()


def test_a_model_above_its_budget_is_refused_with_the_time_it_took(work: Path, first: dict[str, Any]) -> None:
    ended = run(work, f"{LAX}serving: {{latency_ms: 0.01}}\n", "lax")
    assert ended.returncode == 3
    assert "ms (p99), above 0.01 ms." in ended.stderr
    assert json.loads(ended.stdout)["release"] is None
    assert versions(work / "lax" / "releases") == (1,)


def test_data_that_is_not_there_is_bad_input_in_one_sentence(work: Path) -> None:
    (work / "none.yaml").write_text(shop_without_model())
    ended = shelfrank("run", "none.yaml", "--data", "nowhere", "--root", "none", cwd=work)
    assert ended.returncode == 2
    assert "expected at least one file, found none" in ended.stderr.splitlines()[-1]
