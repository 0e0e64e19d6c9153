"""One pass over the event rows: read and cleaned as ingestion does it; what the checks need is kept, some 50 bytes an event."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
import polars as pl

from components.contract.dataset import Dataset
from components.contract.errors import InputError
from components.contract.sources import ListRows, Rows, Sampling
from components.contract.userless import lacks_user
from components.ingest.counts import LINE, Counts
from components.ingest.events.clean_events import Moment, clean
from components.ingest.events.event_columns import FILE_SHIFT, content_columns, event_features, impression_code
from components.ingest.events.source_columns import Absent, event_columns, missing_event_columns
from components.ingest.formats.readers import ROW, frames
from components.ingest.requests.claims import shows_lists
from components.ingest.sources.column_selection import Wanted
from components.ingest.sources.files import Block, layout
from components.ingest.tables.second_ids import resolved
from components.ingest.tables.table_rows import ID
from components.state.versions import FROM
from components.validate.attribution import Measured, note
from components.validate.attribution import Shown as ShownAndDone
from components.validate.check import EXAMPLES
from components.validate.frequent_values import ROLES, FrequentValues
from components.validate.row_location import place, shown
from components.validate.tables import TableFound, missing

_KEPT = ["key", "time"]


@dataclass
class Unknown:
    """Rows of events that something is wrong with, such as ids that a table lacks."""

    rows: int = 0
    examples: list[str] = field(default_factory=list)


@dataclass
class Tally:
    """What one pass over the events found.

    `counts`: what cleaning counted. `problems`: why files couldn't be read. `actions`: rows of each.
    `distinct`: a hash of each clean event and its place. `moments`: time and place of all events. `shown`: key of a request
    and its time, `attributed`: lists and labelled actions, where lists were shown. `shown_rows`: candidates; `positives`: of them, in data
    of rows. `empty`: candidates that lack a feature. `frequent`: events of each id. `paths`: of each file, with its source.
    `lines`: the numbers of a file's rows and where they are to be looked up, where the numbers don't say it.
    `early`: of the candidates and of the requests (`asked`), those of which a table has rows, but all of a later time.
    """

    counts: Counts = field(default_factory=Counts)
    problems: dict[str, list[str]] = field(default_factory=dict)
    actions: dict[str, int] = field(default_factory=dict)
    unknown: dict[str, Unknown] = field(default_factory=lambda: {"items": Unknown(), "users": Unknown()})
    early: dict[str, Unknown] = field(default_factory=lambda: {"items": Unknown(), "users": Unknown()})
    asked: dict[str, int] = field(default_factory=lambda: {"items": 0, "users": 0})
    empty: dict[str, int] = field(default_factory=dict)
    shown_rows: int = 0
    positives: int = 0
    backwards: Unknown = field(default_factory=Unknown)
    attributed: ShownAndDone = field(default_factory=ShownAndDone)
    measured: Measured | None = None
    distinct: list[pl.DataFrame] = field(default_factory=list)
    moments: list[pl.DataFrame] = field(default_factory=list)
    shown: list[pl.DataFrame] = field(default_factory=list)
    frequent: dict[str, FrequentValues] = field(default_factory=lambda: {role: FrequentValues() for role in ROLES})
    paths: dict[int, tuple[str, int]] = field(default_factory=dict)  # place of a file -> path, place of its source
    absent: list[tuple[int, Absent]] = field(default_factory=list)  # of each block: place of its source, the columns that its file lacks
    lines: dict[int, list[pl.DataFrame]] = field(default_factory=dict)  # place of a file -> ROW and LINE of its rows


def tally(dataset: Dataset, data_root: str, *, now_us: int, tables: Mapping[str, TableFound]) -> Tally:
    """Read all events.

    Args:
        dataset: the dataset file.
        data_root: where its paths are looked up.
        now_us: events later than this have a wrong clock.
        tables: what is known of those of "items", "users" and "identities" that there are.

    Raises:
        InputError: there is no event file at all, or no row in any.
    """
    found = Tally()
    for block in layout(dataset, data_root).blocks:
        found.paths[block.file_order] = (block.path, block.source)
        try:
            anonymous = lacks_user(dataset, dataset.events[block.source])
            for events in _clean_frames(dataset, block, now_us, found, tables):
                _add(found, events, dataset, tables, anonymous=anonymous)
        except InputError as error:
            for kind, message in _causes(dataset, block, error, found):
                found.problems.setdefault(kind, []).append(message)
    if nowhere := missing_event_columns(dataset, found.absent):
        found.problems["columns"] = sorted([*found.problems.get("columns", []), *nowhere.values()])
    return found


def where_it_stands(found: Tally, dataset: Dataset, seq: int) -> str:
    """File and row of an event, from its place in the log."""
    path, source = found.paths[seq >> FILE_SHIFT]
    row = seq & ((1 << FILE_SHIFT) - 1)
    for part in found.lines.get(seq >> FILE_SHIFT, ()):
        at = int(part[ROW].search_sorted(row))
        if at < len(part) and part[ROW][at] == row:
            row = part[LINE][at]
            break
    return place(path, row, dataset.events[source])


def _clean_frames(dataset: Dataset, block: Block, now_us: int, found: Tally, tables: Mapping[str, TableFound]) -> Iterator[pl.DataFrame]:
    source = dataset.events[block.source]
    wanted = event_columns(dataset, source)
    identities = tables["identities"].identities if "identities" in tables else None
    for raw in frames(block, source, wanted, found.counts):
        if LINE in raw.columns:
            found.lines.setdefault(block.file_order, []).append(raw.select(ROW, LINE))
        events = clean(raw, dataset, Moment(block, now_us), found.counts)
        yield events if identities is None else resolved(events, identities, found.counts)
    found.absent.append((block.source, wanted.absent))


def _causes(dataset: Dataset, block: Block, error: InputError, found: Tally) -> Iterator[tuple[str, str]]:
    """All missing columns of a file, where the error tells of the first; or the error itself."""
    source = dataset.events[block.source]
    needed = event_columns(dataset, source)
    wanted = Wanted(needed.columns, frozenset(needed.columns), needed.optional)
    try:
        for _ in frames(block, source, wanted, Counts()):
            pass
    except InputError:
        yield "files", str(error)
        return
    absent = wanted.absent or {}
    found.absent.append((block.source, {name: sentence for name, sentence in absent.items() if name in needed.optional}))
    yield from (("columns", sentence) for name, sentence in absent.items() if name not in needed.optional)
    if absent.keys() <= needed.optional:
        yield "types", str(error)


def _add(found: Tally, events: pl.DataFrame, dataset: Dataset, tables: Mapping[str, TableFound], *, anonymous: bool) -> None:
    if not len(events):
        return
    names = list(dataset.actions)
    for code, rows in events["action"].value_counts().iter_rows():
        if 0 <= code < len(names):
            found.actions[names[code]] = found.actions.get(names[code], 0) + rows
    for table, role in (("items", "item"), ("users", "user")):
        ids = tables[table].ids if table in tables else None
        if ids is not None:
            lacking = events.filter((pl.col(role) != "") & ~pl.col(role).is_in(ids.implode()))
            _note(found, dataset, found.unknown[table], lacking, role)
    impression = impression_code(dataset)
    logged = events
    if isinstance(dataset.candidates, ListRows):
        # Of a list's rows only the one in the log counts as an event.
        logged = events.filter(pl.col("action") != impression)
    contents = [name for name in content_columns(logged) if name != "request" or not isinstance(dataset.candidates, ListRows)]
    found.distinct.append(logged.select(logged.select(contents).hash_rows().alias("hash"), pl.col("seq")))
    found.moments.append(logged.select("time", "seq"))
    for role, frequent in found.frequent.items():
        frequent.add(logged[role])
    _requests(found, events, dataset, tables, impression)
    if shows_lists(dataset):
        known = tables["items"].ids if dataset.unknown_items == "reject" and "items" in tables else None
        note(found.attributed, events, dataset, anonymous=anonymous, known=known)
    _backwards(found, logged, dataset)


def _requests(found: Tally, events: pl.DataFrame, dataset: Dataset, tables: Mapping[str, TableFound], impression: int | None) -> None:
    labels = [list(dataset.actions).index(name) for name in dataset.label_gains]
    keyed = events.with_columns(pl.struct("user", "session", "request").hash().alias("key"))
    match dataset.candidates:
        case Rows():
            requests = keyed.with_columns(pl.col("seq").alias("key").cast(pl.UInt64))
            found.positives += int((events["label"] > 0).sum())
        case Sampling(group=group):
            requests = keyed.filter(pl.col("action").is_in(labels))
            if group == "event":
                requests = requests.with_columns(pl.col("seq").alias("key").cast(pl.UInt64))
        case _:
            requests = keyed.filter(pl.col("action") == impression)
    found.shown_rows += len(requests)
    _early(found, requests, dataset, tables)
    for feature in event_features(dataset):
        found.empty[feature.name] = found.empty.get(feature.name, 0) + missing(requests[f"f:{feature.name}"])
    if not shows_lists(dataset):
        found.shown.append(requests.select(_KEPT).unique())


def _early(found: Tally, requests: pl.DataFrame, dataset: Dataset, tables: Mapping[str, TableFound]) -> None:
    """Candidates and requests that a table knows something of, but only later."""
    for table, role, rows in (("items", "item", requests), ("users", "user", requests.unique("key", keep="first", maintain_order=True))):
        first = tables[table].first if table in tables else None
        if first is not None:
            found.asked[table] += len(rows)
            since = rows.select(role, "seq", "time").join(first, left_on=role, right_on=ID, how="inner", maintain_order="left")
            _note(found, dataset, found.early[table], since.filter(pl.col("time") < pl.col(FROM)), role)


def _backwards(found: Tally, events: pl.DataFrame, dataset: Dataset) -> None:
    """Events of a session whose time goes back while their `order` goes on."""
    if any(source.columns.order is None for source in dataset.events):
        return
    by = ["user", "session"]
    ordered = events.sort(*by, "order", "seq")
    back = ordered.filter((pl.col("time") < pl.col("time").shift(1).over(by)) & (pl.col("order") > pl.col("order").shift(1).over(by)))
    _note(found, dataset, found.backwards, back, "order")


def _note(found: Tally, dataset: Dataset, unknown: Unknown, rows: pl.DataFrame, column: str) -> None:
    unknown.rows += len(rows)
    for seq, value in rows.select("seq", column).head(EXAMPLES - len(unknown.examples)).iter_rows():
        unknown.examples.append(f"{where_it_stands(found, dataset, seq)}: {shown({column: value})}")


def duplicates(found: Tally) -> pl.DataFrame:
    """Events that stand exactly so before, by place."""
    if not found.distinct:
        return pl.DataFrame(schema={"seq": pl.Int64})
    return pl.concat(found.distinct).sort("hash", "seq").filter(~pl.col("hash").is_first_distinct()).select("seq").sort("seq")


def times(found: Tally) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """The times of all events, in microseconds."""
    return pl.concat(found.moments)["time"].to_numpy() if found.moments else np.empty(0, np.int64)
