"""Read and clean the event rows in one pass, as ingestion does, and keep what the checks need: about 50 bytes an
event."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import polars as pl

from components.contract.dataset import Dataset
from components.contract.errors import InputError
from components.contract.sources import ListRows, Rows, Sampling
from components.contract.userless import lacks_user
from components.ingest.counts import LINE, Counts
from components.ingest.events.clean_events import FrameContext, clean
from components.ingest.events.event_columns import FILE_SHIFT, content_columns, event_features, impression_code
from components.ingest.events.source_columns import Absent, event_columns, missing_event_columns
from components.ingest.formats.readers import frames
from components.ingest.requests.claims import shows_lists
from components.ingest.sources.blocks import ROW, Block
from components.ingest.sources.column_selection import ColumnSelection
from components.ingest.sources.files import layout
from components.ingest.tables.second_ids import resolve_users
from components.ingest.tables.table_rows import ID
from components.state.versions import FROM
from components.validate.attribution import AttributionStats, ListLog, add_frame
from components.validate.check import EXAMPLES
from components.validate.frequent_values import ROLES, FrequentValues
from components.validate.row_location import format_values, locate
from components.validate.tables import TableCheck, missing

_KEPT = ["key", "time"]


@dataclass
class FlawedRows:
    """How many rows have a flaw, such as an id that a table lacks, and examples of them."""

    rows: int = 0
    examples: list[str] = field(default_factory=list)


@dataclass
class EventScan:
    """The result of one pass over the events."""

    counts: Counts = field(default_factory=Counts)  # of cleaning
    problems: dict[str, list[str]] = field(default_factory=dict)  # why files couldn't be read, by kind
    actions: dict[str, int] = field(default_factory=dict)  # rows of each
    unknown: dict[str, FlawedRows] = field(default_factory=lambda: {"items": FlawedRows(), "users": FlawedRows()})  # ids that a table lacks
    # candidates and requests of which a table has rows, but all of a later time
    early: dict[str, FlawedRows] = field(default_factory=lambda: {"items": FlawedRows(), "users": FlawedRows()})
    queried: dict[str, int] = field(default_factory=lambda: {"items": 0, "users": 0})  # candidates and requests looked up in a table
    empty: dict[str, int] = field(default_factory=dict)  # candidates that lack a feature
    shown_rows: int = 0  # candidates
    positives: int = 0  # of them, in data of rows
    backwards: FlawedRows = field(default_factory=FlawedRows)  # events whose time goes back while their order goes on
    attributed: ListLog = field(default_factory=ListLog)  # lists and label actions, where lists were shown
    measured: AttributionStats | None = None
    distinct: list[pl.DataFrame] = field(default_factory=list)  # hash of each clean event, and its seq
    moments: list[pl.DataFrame] = field(default_factory=list)  # time and seq of each event
    shown: list[pl.DataFrame] = field(default_factory=list)  # key and time of requests, where no lists were shown
    frequent: dict[str, FrequentValues] = field(default_factory=lambda: {role: FrequentValues() for role in ROLES})  # events of each id
    paths: dict[int, tuple[str, int]] = field(default_factory=dict)  # number of a file -> path, index of its source
    absent: list[tuple[int, Absent]] = field(default_factory=list)  # of each block: index of its source, the columns that its file lacks
    lines: dict[int, list[pl.DataFrame]] = field(default_factory=dict)  # number of a file -> ROW and LINE of its rows


def scan_events(dataset: Dataset, data_root: str, *, now_us: int, tables: Mapping[str, TableCheck]) -> EventScan:
    """Read all events.

    Args:
        dataset: the dataset file.
        data_root: the folder of relative paths.
        now_us: events later than this have a wrong clock.
        tables: what is known of those of "items", "users" and "identities" that there are.

    Raises:
        InputError: there is no event file at all, or no row in any.
    """
    scan = EventScan()
    for block in layout(dataset, data_root).blocks:
        scan.paths[block.file_order] = (block.path, block.source)
        try:
            anonymous = lacks_user(dataset, dataset.events[block.source])
            for events in _clean_frames(dataset, block, now_us, scan, tables):
                _add(scan, events, dataset, tables, anonymous=anonymous)
        except InputError as error:
            for kind, message in _causes(dataset, block, error, scan):
                scan.problems.setdefault(kind, []).append(message)
    if nowhere := missing_event_columns(dataset, scan.absent):
        scan.problems["columns"] = sorted([*scan.problems.get("columns", []), *nowhere.values()])
    return scan


def locate_event(scan: EventScan, dataset: Dataset, seq: int) -> str:
    """Return file and row of an event, from its `seq`."""
    path, source = scan.paths[seq >> FILE_SHIFT]
    row = seq & ((1 << FILE_SHIFT) - 1)
    for part in scan.lines.get(seq >> FILE_SHIFT, ()):
        at = int(part[ROW].search_sorted(row))
        if at < len(part) and part[ROW][at] == row:
            row = part[LINE][at]
            break
    return locate(path, row, dataset.events[source])


def _clean_frames(dataset: Dataset, block: Block, now_us: int, scan: EventScan, tables: Mapping[str, TableCheck]) -> Iterator[pl.DataFrame]:
    source = dataset.events[block.source]
    selection = event_columns(dataset, source)
    identities = tables["identities"].identities if "identities" in tables else None
    for raw in frames(block, source, selection, scan.counts):
        if LINE in raw.columns:
            scan.lines.setdefault(block.file_order, []).append(raw.select(ROW, LINE))
        events = clean(raw, dataset, FrameContext(block, now_us), scan.counts)
        yield events if identities is None else resolve_users(events, identities, scan.counts)
    scan.absent.append((block.source, selection.absent))


def _causes(dataset: Dataset, block: Block, error: InputError, scan: EventScan) -> Iterator[tuple[str, str]]:
    """Yield all missing columns of a file, where the error names only the first; or the error itself."""
    source = dataset.events[block.source]
    needed = event_columns(dataset, source)
    selection = ColumnSelection(needed.columns, frozenset(needed.columns), needed.optional)
    try:
        for _ in frames(block, source, selection, Counts()):
            pass
    except InputError:
        yield "files", str(error)
        return
    absent = selection.absent or {}
    scan.absent.append((block.source, {name: sentence for name, sentence in absent.items() if name in needed.optional}))
    yield from (("columns", sentence) for name, sentence in absent.items() if name not in needed.optional)
    if absent.keys() <= needed.optional:
        yield "types", str(error)


def _add(scan: EventScan, events: pl.DataFrame, dataset: Dataset, tables: Mapping[str, TableCheck], *, anonymous: bool) -> None:
    if not len(events):
        return
    names = list(dataset.actions)
    for code, rows in events["action"].value_counts().iter_rows():
        if 0 <= code < len(names):
            scan.actions[names[code]] = scan.actions.get(names[code], 0) + rows
    for table, role in (("items", "item"), ("users", "user")):
        ids = tables[table].ids if table in tables else None
        if ids is not None:
            absent = events.filter((pl.col(role) != "") & ~pl.col(role).is_in(ids.implode()))
            _add_flawed(scan, dataset, scan.unknown[table], absent, role)
    impression = impression_code(dataset)
    logged = events
    if isinstance(dataset.candidates, ListRows):
        # Of a list's rows only the one in the log counts as an event.
        logged = events.filter(pl.col("action") != impression)
    contents = [name for name in content_columns(logged) if name != "request" or not isinstance(dataset.candidates, ListRows)]
    scan.distinct.append(logged.select(logged.select(contents).hash_rows().alias("hash"), pl.col("seq")))
    scan.moments.append(logged.select("time", "seq"))
    for role, frequent in scan.frequent.items():
        frequent.add(logged[role])
    _requests(scan, events, dataset, tables, impression)
    if shows_lists(dataset):
        known = tables["items"].ids if dataset.unknown_items == "reject" and "items" in tables else None
        add_frame(scan.attributed, events, dataset, anonymous=anonymous, known=known)
    _backwards(scan, logged, dataset)


def _requests(scan: EventScan, events: pl.DataFrame, dataset: Dataset, tables: Mapping[str, TableCheck], impression: int | None) -> None:
    labels = [list(dataset.actions).index(name) for name in dataset.label_gains]
    keyed = events.with_columns(pl.struct("user", "session", "request").hash().alias("key"))
    match dataset.candidates:
        case Rows():
            requests = keyed.with_columns(pl.col("seq").alias("key").cast(pl.UInt64))
            scan.positives += int((events["label"] > 0).sum())
        case Sampling(group=group):
            requests = keyed.filter(pl.col("action").is_in(labels))
            if group == "event":
                requests = requests.with_columns(pl.col("seq").alias("key").cast(pl.UInt64))
        case _:
            requests = keyed.filter(pl.col("action") == impression)
    scan.shown_rows += len(requests)
    _early(scan, requests, dataset, tables)
    for feature in event_features(dataset):
        scan.empty[feature.name] = scan.empty.get(feature.name, 0) + missing(requests[f"f:{feature.name}"])
    if not shows_lists(dataset):
        scan.shown.append(requests.select(_KEPT).unique())


def _early(scan: EventScan, requests: pl.DataFrame, dataset: Dataset, tables: Mapping[str, TableCheck]) -> None:
    """Count candidates and requests whose rows in a table all have a later time."""
    for table, role, rows in (("items", "item", requests), ("users", "user", requests.unique("key", keep="first", maintain_order=True))):
        first = tables[table].first if table in tables else None
        if first is not None:
            scan.queried[table] += len(rows)
            since = rows.select(role, "seq", "time").join(first, left_on=role, right_on=ID, how="inner", maintain_order="left")
            _add_flawed(scan, dataset, scan.early[table], since.filter(pl.col("time") < pl.col(FROM)), role)


def _backwards(scan: EventScan, events: pl.DataFrame, dataset: Dataset) -> None:
    """Count events of a session whose time goes back while their `order` goes on."""
    if any(source.columns.order is None for source in dataset.events):
        return
    by = ["user", "session"]
    ordered = events.sort(*by, "order", "seq")
    back = ordered.filter((pl.col("time") < pl.col("time").shift(1).over(by)) & (pl.col("order") > pl.col("order").shift(1).over(by)))
    _add_flawed(scan, dataset, scan.backwards, back, "order")


def _add_flawed(scan: EventScan, dataset: Dataset, flawed: FlawedRows, rows: pl.DataFrame, column: str) -> None:
    flawed.rows += len(rows)
    for seq, value in rows.select("seq", column).head(EXAMPLES - len(flawed.examples)).iter_rows():
        flawed.examples.append(f"{locate_event(scan, dataset, seq)}: {format_values({column: value})}")


def duplicates(scan: EventScan) -> pl.DataFrame:
    """Return the events that repeat an earlier one exactly, by `seq`."""
    if not scan.distinct:
        return pl.DataFrame(schema={"seq": pl.Int64})
    return pl.concat(scan.distinct).sort("hash", "seq").filter(~pl.col("hash").is_first_distinct()).select("seq").sort("seq")
