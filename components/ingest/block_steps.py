"""Define the steps of ingestion, which `components.ingest.steps` lists, each for one block; no row is a Python object."""

import json
import os
import pickle
import posixpath
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import polars as pl

from components.contract.dataset import Dataset
from components.contract.errors import InputError
from components.contract.load import parse_dataset
from components.contract.sources import Sampling
from components.contract.userless import lacks_user
from components.ingest.counts import Counts, merged
from components.ingest.events.clean_events import FrameContext, clean
from components.ingest.events.deduplicate import detects_duplicates
from components.ingest.events.source_columns import Absent, event_columns, missing_event_columns, require_columns
from components.ingest.exchange.interface import Inbox, Outbox, Written, concatenated
from components.ingest.formats.readers import frames
from components.ingest.output.example_columns import fields
from components.ingest.output.item_index import Index
from components.ingest.output.tfrecord_writer import records
from components.ingest.requests.claims import (
    HashedOutbox,
    attribute_requests,
    hash_partitions,
    hashes_of,
    read_claims,
    shows_lists,
    user_partitions,
    write_claims,
)
from components.ingest.requests.label_amounts import RETURNED, subtract_returns
from components.ingest.requests.segments import replay_segment_block
from components.ingest.requests.splits import SPLITS, bounds
from components.ingest.requests.user_block import LogContext, UserBlock, build_user_block
from components.ingest.shuffle_files import read_frame, write_bytes, write_frame
from components.ingest.sources.beam_filesystem import created
from components.ingest.sources.blocks import Block
from components.ingest.tables.catalogue import build_item_index, read_table, to_parquet
from components.ingest.tables.item_block import replay_item_block
from components.ingest.tables.item_versions import ItemVersions, version_rows
from components.ingest.tables.second_ids import read_identities, resolve_users
from components.ingest.tables.table_rows import ID
from components.state.artifact import save
from components.state.features import plan_of
from components.state.versions import FROM

PARTITION_ROWS = 400_000  # events in a block of users: a few hundred megabytes while it is processed


@dataclass(frozen=True)
class Job:
    """The parameters of all steps.

    `partitions` depends on the data alone, so that the same data gives the same files. Events later than `ends_us` are
    left out.
    """

    dataset: str
    data_root: str
    work: str
    examples: str
    state: str
    partitions: int
    now_us: int
    ends_us: int | None = None

    def path(self, *names: str) -> str:
        """Return the path of a file in the working folder."""
        return os.path.join(self.work, *names)


@dataclass(frozen=True)
class Scanned:
    """The result of scanning a block of a file; `absent`: the columns that its file lacks."""

    block: Block
    written: tuple[Written, ...]
    first_us: int
    last_us: int
    counts: Counts
    absent: Absent = None

    @property
    def has_events(self) -> bool:
        """Whether any event was kept."""
        return any(each.kind == "events" for each in self.written)


@lru_cache(maxsize=4)
def _dataset(text: str) -> Dataset:
    return parse_dataset(text)


@lru_cache(maxsize=3)
def _frame(name: str, job: Job) -> pl.DataFrame:
    """Read a frame that all blocks of this process share."""
    return read_frame(job.path(name))


@lru_cache(maxsize=1)
def _item_versions(job: Job) -> ItemVersions:
    """Read the catalogue's rows by time, likewise."""
    return ItemVersions(read_frame(job.path("item-versions")))


@lru_cache(maxsize=1)
def _identities(job: Job) -> pl.DataFrame | None:
    """Read the table of second ids, likewise: from its source, since it's needed before the working folder has
    anything."""
    table = _dataset(job.dataset).identities
    return None if table is None else read_identities(table, job.data_root, Counts())


