"""One pass over the event rows: read and cleaned as ingestion does it; what the checks need is kept, some 50 bytes an event."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import polars as pl

from components.contract.dataset import Dataset
from components.contract.errors import InputError
from components.contract.sources import ListRows, Rows, Sampling
from components.ingest.cleaning import Moment, clean, raw_columns
from components.ingest.counts import LINE, Counts
from components.ingest.event_columns import FILE_SHIFT, event_features, impression_code
from components.ingest.files import Block, layout
from components.ingest.reading import ROW, frames
from components.validate.check import EXAMPLES
from components.validate.place import place, shown
from components.validate.tables import missing

_KEPT = ["key", "time"]


@dataclass
class Unknown:
    """Ids of events that a table lacks."""

    rows: int = 0
    examples: list[str] = field(default_factory=list)


@dataclass
class Tally:
    """What one pass over the events found.

    `counts`: what cleaning counted. `problems`: why files couldn't be read. `actions`: rows of each.
    `distinct`: a hash of each clean event and its place. `moments`: time and place of all events. `shown`, `acted`: key of a request
    and the time it was shown, or got its first labelled action. `shown_rows`: candidates; `positives`: of them, in data of rows.
    `free`: labelled actions that name no request. `empty`: candidates that lack a feature. `paths`: of each file, with its source.
    `lines`: the numbers of a file's rows and where they are to be looked up, where the numbers don't say it.
    """

    counts: Counts = field(default_factory=Counts)
    problems: dict[str, list[str]] = field(default_factory=dict)
    actions: dict[str, int] = field(default_factory=dict)
    unknown: dict[str, Unknown] = field(default_factory=lambda: {"items": Unknown(), "users": Unknown()})
    empty: dict[str, int] = field(default_factory=dict)
    shown_rows: int = 0
    positives: int = 0
    free: int = 0
    backwards: Unknown = field(default_factory=Unknown)
    distinct: list[pl.DataFrame] = field(default_factory=list)
    moments: list[pl.DataFrame] = field(default_factory=list)
    shown: list[pl.DataFrame] = field(default_factory=list)
    acted: list[pl.DataFrame] = field(default_factory=list)
    paths: dict[int, tuple[str, int]] = field(default_factory=dict)  # place of a file -> path, place of its source
    lines: dict[int, list[pl.DataFrame]] = field(default_factory=dict)  # place of a file -> ROW and LINE of its rows


def tally(dataset: Dataset, data_root: str, *, now_us: int, known: dict[str, pl.Series | None]) -> Tally:
    """Read all events.

    Args:
        dataset: the dataset file.
        data_root: where its paths are looked up.
        now_us: events later than this have a wrong clock.
        known: ids of the tables "items" and "users"; None where there is no such table.

    Raises:
        InputError: there is no event file at all, or no row in any.
    """
    found = Tally()
    for block in layout(dataset, data_root).blocks:
        found.paths[block.file_order] = (block.path, block.source)
        try:
            for events in _clean_frames(dataset, block, now_us, found):
                _add(found, events, dataset, known)
        except InputError as error:
            for kind, message in _causes(dataset, block, error):
                found.problems.setdefault(kind, []).append(message)
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
    return place(path, row, dataset.events[source].format)


def _clean_frames(dataset: Dataset, block: Block, now_us: int, found: Tally) -> Iterator[pl.DataFrame]:
    source = dataset.events[block.source]
    for raw in frames(block, source, raw_columns(dataset, source), found.counts):
        if LINE in raw.columns:
            found.lines.setdefault(block.file_order, []).append(raw.select(ROW, LINE))
        yield clean(raw, dataset, Moment(block, now_us), found.counts)


def _causes(dataset: Dataset, block: Block, error: InputError) -> Iterator[tuple[str, str]]:
    """All missing columns of a file, where the error tells of the first; or the error itself."""
    source = dataset.events[block.source]
    columns = raw_columns(dataset, source)
    lacking = {}
    for name in columns:
        try:
            next(frames(block, source, (name,), Counts()), None)
        except InputError as single:
            lacking[name] = str(single)
    if lacking and len(lacking) < len(columns):
        yield from (("columns", message) for message in lacking.values())
    else:
        yield "files" if lacking else "types", str(error)


def _add(found: Tally, events: pl.DataFrame, dataset: Dataset, known: dict[str, pl.Series | None]) -> None:
    if not len(events):
        return
    names = list(dataset.actions)
    for code, rows in events["action"].value_counts().iter_rows():
        if 0 <= code < len(names):
            found.actions[names[code]] = found.actions.get(names[code], 0) + rows
    for table, role in (("items", "item"), ("users", "user")):
        ids = known[table]
        if ids is not None:
            lacking = events.filter((pl.col(role) != "") & ~pl.col(role).is_in(ids.implode()))
            _note(found, dataset, found.unknown[table], lacking, role)
    impression = impression_code(dataset)
    logged = events
    if isinstance(dataset.candidates, ListRows):
        # Of a list's rows only the one in the log counts as an event.
        logged = events.filter(pl.col("action") != impression)
    vectors = [name for name, kind in events.schema.items() if isinstance(kind, pl.Array)]
    request = ["request"] if isinstance(dataset.candidates, ListRows) else []
    found.distinct.append(logged.select(logged.drop("seq", *vectors, *request).hash_rows().alias("hash"), pl.col("seq")))
    found.moments.append(logged.select("time", "seq"))
    _requests(found, events, dataset, impression)
    _backwards(found, logged, dataset)


def _requests(found: Tally, events: pl.DataFrame, dataset: Dataset, impression: int | None) -> None:
    labels = [list(dataset.actions).index(name) for name in dataset.label_gains]
    keyed = events.with_columns(pl.struct("user", "request").hash().alias("key"))
    match dataset.candidates:
        case Rows():
            requests, acted = keyed.with_columns(pl.col("seq").alias("key").cast(pl.UInt64)), keyed.clear()
            found.positives += int((events["label"] > 0).sum())
        case Sampling(group=group):
            requests, acted = keyed.filter(pl.col("action").is_in(labels)), keyed.clear()
            if group == "event":
                requests = requests.with_columns(pl.col("seq").alias("key").cast(pl.UInt64))
        case _:
            requests, acted = keyed.filter(pl.col("action") == impression), keyed.filter(pl.col("action").is_in(labels))
            if isinstance(dataset.candidates, ListRows):
                acted = acted.join(requests, on=["key", "item"], how="semi")
            found.free += int((acted["request"] == "").sum())
            acted = acted.filter(pl.col("request") != "")
    found.shown_rows += len(requests)
    for feature in event_features(dataset):
        found.empty[feature.name] = found.empty.get(feature.name, 0) + missing(requests[f"f:{feature.name}"])
    for rows, kept in ((requests, found.shown), (acted, found.acted)):
        kept.append(rows.select(_KEPT).group_by("key").agg(pl.col("time").min()))


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
