"""A TaskManager that is killed or hangs in the midst of a step: with restarts the result is the same, without the error is clear."""

import os
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from components.contract.errors import RunError
from pipeline.terminal.root_cause import root_cause
from tests.components.ingest.generators.random_shops import SHOPS, dataset_text, ingested, write_log
from tests.components.ingest.test_determinism import large_log
from tests.components.ingest.with_beam import ingest_on
from tests.components.ingest.without_beam import digests
from tests.engines.flink.cluster import Flink, flink_cluster

pytestmark = [pytest.mark.slow, pytest.mark.timeout(2400)]

QUICK = {"heartbeat.timeout": "15000", "heartbeat.interval": "3000"}
RESTARTS = {
    "restart-strategy.type": "fixed-delay",
    "restart-strategy.fixed-delay.attempts": "10",
    "restart-strategy.fixed-delay.delay": "2 s",
}
MIDST_S = 3.0  # after a job's tasks have begun
PATIENCE_S = 600.0


@pytest.fixture
def restarting_flink(tmp_path: Path) -> Iterator[Flink]:
    with flink_cluster(tmp_path / "flink", QUICK | RESTARTS) as cluster:
        yield cluster


@pytest.fixture
def unforgiving_flink(tmp_path: Path) -> Iterator[Flink]:
    with flink_cluster(tmp_path / "flink", QUICK | {"restart-strategy.type": "none"}) as cluster:
        yield cluster


def disturb_next_job(flink: Flink, number: signal.Signals) -> str:
    """Send a signal to the TaskManager in the midst of the next job, start another one, and return the job's id."""
    before = {job["jid"] for job in flink.ask("jobs/overview")["jobs"]}
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        for job in flink.ask("jobs/overview")["jobs"]:
            if job["jid"] not in before and job["tasks"]["running"]:
                time.sleep(MIDST_S)
                os.kill(flink.task_managers[-1].pid, number)
                flink.start_task_manager()
                return str(job["jid"])
        time.sleep(0.1)
    raise TimeoutError("no job begins")


def restarted(flink: Flink, job: str) -> bool:
    return bool(flink.ask(f"jobs/{job}")["timestamps"]["RESTARTING"])


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
def test_ingestion_goes_on_and_writes_the_same_bytes(restarting_flink: Flink, number: signal.Signals, tmp_path: Path) -> None:
    text = dataset_text(SHOPS["impressions"])
    write_log(tmp_path / "data", large_log(300), files=2, group_rows=60)
    with ThreadPoolExecutor(1) as thread:
        disturbed = thread.submit(disturb_next_job, restarting_flink, number)
        ingest_on(restarting_flink.preset(), text, tmp_path / "data", tmp_path / "there", partitions=3)
        assert restarted(restarting_flink, disturbed.result())
    ingested(text, tmp_path / "data", tmp_path / "here", partitions=3)
    for part in ("examples", "state"):
        assert digests(tmp_path / "there" / part) == digests(tmp_path / "here" / part)


def failure(flink: Flink, folder: Path) -> str:
    """The error that a person reads when ingestion fails on a cluster."""
    text = dataset_text(SHOPS["impressions"])
    write_log(folder / "data", large_log(300))
    with pytest.raises(RuntimeError) as raised:
        ingest_on(flink.preset(), text, folder / "data", folder / "there", partitions=3)
    assert not (folder / "there" / "report.json").exists()
    error = root_cause(raised.value, step="EventExampleGen", log="run.log")
    assert isinstance(error, RunError)
    return str(error)


@pytest.mark.parametrize(("number", "cause"), [(signal.SIGKILL, "no longer reachable"), (signal.SIGSTOP, "timed out")])
def test_without_restarts_the_error_says_what_happened_and_what_to_set(
    unforgiving_flink: Flink, number: signal.Signals, cause: str, tmp_path: Path
) -> None:
    with ThreadPoolExecutor(1) as thread:
        disturbed = thread.submit(disturb_next_job, unforgiving_flink, number)
        message = failure(unforgiving_flink, tmp_path)
        disturbed.result()
    assert "EventExampleGen failed: " in message
    assert cause in message
    assert "`restart-strategy.type: fixed-delay`" in message


def test_too_few_network_buffers_come_with_the_settings_that_help(tmp_path: Path) -> None:
    with flink_cluster(tmp_path / "flink", memory={"memory.network.min": "4m", "memory.network.max": "4m"}) as flink:
        message = failure(flink, tmp_path)
    assert "Insufficient number of network buffers" in message
    assert "`taskmanager.network.sort-shuffle.min-buffers: 64`" in message