def scan(block: Block, job: Job, out: Outbox) -> Scanned:
    """Read and clean a block of a file, and write its events by the block of their users."""
    dataset, counts = _dataset(job.dataset), Counts()
    source = dataset.events[block.source]
    selection = event_columns(dataset, source)
    first, last = np.iinfo(np.int64).max, np.iinfo(np.int64).min
    items: list[pl.DataFrame] = []
    for part, raw in enumerate(frames(block, source, selection, counts)):
        events = clean(raw, dataset, FrameContext(block, job.now_us, job.ends_us), counts)
        if not len(events):
            continue
        identities = _identities(job)
        if identities is not None:
            events = resolve_users(events, identities, counts)
        first, last = min(first, events["time"].min()), max(last, events["time"].max())  # type: ignore[type-var,assignment]
        items.append(_observed_items(events, dataset))
        writer, hashes = f"{block.order:06d}-{part:04d}", hashes_of(events)
        if shows_lists(dataset):
            hashed = HashedOutbox(out, writer, job.partitions)
            events, hashes = write_claims(events, hashes, dataset, hashed, anonymous=lacks_user(dataset, source))
        # Rows without user that repeat each other must get into one block: they go by their content, or, where no row
        # repeats, by `seq`.
        fallback = pl.format("{} {}", "time", "item") if detects_duplicates(dataset) else pl.col("seq").cast(pl.String)
        out.rows("events", writer, events, user_partitions(events, hashes, fallback, partitions=job.partitions))
    if items:
        rows = _items_once(pl.concat(items))
        out.rows("items", f"{block.order:06d}", rows, np.zeros(len(rows), np.int64))
    return Scanned(block, tuple(out.written), first, last, counts, selection.absent)


def _observed_items(events: pl.DataFrame, dataset: Dataset) -> pl.DataFrame:
    """Return the items of a frame: a row without time for each, and where candidates are sampled one for each
    positive event."""
    items = events.select(pl.col("item").unique(), pl.lit(None, pl.Int64).alias("time"))
    if isinstance(dataset.candidates, Sampling):
        labelled = [list(dataset.actions).index(name) for name in dataset.label_gains]
        items = pl.concat([items, events.filter(pl.col("action").is_in(labelled)).select("item", "time")])
    return items.filter(pl.col("item") != "")


def _items_once(observed: pl.DataFrame) -> pl.DataFrame:
    """Keep each item once among the rows without time."""
    return pl.concat([observed.filter(pl.col("time").is_null()).unique("item").sort("item"), observed.filter(pl.col("time").is_not_null())])


def make_index(scanned: Iterable[Scanned], received: Inbox, job: Job) -> Index:
    """Number the items, place the windows, and write what later steps and the service share.

    Args:
        scanned: all blocks.
        received: of all blocks, their items.
        job: the parameters.

    Raises:
        InputError: no event is left, or a table can't be read.
    """
    dataset, scanned = _dataset(job.dataset), sorted(scanned, key=lambda part: part.block.order)
    counts = merged(part.counts for part in scanned)
    require_columns(missing_event_columns(dataset, [(part.block.source, part.absent) for part in scanned]))
    filled = [part for part in scanned if part.has_events]
    if not filled:
        raise _no_events(scanned, counts, job)
    first_us, last_us = min(part.first_us for part in filled), max(part.last_us for part in filled)
    observed = concatenated(received, "items")
    assert observed is not None
    items, table_counts = _write_tables(observed["item"].unique(), job)
    counts = merged([counts, table_counts])
    counts.add("distinct items", len(items))
    write_bytes(os.path.join(job.state, "index.parquet"), to_parquet(items.select("item")))
    write_bytes(os.path.join(job.state, "sources.json"), sources_read(scanned, last_us=last_us, job=job))
    codes = items.select("item", pl.int_range(pl.len()).alias("code"), "known")
    positive = observed.filter(pl.col("time").is_not_null())
    positive = positive.join(codes.filter("known") if dataset.unknown_items == "reject" else codes, on="item")
    write_frame(job.path("positive-events"), positive.select("time", pl.col("code").cast(pl.Int32).alias("item")).sort("time", "item"))
    files = dict(sorted((part.block.file_order, part.block.path) for part in scanned))
    written = tuple(each for part in scanned for each in part.written)
    return Index(files, bounds(_ended(dataset, job), first_us, last_us), first_us, last_us, counts, written)


