"""What the blocks of shoppers must know of one another: whose list an action belongs to that another shopper did, or nobody.

The scan writes which requests were shown to whom, and the actions that name a request which isn't near them among the shopper's own; both
by a hash of the request's id. Where these meet it is settled whose the actions are, and written for the shoppers' blocks.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
import polars as pl
from numpy.typing import NDArray

from components.contract.dataset import Dataset
from components.contract.sources import Impressions, ListRows
from components.ingest.counts import Counts
from components.ingest.event_columns import impression_code
from components.ingest.identity import gap_us, names_sessions
from components.ingest.labels import AWAY, HOME
from components.ingest.owners import NOBODY, resolve, shared_ids
from components.ingest.spill import read_partition, write_partitions
from components.ingest.splits import label_window_us

HASH_SEED = 1
_GUEST_SEED = 2
_ROW = ["seq", "item", "action"]  # by which an action is known

VERDICTS = {"seq": pl.Int64, "item": pl.String, "verdict": pl.Int8, "moment": pl.Int64}
FOREIGN = {
    "user": pl.String,
    "guest": pl.String,  # the session of the request's shopper, where that is a guest
    "request": pl.String,
    "session": pl.String,
    "item": pl.String,
    "time": pl.Int64,
    "action": pl.Int8,
    "seq": pl.Int64,
}


@dataclass(frozen=True)
class Written:
    """Files by what they hold; each is cut by a hash."""

    shown: tuple[str, ...] = ()
    claims: tuple[str, ...] = ()
    userless: tuple[str, ...] = ()


def together(parts: Iterable[Written]) -> Written:
    """The files of many frames, in the order of the parts."""
    kept = list(parts)
    return Written(*(tuple(path for part in kept for path in getattr(part, kind)) for kind in ("shown", "claims", "userless")))


@dataclass(frozen=True)
class Settled:
    """What is written for the shoppers' blocks of the actions of one block of requests; "" where there is nothing."""

    verdicts: str = ""
    foreign: str = ""
    adopted: str = ""


@dataclass(frozen=True)
class Claims:
    """What a block of shoppers is told.

    `verdicts`: of its own actions that aren't of its own requests: seq, item, verdict (AWAY or a cause), moment.
    `foreign`: other shoppers' actions that belong to its requests.
    """

    verdicts: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=VERDICTS))
    foreign: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=FOREIGN))


def skew_us(dataset: Dataset) -> int:
    """How much earlier than its list an action may be stamped, in microseconds."""
    return int(dataset.skew * 1e6)


def attributed_actions(dataset: Dataset) -> list[int]:
    """The codes of the actions whose list is looked for: those with a label; with a tolerance of clocks all that are about an item."""
    names = list(dataset.actions)
    shown = impression_code(dataset)
    wanted = [name for name, action in dataset.actions.items() if action.label > 0 or (dataset.skew > 0 and action.item)]
    return [names.index(name) for name in wanted if names.index(name) != shown]


def shows_lists(dataset: Dataset) -> bool:
    """Whether actions belong to lists that were shown."""
    return isinstance(dataset.candidates, Impressions | ListRows)


def partition_of(events: pl.DataFrame, request: pl.Series, alone: pl.Expr, *, partitions: int) -> NDArray[np.int64]:
    """(N,) which block of shoppers each event goes to: by its user, or a guest's request (hashed as `request`), or else by `alone`."""
    guest = pl.when(pl.col("request") != "").then(request).otherwise(alone.hash(HASH_SEED))
    who = pl.when(pl.col("user") != "").then(pl.col("user").hash(HASH_SEED)).otherwise(guest)
    return events.select((who % partitions).cast(pl.Int64)).to_series().to_numpy()


