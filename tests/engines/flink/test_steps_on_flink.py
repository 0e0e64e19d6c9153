"""EventExampleGen, StatisticsGen, Transform and Evaluator on a real Flink give what one machine gives, to the last bit."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engines.compare import assert_same_outputs
from tests.engines.flink.cluster import Flink, flink_cluster
from tests.pipeline.beam.beam_steps import run_beam_steps

pytestmark = [pytest.mark.slow, pytest.mark.timeout(2400)]


@pytest.fixture
def flink(tmp_path: Path) -> Iterator[Flink]:
    """A cluster whose workers have the imports of all steps when they start."""
    with flink_cluster(tmp_path / "flink") as cluster:
        yield cluster


def test_all_files_and_metrics_are_the_same(flink: Flink, shop: Path) -> None:
    assert not run_beam_steps(shop, "flink", "flink", flink.options(), local="local")
    assert_same_outputs(shop / "flink", shop / "local")
    jobs = flink.ask("jobs/overview")["jobs"]
    assert {job["state"] for job in jobs} == {"FINISHED"}
    assert len(jobs) == 4
