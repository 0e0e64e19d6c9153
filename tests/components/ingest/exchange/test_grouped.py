"""Rows that the runner groups give the same bytes as those that the steps write to files."""

import pickle
from pathlib import Path

import apache_beam as beam
import pytest

from components.ingest.counts import Counts
from components.ingest.exchange import elements
from components.ingest.shuffle_files import write_bytes
from components.ingest.sources.files import layout
from components.ingest.steps_grouped import ingest_grouped
from tests.components.ingest.generators.random_shops import SHOPS, dataset_text, ingested, parsed, write_log
from tests.components.ingest.test_determinism import large_log
from tests.components.ingest.test_determinism import named as named_requests
from tests.components.ingest.without_beam import digests, job_of


def grouped(text: str, data: Path, out: Path, *, partitions: int) -> Counts:
    """Run the steps in Beam's in-process runner; return what it counted."""
    job = job_of(text, data, out, partitions=partitions)
    with beam.Pipeline("FnApiRunner") as root:
        totals = ingest_grouped(root, job, layout(parsed(text), str(data)).blocks)
        _ = totals | beam.Map(lambda pair: write_bytes(f"{out}/counts", pickle.dumps(pair[1])))
    counts: Counts = pickle.loads((out / "counts").read_bytes())
    return counts


@pytest.mark.parametrize("name", SHOPS)
def test_both_exchanges_give_the_same_bytes_and_counts(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(elements, "MAX_BYTES", 2_000)  # so that a partition's rows are several elements
    text = dataset_text(SHOPS[name])
    write_log(tmp_path / "data", [named_requests(SHOPS[name], event) for event in large_log(400)], files=2, group_rows=60)
    counts = grouped(text, tmp_path / "data", tmp_path / "grouped", partitions=3)
    files = ingested(text, tmp_path / "data", tmp_path / "files", partitions=3)
    assert counts.numbers == files.counts.numbers
    assert counts.samples == files.counts.samples
    for part in ("examples", "state"):
        assert digests(tmp_path / "grouped" / part) == digests(tmp_path / "files" / part)
        assert digests(tmp_path / "grouped" / part)
