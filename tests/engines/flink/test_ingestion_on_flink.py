"""Ingestion on a real Flink writes the same bytes as in the process itself."""

import json
from pathlib import Path

from tests.components.ingest.generators.random_shops import SHOPS, dataset_text, ingested, write_log
from tests.components.ingest.test_determinism import large_log
from tests.components.ingest.with_beam import ingest_on
from tests.components.ingest.without_beam import digests
from tests.engines.flink.cluster import Flink

PARTITIONS = 3


def test_ingestion_writes_the_same_bytes_in_workers_that_outlive_a_stage(flink: Flink, tmp_path: Path) -> None:
    text = dataset_text(SHOPS["impressions"])
    write_log(tmp_path / "data", large_log(300), files=2, group_rows=60)
    before = flink.workers_started()
    ingest_on(flink.preset(), text, tmp_path / "data", tmp_path / "there", partitions=PARTITIONS)
    here = ingested(text, tmp_path / "data", tmp_path / "here", partitions=PARTITIONS)
    for part in ("examples", "state"):
        assert digests(tmp_path / "there" / part) == digests(tmp_path / "here" / part)
        assert digests(tmp_path / "there" / part)
    report = json.loads((tmp_path / "there" / "report.json").read_text())
    assert report["counts"].items() >= here.counts.numbers.items()
    assert flink.ask("jobs/overview")["jobs"][-1]["state"] == "FINISHED"
    assert flink.workers_started() - before == 2  # one for each slot, and not for each slot and stage
