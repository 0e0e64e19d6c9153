"""Ingestion on a real Flink writes the same bytes as in the process itself."""

import json
from pathlib import Path

import pytest

from pipeline.beam.presets import Settings
from tests.components.ingest.generators.random_shops import SHOPS, dataset_text, ingested, write_log
from tests.components.ingest.test_determinism import large_log
from tests.components.ingest.with_beam import ingest_on
from tests.components.ingest.without_beam import digests
from tests.engines.flink.cluster import Flink, flink_cluster

PARTITIONS = 3


def assert_same_bytes(chosen: Settings, work: Path) -> None:
    """Ingest a log with the steps on Flink and in this process, and compare what they write."""
    text = dataset_text(SHOPS["impressions"])
    write_log(work / "data", large_log(300), files=2, group_rows=60)
    ingest_on(chosen, text, work / "data", work / "there", partitions=PARTITIONS)
    here = ingested(text, work / "data", work / "here", partitions=PARTITIONS)
    for part in ("examples", "state"):
        assert digests(work / "there" / part) == digests(work / "here" / part)
        assert digests(work / "there" / part)
    report = json.loads((work / "there" / "report.json").read_text())
    assert report["counts"].items() >= here.counts.numbers.items()


def test_by_the_job_server_with_workers_that_outlive_a_stage(flink: Flink, tmp_path: Path) -> None:
    before = flink.workers_started()
    assert_same_bytes(flink.preset(), tmp_path)
    assert flink.ask("jobs/overview")["jobs"][-1]["state"] == "FINISHED"
    assert flink.workers_started() - before == 2  # one for each slot, and not for each slot and stage


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_by_rest_with_a_jar(tmp_path: Path) -> None:
    """On a cluster with Flink's own class loading: the job's jar brings Beam and the pipeline."""
    with flink_cluster(tmp_path / "flink", {"classloader.resolve-order": "child-first"}) as flink:
        assert_same_bytes(flink.preset_by_rest(), tmp_path)
        (job,) = flink.ask("jobs/overview")["jobs"]
    assert job["state"] == "FINISHED"