def split_off(
    events: pl.DataFrame, request: pl.Series, dataset: Dataset, *, anonymous: bool, path: str, name: str, partitions: int
) -> tuple[pl.DataFrame, Written]:
    """Write what the blocks of requests need of a frame's events.

    Args:
        events: clean events.
        request: (N,) the hashes of their requests' ids.
        dataset: the dataset file.
        anonymous: the source has no users: an action without one isn't a guest's.
        path: folder of the files.
        name: of this frame's files.
        partitions: into how many blocks they are cut.

    Returns:
        The events without the actions of nobody that name a request, and the files.
    """
    impression = pl.col("action") == impression_code(dataset)
    keyed = events.select("time", "user", "request", "session", "item", "action", "seq", request.alias("rid"))
    listed = keyed.filter(impression).select("rid", "user", "session", "time")
    changed = pl.any_horizontal(pl.col(column) != pl.col(column).shift(1) for column in ("rid", "time", "user", "session"))
    listed = listed.filter(changed.fill_null(value=True))
    files = {"shown": listed}
    named = keyed.filter(pl.col("action").is_in(attributed_actions(dataset)) & (pl.col("request") != "") & (pl.col("user") != ""))
    claims = named.filter(~_at_home(named, listed, dataset))
    if len(claims):
        files["claims"] = claims.join(_contents(events, claims), on=_ROW, how="left")
    nobody = (events["user"] == "") & (events["request"] != "") & ~events.select(impression).to_series()
    if nobody.any():
        files["userless"] = events.with_columns(request.alias("rid"), pl.lit(anonymous).alias("anonymous")).filter(nobody)
        events = events.filter(~nobody)
    written = {}
    for kind, frame in files.items():
        if len(frame):
            written[kind] = (f"{path}/{kind}/{name}",)
            write_partitions(written[kind][0], frame, _cut(frame["rid"], partitions), partitions=partitions)
    return events, Written(**written)


def _contents(events: pl.DataFrame, claims: pl.DataFrame) -> pl.DataFrame:
    """A hash of what each claim's row says, by which its repetition is known."""
    rows = events.join(claims.select(_ROW), on=_ROW, how="semi").unique(_ROW, keep="first", maintain_order=True)
    names = [column for column, kind in rows.schema.items() if column != "seq" and not isinstance(kind, pl.Array)]
    return rows.select(*_ROW, rows.select(names).hash_rows().alias("content"))


def _cut(hashes: pl.Series, partitions: int) -> NDArray[np.int64]:
    return (hashes % partitions).cast(pl.Int64).to_numpy()


def _at_home(named: pl.DataFrame, listed: pl.DataFrame, dataset: Dataset) -> pl.Series:
    """Which actions have a list of their own shopper's and id, within the window, among those of the same frame."""
    asked = named.select("rid", "user", "time").with_row_index("at").with_columns(until=pl.col("time") + skew_us(dataset)).sort("until")
    near = asked.join_asof(
        listed.filter(pl.col("user") != "").select("rid", "user", seen="time").sort("seen"),
        left_on="until",
        right_on="seen",
        by=["rid", "user"],
        strategy="backward",
        coalesce=False,
        check_sortedness=False,
    )
    inside = (near["seen"] >= near["time"] - label_window_us(dataset)).fill_null(value=False).to_numpy()
    home = np.zeros(len(named), np.bool_)
    home[near["at"].to_numpy()[inside]] = True
    return pl.Series(home, dtype=pl.Boolean)


def owned(frame: pl.DataFrame, dataset: Dataset, *, anonymous: pl.Expr | None = None) -> pl.DataFrame:
    """Rows with `owner`, the hash of their shopper (of a guest: of the session, where such are named), and the session's hash."""
    visit = pl.col("session").hash(_GUEST_SEED)
    guest = visit if names_sessions(dataset) else pl.lit(1, pl.UInt64)
    if anonymous is not None:
        guest = pl.when(anonymous).then(pl.lit(NOBODY, pl.UInt64)).otherwise(guest)
    owner = pl.when(pl.col("user") != "").then(pl.col("user").hash(_GUEST_SEED)).otherwise(guest)
    session = pl.when(pl.col("session") != "").then(visit).otherwise(pl.lit(0, pl.UInt64))
    return frame.select("rid", owner.alias("owner"), session.alias("session"), "time")


