"""Run ingestion as Beam steps. An element is a block or its number, no row is a Python object.

    scan       a block of a file         -> clean events, by user
    index      all blocks                -> the item index, windows, positive events; catalogue and codes for the service
    requests   a block of request ids    -> the lists of actions that name another user's request, or have no user
    users      a block of whole users    -> requests, and the events that their items' state needs, by item
    items      a block of whole items    -> the items' state at each candidate, by block of users
    write      a block of whole users    -> examples, the users' state

On one machine the blocks of a step write files for those of the next one, since Beam's in-process runner keeps what it
groups in memory. On a cluster the runner groups what they write (`components.ingest.steps_grouped`). Both give the same
bytes.
"""

from dataclasses import dataclass

import apache_beam as beam
from apache_beam.runners.direct.direct_runner import DirectRunner
from apache_beam.runners.portability.fn_api_runner.fn_runner import FnApiRunner

from components.ingest.block_steps import Job, Scanned, items_step, make_index, requests_step, scan, users_step, write_step
from components.ingest.counts import Counts, merged
from components.ingest.exchange.interface import Written
from components.ingest.exchange.spill_files import FileInbox, FileOutbox
from components.ingest.output.item_index import Index
from components.ingest.sources.blocks import Block
from components.ingest.steps_grouped import ingest_grouped


@dataclass(frozen=True)
class Done:
    """The result of a step for a partition."""

    partition: int
    counts: Counts
    written: tuple[Written, ...] = ()


def ingest(root: beam.Pipeline, job: Job, blocks: tuple[Block, ...]) -> beam.PCollection[tuple[Index, Counts]]:
    """Build the pipeline of all steps, by files or grouped as suits its runner; its one element is the index and the
    merged counts."""
    on_this_machine = isinstance(root.runner, FnApiRunner | DirectRunner)
    return ingest_by_files(root, job, blocks) if on_this_machine else ingest_grouped(root, job, blocks)


def ingest_by_files(root: beam.Pipeline, job: Job, blocks: tuple[Block, ...]) -> beam.PCollection[tuple[Index, Counts]]:
    """Build the pipeline whose steps exchange rows by files of `job.work`."""
    # Create spreads its elements over the workers.
    scanned = beam.pvalue.AsList(root | "blocks" >> beam.Create(blocks) | "scan" >> beam.Map(scan_to_files, job))
    index = root | "job" >> beam.Create([job]) | "index" >> beam.Map(index_of_files, scanned)
    known = beam.pvalue.AsSingleton(index)
    attributed = beam.pvalue.AsList(_each_partition(root, "requests", job) | "requests" >> beam.Map(requests_by_files, job, known))
    users = beam.pvalue.AsList(_each_partition(root, "users", job) | "users" >> beam.Map(users_by_files, job, known, attributed))
    items = beam.pvalue.AsList(_each_partition(root, "items", job) | "items" >> beam.Map(items_by_files, job, users))
    written = beam.pvalue.AsList(_each_partition(root, "write", job) | "write" >> beam.Map(write_by_files, job, users, items))
    return index | "totals" >> beam.Map(totals, attributed, users, written)


def totals(index: Index, *steps: list[Done]) -> tuple[Index, Counts]:
    """Merge the counts of all steps with those of the scan, in the order of the partitions."""
    parts = [done.counts for step in steps for done in sorted(step, key=lambda done: done.partition)]
    return index, merged([index.counts, *parts])


def _each_partition(root: beam.Pipeline, name: str, job: Job) -> beam.PCollection[int]:
    return root | f"{name} blocks" >> beam.Create(range(job.partitions))


def scan_to_files(block: Block, job: Job) -> Scanned:
    """Scan a block of a file; its items are all in one partition."""
    return scan(block, job, FileOutbox(job.work, job.partitions))


def index_of_files(job: Job, scanned: list[Scanned]) -> Index:
    """Index what all blocks wrote."""
    return make_index(scanned, FileInbox(job.work, 0, [each for part in scanned for each in part.written]), job)


def requests_by_files(partition: int, job: Job, index: Index) -> Done:
    """Run the step of requests for a partition."""
    out = FileOutbox(job.work, job.partitions)
    counts = requests_step(partition, job, index, FileInbox(job.work, partition, index.written), out)
    return Done(partition, counts, tuple(out.written))


def users_by_files(partition: int, job: Job, index: Index, attributed: list[Done]) -> Done:
    """Run the step of users for a partition."""
    out = FileOutbox(job.work, job.partitions)
    counts = users_step(partition, job, index, _inbox(partition, job, index.written, attributed), out)
    return Done(partition, counts, tuple(out.written))


def items_by_files(partition: int, job: Job, users: list[Done]) -> Done:
    """Run the step of items for a partition."""
    out = FileOutbox(job.work, job.partitions)
    counts = items_step(partition, job, _inbox(partition, job, (), users), out)
    return Done(partition, counts, tuple(out.written))


def write_by_files(partition: int, job: Job, users: list[Done], items: list[Done]) -> Done:
    """Run the step that writes for a partition."""
    return Done(partition, write_step(partition, job, _inbox(partition, job, (), [*users, *items])))


def _inbox(partition: int, job: Job, written: tuple[Written, ...], steps: list[Done]) -> FileInbox:
    return FileInbox(job.work, partition, [*written, *(each for done in steps for each in done.written)])
