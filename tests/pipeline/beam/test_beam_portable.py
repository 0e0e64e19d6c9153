"""Steps on Beam in processes that share nothing but files: the same bytes as in the process itself."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import apache_beam as beam
import pytest
from apache_beam.options.pipeline_options import PipelineOptions

from components.contract.errors import InputError
from components.ingest.sources.files import layout
from components.ingest.steps import ingest
from pipeline.beam.job_service import beam_service
from pipeline.beam.preset_options import Portable
from pipeline.beam.presets import beam_args
from pipeline.terminal.root_cause import root_cause
from tests.components.ingest.generators.random_shops import SHOPS, dataset_text, ingested, parsed, write_log
from tests.components.ingest.test_determinism import large_log
from tests.components.ingest.with_beam import ingest_on
from tests.components.ingest.without_beam import digests, job_of
from tests.pipeline.shop import shop_without_model

ROOT = Path(__file__).resolve().parents[3]
PARTITIONS = 3


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Portable]:
    with beam_service(tmp_path_factory.mktemp("beam")) as chosen:
        yield chosen


def test_ingestion_in_a_worker_of_a_pool_writes_the_same_bytes(elsewhere: Portable, tmp_path: Path) -> None:
    text = dataset_text(SHOPS["sampling"])
    write_log(tmp_path / "data", large_log(300), files=2, group_rows=60)
    ingest_on(elsewhere, text, tmp_path / "data", tmp_path / "there", partitions=PARTITIONS)
    here = ingested(text, tmp_path / "data", tmp_path / "here", partitions=PARTITIONS)
    for part in ("examples", "state"):
        assert digests(tmp_path / "there" / part) == digests(tmp_path / "here" / part)
        assert digests(tmp_path / "there" / part)
    report = json.loads((tmp_path / "there" / "report.json").read_text())
    assert report["counts"].items() >= here.counts.numbers.items()


@pytest.mark.slow
def test_a_fault_in_the_data_that_a_worker_found_is_told_as_one(elsewhere: Portable, tmp_path: Path) -> None:
    text = dataset_text(SHOPS["impressions"])
    write_log(tmp_path / "data", large_log(20))
    blocks = layout(parsed(text), str(tmp_path / "data"))
    Path(blocks.blocks[0].path).write_bytes(b"no longer")
    job = job_of(text, tmp_path / "data", tmp_path / "there")
    with (
        pytest.raises(Exception, match="InputError") as raised,
        beam.Pipeline(options=PipelineOptions(list(beam_args(elsewhere).steps))) as p,
    ):
        ingest(p, job, blocks.blocks)
    error = root_cause(raised.value, step="EventExampleGen", log="run.log")
    assert isinstance(error, InputError)
    assert "can't be read as Parquet" in str(error)


def whole_run(preset: str, work: Path) -> dict[str, Any]:
    """What a run of the whole graph released and found, and a digest of each file of the steps on Beam and of the model's weights."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(map(os.path.abspath, sys.path))}
    code = "from tests.pipeline.beam.beam_run import main; main()"
    command = [sys.executable, "-c", code, preset, "shop.yaml", "data", preset]
    done = subprocess.run(command, cwd=work, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    told = json.loads((work / preset / "last_run.json").read_text())
    files: dict[str, str] = {}
    for name, output in (
        ("EventExampleGen", "examples"),
        ("EventExampleGen", "state"),
        ("EventExampleGen", "report"),
        ("StatisticsGen", "statistics"),
        ("Trainer", "model"),
        ("Evaluator", "evaluation"),
    ):
        (folder,) = (work / preset / "artifacts" / name / output).iterdir()
        files |= {f"{name}/{output}/{path}": digest for path, digest in digests(folder).items()}
    # These hold paths, times or random ids.
    unlike = ("eval_config.json", "history.json", "fingerprint.pb", "saved_model.pb")
    return {"files": {path: digest for path, digest in files.items() if not path.endswith(unlike)}, "told": told}


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_the_whole_graph_with_beam_elsewhere_gives_the_same_files_and_metrics(tmp_path: Path) -> None:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(map(os.path.abspath, sys.path))}
    simulate = [sys.executable, "-m", "pipeline.cli", "simulate", "--out", "data", "--events", "5000"]
    subprocess.run(simulate, cwd=tmp_path, env=environment, capture_output=True, check=True)
    (tmp_path / "shop.yaml").write_text(shop_without_model() + "\nmodel: {epochs: 1}\ngates: {drop: {auc: 0.9}, slice_drop: {}}\n")
    here, there = whole_run("local", tmp_path), whole_run("portable", tmp_path)
    assert here["files"] == there["files"]
    assert any("variables.data" in path for path in here["files"])
    assert any(path.startswith("Evaluator/evaluation/metrics") for path in here["files"])
    for found in ("metrics", "training", "curves", "importance", "ingestion", "example"):
        assert here["told"][found] == there["told"][found], found
    log = (tmp_path / "portable" / "beam" / "worker-pool.log").read_text()
    assert log.count("Starting worker") >= 4  # of ingestion, statistics, Transform, Evaluator
