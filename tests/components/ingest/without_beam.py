"""The steps of ingestion one after another, as Beam would run them.

python -c 'from tests.components.ingest.without_beam import main; main()' DATASET.yaml DATA OUT PARTITIONS
"""

import hashlib
import sys
from collections.abc import Iterable
from pathlib import Path

from components.contract.load import parse_dataset
from components.ingest.counts import Counts
from components.ingest.output.item_index import Index
from components.ingest.sources.blocks import Block
from components.ingest.sources.files import layout
from components.ingest.steps import Job, _totals, items_step, make_index, requests_step, scan, users_step, write_step

NOW_US = 1_900_000_000_000_000


def job_of(text: str, folder: Path, out: Path, *, partitions: int = 1) -> Job:
    """Everything lies under `out`: `work`, `examples` and `state`."""
    return Job(text, str(folder), str(out / "work"), str(out / "examples"), str(out / "state"), partitions, NOW_US)


def run_steps(job: Job, blocks: Iterable[Block]) -> tuple[Index, Counts]:
    index = make_index([scan(block, job) for block in blocks], job)
    attributed = [requests_step(partition, job, index) for partition in range(job.partitions)]
    gathered = [users_step(partition, job, index, attributed) for partition in range(job.partitions)]
    for partition in range(job.partitions):
        items_step(partition, job, gathered)
    return _totals(index, attributed, gathered, [write_step(partition, job, None) for partition in range(job.partitions)])


def digests(folder: Path) -> dict[str, str]:
    """What each file under a folder holds."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


def main() -> None:
    dataset, data, out, partitions = sys.argv[1:]
    text = Path(dataset).read_text(encoding="utf-8")
    run_steps(job_of(text, Path(data), Path(out), partitions=int(partitions)), layout(parse_dataset(text), data).blocks)