def _no_events(scanned: list[Scanned], counts: Counts, job: Job) -> InputError:
    first, *others = dict.fromkeys(part.block.path for part in scanned)
    files = f"{first} and {len(others):,} other files" if others else first
    folder = "" if counts.numbers else f"is this the right data folder ({job.data_root}), and "
    return InputError(
        f"expected events in {files}, kept none ({counts.summary() or 'no row'}); {folder}does the dataset file say what its columns mean?"
    )


def _write_tables(ids: pl.Series, job: Job) -> tuple[pl.DataFrame, Counts]:
    """Read the catalogue, the users and their second ids, and write them for later steps and the service.

    Returns:
        The item index of the log's `ids` and the catalogue's, and the tables' counts.
    """
    dataset = _dataset(job.dataset)
    counts = {what: Counts() for what in ("items", "users", "identities")}
    tables = {
        what: read_table(table, dataset.input_features(what), job.data_root, counts[what])
        for what, table in (("items", dataset.items), ("users", dataset.users))
        if table is not None
    }
    catalogue = tables.get("items")
    items = build_item_index(ids, catalogue, dataset.input_features("items") if catalogue is not None else ())
    write_frame(job.path("index"), items)
    if catalogue is not None and FROM in catalogue.columns:
        write_frame(job.path("item-versions"), version_rows(items["item"], catalogue, dataset.input_features("items")))
    if "users" in tables:
        write_frame(job.path("users"), tables["users"])
    for what, table in tables.items():
        by = [ID, FROM] if FROM in table.columns else [ID]
        name = what.removesuffix("s")
        write_bytes(os.path.join(job.state, "catalogue", f"{what}.parquet"), to_parquet(table.sort(by).rename({ID: name})))
    if dataset.identities is not None:
        identities = read_identities(dataset.identities, job.data_root, counts["identities"])
        write_bytes(os.path.join(job.state, "catalogue", "identities.parquet"), to_parquet(identities.rename({ID: "id"})))
    return items, merged(merged([part], prefix=f"{what}: ") for what, part in counts.items())


def sources_read(scanned: list[Scanned], *, last_us: int, job: Job) -> bytes:
    """Describe the state's data for readers that add later events to it: files' names, the newest event, and the end
    of the run's data."""
    files = sorted({posixpath.basename(part.block.path) for part in scanned})
    return json.dumps({"files": files, "last_us": last_us, "ends_us": job.ends_us}).encode()


def _ended(dataset: Dataset, job: Job) -> Dataset:
    """Drop the dataset's own end where the run has one: then the last event that is kept ends the test window."""
    if job.ends_us is None:
        return dataset
    return dataset.model_copy(update={"windows": dataset.windows.model_copy(update={"until": None})})


def requests_step(partition: int, job: Job, index: Index, received: Inbox, out: Outbox) -> Counts:
    """Attribute the actions that name a request of a block and aren't its user's, or have no user."""
    counts = Counts()
    if any(each.kind in ("shown", "userless") for each in index.written):
        attribute_requests(received, _dataset(job.dataset), HashedOutbox(out, f"{partition:06d}", job.partitions), counts)
    return counts


def _returns_elsewhere(dataset: Dataset) -> bool:
    """Return whether a return may take back an action on a request of another block."""
    return bool(dataset.takes_back) and shows_lists(dataset)


def users_step(partition: int, job: Job, index: Index, received: Inbox, out: Outbox) -> Counts:
    """Form a block's requests, and write the events that their items' state needs."""
    dataset, counts = _dataset(job.dataset), Counts()
    events = concatenated(received, "events")
    assert events is not None
    claims, assigned = read_claims(received)
    if assigned is not None:
        events = pl.concat([events, assigned], how="diagonal")
    users = _frame("users", job) if dataset.serving.segment and dataset.users is not None else None
    log = LogContext(_frame("index", job), index.window, _frame("positive-events", job), index.files, users)
    block = build_user_block(events, dataset, log, counts, claims=claims)
    writer = f"{partition:06d}"
    for kind, rows in (("item-rows", block.item_rows), ("segment-rows", block.segment_rows)):
        if rows is not None:
            out.rows(kind, writer, rows, rows["item"].to_numpy() % job.partitions)
    if _returns_elsewhere(dataset):
        returned = block.requests.outcome.returned
        returned = pl.DataFrame(schema=RETURNED) if returned is None else returned
        out.rows("returned", writer, returned, hash_partitions(returned["block_hash"], job.partitions))
    out.content("requests", partition, pickle.dumps(replace(block, item_rows=block.item_rows.clear(), segment_rows=None), protocol=5))
    return counts


