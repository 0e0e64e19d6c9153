"""Run ingestion on a runner that groups what the steps write by partition: nothing but artifacts lies in files.

A step's element is a partition with all that was written for it, in elements of bounded size
(`components.ingest.exchange.elements`). The frames that all blocks share (the item index, the tables) are artifacts of
`index`, read once by each process.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import apache_beam as beam
from apache_beam.pvalue import AsList, AsSingleton, TaggedOutput

from components.contract.load import parse_dataset
from components.ingest.block_steps import Job, Scanned, items_step, make_index, requests_step, scan, users_step, write_step
from components.ingest.counts import Counts, merged
from components.ingest.exchange.elements import Element, ElementInbox, ElementOutbox, columns_element
from components.ingest.output.item_index import Index
from components.ingest.requests.claims import shows_lists
from components.ingest.sources.blocks import Block
from components.state.features import plan_of

# The step that receives what was written.
_RECEIVER = {
    "items": "index",
    "events": "users",
    "shown": "requests",
    "claims": "requests",
    "userless": "requests",
    "verdicts": "users",
    "foreign": "users",
    "assigned": "users",
    "item-rows": "items",
    "segment-rows": "items",
    "returned": "write",
    "requests": "write",
    "item-state": "write",
}
Addressed = tuple[int, Element]
Outputs = Iterator[Any]  # of a step: its result, and tagged with their receivers addressed elements


def ingest_grouped(root: beam.Pipeline, job: Job, blocks: tuple[Block, ...]) -> beam.PCollection[tuple[Index, Counts]]:
    """Build the pipeline of all steps; its one element is the index and the merged counts."""
    dataset = parse_dataset(job.dataset)
    scanned = _run("scan", root | "blocks" >> beam.Create(blocks), _scan, job, to=("index", "requests", "users"))
    indexed = _run("index", _grouped("index", scanned["scan"], scanned["index"]), _index, job, to=("users",))
    known = AsSingleton(indexed["index"])
    steps, for_users, for_write = [], [scanned["users"], indexed["users"]], []
    if shows_lists(dataset):
        requests = _run("requests", _grouped("requests", scanned["requests"]), _requests, job, known, to=("users",))
        steps.append(AsList(requests["requests"]))
        for_users.append(requests["users"])
    users = _run("users", _grouped("users", *for_users), _users, job, known, to=("items", "write"))
    steps.append(AsList(users["users"]))
    for_write.append(users["write"])
    if plan_of(dataset, "item") is not None:
        items = _run("items", _grouped("items", users["items"]), _items, job, to=("write",))
        for_write.append(items["write"])
    steps.append(AsList(_run("write", _grouped("write", *for_write), _write, job)["write"]))
    return indexed["index"] | "totals" >> beam.Map(_totals, *steps)


def _run(name: str, received: beam.PCollection[Any], step: Callable[..., Outputs], *arguments: Any, to: tuple[str, ...] = ()) -> Any:
    """Apply a step; return its results by its name, and what it writes by the receivers' names."""
    return received | name >> beam.FlatMap(step, *arguments).with_outputs(*to, main=name)


def _grouped(name: str, *written: beam.PCollection[Addressed]) -> beam.PCollection[tuple[int, Iterable[Element]]]:
    """Group what was written by partition."""
    return written | f"{name} received" >> beam.Flatten() | f"{name} partitions" >> beam.GroupByKey()


def _totals(index: Index, *steps: list[tuple[int, Counts]]) -> tuple[Index, Counts]:
    return index, merged([index.counts, *(counts for step in steps for _, counts in sorted(step, key=lambda pair: pair[0]))])


def _sent(out: ElementOutbox) -> Outputs:
    for partition, element in out.elements:
        yield TaggedOutput(_RECEIVER[element[0]], (partition, element))


def _scan(block: Block, job: Job) -> Outputs:
    out = ElementOutbox(job.partitions)
    yield 0, (scan(block, job, out), dict(out.columns))
    yield from _sent(out)


def _index(received: tuple[int, Iterable[Any]], job: Job) -> Outputs:
    blocks: list[tuple[Scanned, dict[str, bytes]]] = []
    elements: list[Element] = []
    for value in received[1]:
        (blocks if isinstance(value[0], Scanned) else elements).append(value)
    columns = {kind: content for _, each in blocks for kind, content in each.items()}
    elements += [columns_element(kind, columns[kind]) for kind in ("items",) if kind in columns]
    yield make_index([scanned for scanned, _ in blocks], ElementInbox(elements), job)
    for partition in range(job.partitions):
        yield TaggedOutput("users", (partition, columns_element("events", columns["events"])))


def _requests(received: tuple[int, Iterable[Element]], job: Job, index: Index) -> Outputs:
    partition, elements = received
    out = ElementOutbox(job.partitions)
    yield partition, requests_step(partition, job, index, ElementInbox(elements), out)
    yield from _sent(out)


def _users(received: tuple[int, Iterable[Element]], job: Job, index: Index) -> Outputs:
    partition, elements = received
    out = ElementOutbox(job.partitions, home=partition)
    yield partition, users_step(partition, job, index, ElementInbox(elements), out)
    yield from _sent(out)


def _items(received: tuple[int, Iterable[Element]], job: Job) -> Outputs:
    partition, elements = received
    out = ElementOutbox(job.partitions, home=partition)
    yield partition, items_step(partition, job, ElementInbox(elements), out)
    yield from _sent(out)


def _write(received: tuple[int, Iterable[Element]], job: Job) -> Outputs:
    partition, elements = received
    yield partition, write_step(partition, job, ElementInbox(elements))
