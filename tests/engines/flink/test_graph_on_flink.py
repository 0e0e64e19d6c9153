"""The whole graph with EventExampleGen, StatisticsGen, Transform and Evaluator on a real Flink gives what one machine gives."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.engines.compare import assert_same_run
from tests.engines.flink.cluster import Flink, flink_cluster
from tests.pipeline.beam.whole_graph import whole_run

pytestmark = [pytest.mark.slow, pytest.mark.timeout(2400)]


@pytest.fixture
def default_flink(tmp_path: Path) -> Iterator[Flink]:
    """A cluster with Flink's own class loading, which a job by REST needs: its jar holds the pipeline."""
    with flink_cluster(tmp_path / "flink", {"classloader.resolve-order": "child-first"}) as cluster:
        yield cluster


def finished_jobs(flink: Flink) -> int:
    jobs = flink.ask("jobs/overview")["jobs"]
    assert {job["state"] for job in jobs} == {"FINISHED"}
    return len(jobs)


def test_by_the_job_server_all_files_and_metrics_are_the_same(flink: Flink, shop: Path, local_run: dict[str, Any]) -> None:
    before = finished_jobs(flink) if flink.ask("jobs/overview")["jobs"] else 0
    assert_same_run(whole_run(shop, "flink", "flink", flink.options()), local_run)
    assert finished_jobs(flink) - before >= 4


def test_by_rest_all_files_and_metrics_are_the_same(default_flink: Flink, shop: Path, local_run: dict[str, Any]) -> None:
    assert_same_run(whole_run(shop, "flink-rest", "flink", default_flink.options_by_rest()), local_run)
    assert finished_jobs(default_flink) >= 4
