"""Ingestion on a real Flink writes the same bytes as in the process itself."""

from pathlib import Path

import pytest

from pipeline.beam.worker_pool import INGESTION
from tests.components.ingest.same_bytes import assert_same_bytes
from tests.engines.flink.cluster import Flink, flink_cluster


def test_by_the_job_server_with_workers_that_outlive_a_stage(flink: Flink, tmp_path: Path) -> None:
    before = flink.workers_started()
    assert_same_bytes(flink.preset(), tmp_path)
    assert flink.ask("jobs/overview")["jobs"][-1]["state"] == "FINISHED"
    assert flink.workers_started() - before == 2  # one for each slot, and not for each slot and stage


@pytest.mark.slow
@pytest.mark.timeout(2400)
@pytest.mark.usefixtures("jars_removed")
def test_by_rest_with_a_jar(tmp_path: Path) -> None:
    """On a cluster with Flink's own class loading: the job's jar brings Beam and the pipeline."""
    with flink_cluster(tmp_path / "flink", {"classloader.resolve-order": "child-first"}, modules=INGESTION) as flink:
        assert_same_bytes(flink.preset_by_rest(), tmp_path)
        (job,) = flink.ask("jobs/overview")["jobs"]
    assert job["state"] == "FINISHED"
