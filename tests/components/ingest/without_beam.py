"""The steps of ingestion one after another, as Beam would run them.

python -c 'from tests.components.ingest.without_beam import main; main()' DATASET.yaml DATA OUT PARTITIONS
"""

import hashlib
import sys
from collections.abc import Iterable
from pathlib import Path

from components.contract.load import parse_dataset
from components.ingest.block_steps import Job
from components.ingest.counts import Counts
from components.ingest.output.item_index import Index
from components.ingest.sources.blocks import Block
from components.ingest.sources.files import layout
from components.ingest.steps import (
    index_of_files,
    items_by_files,
    requests_by_files,
    scan_to_files,
    totals,
    users_by_files,
    write_by_files,
)

NOW_US = 1_900_000_000_000_000


def job_of(text: str, folder: Path, out: Path, *, partitions: int = 1) -> Job:
    """Everything lies under `out`: `work`, `examples` and `state`."""
    return Job(text, str(folder), str(out / "work"), str(out / "examples"), str(out / "state"), partitions, NOW_US)


def run_steps(job: Job, blocks: Iterable[Block]) -> tuple[Index, Counts]:
    index = index_of_files(job, [scan_to_files(block, job) for block in blocks])
    partitions = range(job.partitions)
    attributed = [requests_by_files(partition, job, index) for partition in partitions]
    users = [users_by_files(partition, job, index, attributed) for partition in partitions]
    items = [items_by_files(partition, job, users) for partition in partitions]
    return totals(index, attributed, users, [write_by_files(partition, job, users, items) for partition in partitions])


def digests(folder: Path) -> dict[str, str]:
    """What each file under a folder holds."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


def main() -> None:
    dataset, data, out, partitions = sys.argv[1:]
    text = Path(dataset).read_text(encoding="utf-8")
    run_steps(job_of(text, Path(data), Path(out), partitions=int(partitions)), layout(parse_dataset(text), data).blocks)
