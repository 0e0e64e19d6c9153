"""A TaskManager that is killed or hangs in the midst of a step: with restarts the result is the same, without the error is clear."""

import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from components.contract.errors import RunError
from pipeline.beam.worker_pool import INGESTION
from pipeline.terminal.root_cause import root_cause
from tests.components.ingest.generators.random_shops import SHOPS, dataset_text, ingested, write_log
from tests.components.ingest.test_determinism import large_log
from tests.components.ingest.with_beam import ingest_on
from tests.components.ingest.without_beam import digests
from tests.engines.flink.cluster import Flink, flink_cluster
from tests.engines.flink.lost_task_manager import RESTARTING, UNFORGIVING, disturb_next_job, restarted

pytestmark = [pytest.mark.slow, pytest.mark.timeout(2400)]


@pytest.fixture
def restarting_flink(tmp_path: Path) -> Iterator[Flink]:
    with flink_cluster(tmp_path / "flink", RESTARTING, modules=INGESTION) as cluster:
        yield cluster


@pytest.fixture
def unforgiving_flink(tmp_path: Path) -> Iterator[Flink]:
    with flink_cluster(tmp_path / "flink", UNFORGIVING, modules=INGESTION) as cluster:
        yield cluster


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
    with flink_cluster(tmp_path / "flink", memory={"memory.network.min": "4m", "memory.network.max": "4m"}, modules=INGESTION) as flink:
        message = failure(flink, tmp_path)
    assert "Insufficient number of network buffers" in message
    assert "`taskmanager.network.sort-shuffle.min-buffers: 64`" in message
