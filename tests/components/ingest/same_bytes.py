"""Ingestion by a runner against ingestion in this process."""

import json
from pathlib import Path

from pipeline.beam.presets import Settings
from tests.components.ingest.generators.random_shops import SHOPS, dataset_text, ingested, write_log
from tests.components.ingest.test_determinism import large_log
from tests.components.ingest.with_beam import ingest_on
from tests.components.ingest.without_beam import digests

PARTITIONS = 3


def assert_same_bytes(chosen: Settings, work: Path, *, shop: str = "impressions") -> None:
    """Ingest a log with the steps on a runner and in this process, and compare what they write."""
    text = dataset_text(SHOPS[shop])
    write_log(work / "data", large_log(300), files=2, group_rows=60)
    ingest_on(chosen, text, work / "data", work / "there", partitions=PARTITIONS)
    here = ingested(text, work / "data", work / "here", partitions=PARTITIONS)
    for part in ("examples", "state"):
        assert digests(work / "there" / part) == digests(work / "here" / part)
        assert digests(work / "there" / part)
    report = json.loads((work / "there" / "report.json").read_text())
    assert report["counts"].items() >= here.counts.numbers.items()
