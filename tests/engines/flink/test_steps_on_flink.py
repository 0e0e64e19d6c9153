"""EventExampleGen, StatisticsGen, Transform and Evaluator on a real Flink give what one machine gives, to the last bit."""

from pathlib import Path

import pytest

from tests.engines.compare import assert_same_outputs
from tests.engines.flink.cluster import Flink
from tests.pipeline.beam.beam_steps import run_beam_steps

pytestmark = [pytest.mark.slow, pytest.mark.timeout(2400)]


def finished_jobs(flink: Flink) -> int:
    jobs = flink.ask("jobs/overview")["jobs"]
    assert {job["state"] for job in jobs} <= {"FINISHED"}
    return len(jobs)


def test_all_files_and_metrics_are_the_same(flink: Flink, shop: Path) -> None:
    before = finished_jobs(flink)
    run_beam_steps(shop, "flink", "flink", flink.options(), local="local")
    assert_same_outputs(shop / "flink", shop / "local")
    assert finished_jobs(flink) - before >= 4