def settle(partition: int, files: Written, dataset: Dataset, *, path: str, partitions: int, counts: Counts) -> Settled:
    """Settle whose the actions of one block of requests are, and write it for the blocks of shoppers.

    Args:
        partition: the block of requests.
        files: of all frames.
        dataset: the dataset file.
        path: folder of the files to write.
        partitions: how many blocks there are.
        counts: gets how many ids several shoppers have.
    """
    if not files.shown:
        return Settled()
    shown = read_partition(files.shown, partition)
    lists = owned(shown, dataset)
    counts.add("told apart: request ids that several shoppers have", shared_ids(lists)["rid"].n_unique())
    if not files.claims and not files.userless:
        return Settled()
    single = lists.select(pl.struct(pl.all()).is_first_distinct()).to_series()
    shown, lists = shown.filter(single), lists.filter(single)

    def judged(claims: pl.DataFrame, anonymous: pl.Expr | None = None) -> pl.DataFrame:
        asked = owned(claims, dataset, anonymous=anonymous)
        told = resolve(asked, lists, window_us=label_window_us(dataset), skew_us=skew_us(dataset), pause_us=gap_us(dataset))
        theirs = shown.select(owner="user", guest="session").with_row_index("shown")
        return claims.hstack(told).join(theirs, on="shown", how="left", maintain_order="left")

    verdicts, foreign, adopted = [], [], pl.DataFrame()
    if files.claims:
        claims = read_partition(files.claims, partition)
        claims = judged(claims).filter(pl.col("verdict") != HOME)
        # Each action's own block leaves its repetitions out; so does the other one.
        away = claims.filter(pl.col("verdict") == AWAY).unique("content", keep="first", maintain_order=True)
        away = away.with_columns(pl.col("owner").alias("user"))
        foreign.append(away.select(*FOREIGN))
        verdicts.append(claims.select(pl.col("user").hash(HASH_SEED).alias("to"), *VERDICTS))
    if files.userless:
        claims = read_partition(files.userless, partition)
        own = judged(claims, pl.col("anonymous"))
        theirs = pl.col("verdict").is_in([HOME, AWAY])
        guests = theirs & (pl.col("owner") == "")
        session = pl.when(guests).then("guest").otherwise("session")
        adopted = own.with_columns(pl.when(theirs).then("owner").otherwise(pl.lit("")).alias("user"), session.alias("session"))
        labelled = pl.col("action").is_in(attributed_actions(dataset))
        verdicts.append(adopted.filter(~theirs & labelled).select(pl.col("rid").alias("to"), *VERDICTS))
        to = pl.when(pl.col("user") != "").then(pl.col("user").hash(HASH_SEED)).otherwise("rid")
        adopted = adopted.select(to.alias("to"), *(name for name in claims.columns if name not in ("rid", "anonymous")))
    rows = pl.concat(foreign) if foreign else pl.DataFrame(schema=FOREIGN)
    to = pl.when(pl.col("user") != "").then(pl.col("user").hash(HASH_SEED)).otherwise(pl.col("request").hash(HASH_SEED))
    rows = rows.with_columns(to.alias("to"))

    def written(kind: str, frame: pl.DataFrame) -> str:
        if not len(frame):
            return ""
        name = f"{path}/{kind}/{partition:06d}"
        write_partitions(name, frame.drop("to"), _cut(frame["to"], partitions), partitions=partitions)
        return name

    return Settled(written("verdicts", pl.concat(verdicts)), written("foreign", rows), written("adopted", adopted))


def read_claims(settled: Sequence[Settled], partition: int) -> tuple[Claims, pl.DataFrame | None]:
    """What a block of shoppers is told, and the actions that were found to be its shoppers' or guests'."""

    def read(names: Iterable[str]) -> pl.DataFrame | None:
        kept = [name for name in names if name]
        return read_partition(kept, partition) if kept else None

    verdicts, foreign = read(each.verdicts for each in settled), read(each.foreign for each in settled)
    nothing = Claims()
    claims = Claims(nothing.verdicts if verdicts is None else verdicts, nothing.foreign if foreign is None else foreign)
    return claims, read(each.adopted for each in settled)