def items_step(partition: int, job: Job, received: Inbox, out: Outbox) -> Counts:
    """Replay a block of items, and write their state at each candidate and at the end."""
    dataset = _dataset(job.dataset)
    plan = plan_of(dataset, "item")
    if plan is not None:
        # A user block's number is its writer's name.
        rows = [frame.with_columns(pl.lit(int(writer or 0), pl.Int64).alias("origin")) for writer, frame in received.frames("item-rows")]
        known, items, state = replay_item_block(pl.concat(rows), dataset)
        out.rows("item-state", f"{partition:06d}", known.drop("origin"), known["origin"].to_numpy())
        ids = _frame("index", job)["item"].gather(items).to_list()
        _save(os.path.join(job.state, "items", f"part-{partition:05d}.parquet"), lambda path: save(state, ids, plan, path))
        if dataset.serving.segment:
            segment_rows = concatenated(received, "segment-rows")
            assert segment_rows is not None
            keys, segment_state = replay_segment_block(segment_rows, _frame("index", job)["item"], dataset)
            _save(os.path.join(job.state, "items", f"segments-{partition:05d}.parquet"), lambda path: save(segment_state, keys, plan, path))
    return Counts()


def write_step(partition: int, job: Job, received: Inbox) -> Counts:
    """Write a block's examples and its users' state."""
    dataset, counts = _dataset(job.dataset), Counts()
    block: UserBlock = pickle.loads(received.content("requests"))
    if _returns_elsewhere(dataset):
        returned = concatenated(received, "returned")
        assert returned is not None
        outcome = subtract_returns(block.requests.outcome, returned, dataset, counts)
        block = replace(block, requests=replace(block.requests, outcome=outcome))
    item_state = concatenated(received, "item-state")
    if item_state is None:
        item_state = pl.DataFrame({"slot": []}, schema={"slot": pl.Int64})
    users = _frame("users", job) if dataset.users is not None else None
    versions = _item_versions(job) if dataset.items is not None and dataset.items.valid_from is not None else None
    columns = fields(
        block, item_state=item_state, items=_frame("index", job), users=users, dataset=dataset, counts=counts, versions=versions
    )
    row = block.requests.candidates["row"].to_numpy()
    sizes = np.bincount(row, minlength=len(block.split))
    positive = np.bincount(row, block.requests.outcome.labels.max(axis=1), minlength=len(block.split)) > 0
    for code, split in enumerate(SPLITS):
        rows = np.flatnonzero(block.split == code)
        counts.add(f"examples: {split} requests", len(rows))
        counts.add(f"examples: {split} candidates", int(sizes[rows].sum()))
        counts.add(f"examples: {split} requests without a positive", int((~positive[rows]).sum()))
        name = f"part-{partition:05d}-of-{job.partitions:05d}"
        with created(os.path.join(job.examples, f"Split-{split}", name)) as out:
            for chunk in records(columns, rows):
                out.write(chunk.data)
    plan = plan_of(dataset, "user")
    if plan is not None and block.state is not None and "user" in {role for source in dataset.events for role in source.columns.named()}:
        state = block.state
        _save(os.path.join(job.state, "users", f"part-{partition:05d}.parquet"), lambda path: save(state, block.users, plan, path))
    return counts


def _save(target: str, write: Callable[[Path], None]) -> None:
    """Write a file by a local path, then copy it to its target."""
    with tempfile.TemporaryDirectory() as folder:
        local = Path(folder) / "part.parquet"
        write(local)
        write_bytes(target, local.read_bytes())
