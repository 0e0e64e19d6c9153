"""A TaskManager is killed in the midst of each of the four steps: with restarts nothing changes, without the error is clear."""

import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.engines.compare import assert_same_outputs
from tests.engines.flink.cluster import Flink, flink_cluster
from tests.engines.flink.lost_task_manager import RESTARTING, UNFORGIVING, disturb_next_job, restarted
from tests.pipeline.beam.beam_steps import run_beam_steps

pytestmark = [pytest.mark.slow, pytest.mark.timeout(2400)]

JOBS = 4  # EventExampleGen, StatisticsGen, Transform, Evaluator


def test_with_restarts_all_files_and_metrics_are_the_same(shop: Path, tmp_path: Path) -> None:
    def disturb(flink: Flink) -> list[str]:
        return [disturb_next_job(flink, signal.SIGKILL) for _ in range(JOBS)]

    with flink_cluster(tmp_path / "flink", RESTARTING) as flink, ThreadPoolExecutor(1) as thread:
        disturbed = thread.submit(disturb, flink)
        assert not run_beam_steps(shop, "restarted", "flink", flink.options(), local="local")
        assert all(restarted(flink, job) for job in disturbed.result())
    assert_same_outputs(shop / "restarted", shop / "local")


def test_without_restarts_each_step_says_what_to_set_and_the_next_run_goes_on_there(shop: Path, tmp_path: Path) -> None:
    with flink_cluster(tmp_path / "flink", UNFORGIVING) as flink, ThreadPoolExecutor(1) as thread:
        for number in range(JOBS):
            # The step that failed in the run before comes first.
            disturbed = thread.submit(disturb_next_job, flink, signal.SIGKILL, skipped=min(number, 1))
            message = run_beam_steps(shop, "resumed", "flink", flink.options(), local="local")
            disturbed.result()
            assert "no longer reachable" in message, number
            assert "`restart-strategy.type: fixed-delay`" in message
        assert not run_beam_steps(shop, "resumed", "flink", flink.options(), local="local")
    assert_same_outputs(shop / "resumed", shop / "local")
