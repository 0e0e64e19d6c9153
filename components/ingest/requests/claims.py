"""Attribute actions across blocks of users: those on a list of another user, and those that name no user.

The scan writes which requests were shown to whom, and the actions that name a request which isn't near them among the
user's own; both by a hash of the request's id. Where these meet it is settled whose the actions are, and written for
the users' blocks.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import polars as pl
from numpy.typing import NDArray

from components.contract.dataset import Dataset
from components.contract.sources import Impressions, ListRows
from components.ingest.counts import Counts
from components.ingest.events.event_columns import LOGGED_USER, content_columns, impression_code, logged_user
from components.ingest.requests.attribution import ATTRIBUTED, CROSS_USER
from components.ingest.requests.list_owners import NOBODY, resolve, shared_ids
from components.ingest.requests.request_identity import gap_us, names_sessions
from components.ingest.requests.splits import label_window_us
from components.ingest.shuffle_files import read_partition, write_partitions

HASH_SEED = 1
_GUEST_SEED = 2
_ROW = ["seq", "item", "action"]  # by which an action is known
_SHOWN = {"rid": pl.UInt64, "uid": pl.UInt64, "user": pl.String, "session": pl.String, "time": pl.Int64}

VERDICTS = {"seq": pl.Int64, "item": pl.String, "verdict": pl.Int8, "moment": pl.Int64, "home": pl.UInt64}
FOREIGN = {  # and the dataset's amounts
    "user": pl.String,  # as the log has it
    "owner": pl.String,  # the request's user, "" for a guest
    "guest": pl.String,  # the session of the request's user, where that is a guest
    "request": pl.String,
    "session": pl.String,
    "item": pl.String,
    "time": pl.Int64,
    "action": pl.Int8,
    "seq": pl.Int64,
}


@dataclass(frozen=True)
class PartitionWriter:
    """Write frames partitioned by a hash of their rows; `name` distinguishes the writers."""

    folder: str
    name: str
    partitions: int

    def write(self, kind: str, rows: pl.DataFrame, hashes: pl.Series) -> str:
        """Write rows; return the file's name, or "" where there are none."""
        if not len(rows):
            return ""
        path = f"{self.folder}/{kind}/{self.name}"
        write_partitions(path, rows, hash_partitions(hashes, self.partitions), partitions=self.partitions)
        return path


@dataclass(frozen=True)
class ScanFiles:
    """The files of the scan by what they hold; each is partitioned by a hash."""

    shown: tuple[str, ...] = ()
    claims: tuple[str, ...] = ()
    userless: tuple[str, ...] = ()


def merge_files(parts: Iterable[ScanFiles]) -> ScanFiles:
    """Concatenate the files of many frames, in the order of the parts."""
    kept = list(parts)
    return ScanFiles(*(tuple(path for part in kept for path in getattr(part, kind)) for kind in ("shown", "claims", "userless")))


@dataclass(frozen=True)
class AttributionFiles:
    """The files that a block of requests writes for the blocks of users; "" where there is nothing."""

    verdicts: str = ""
    foreign: str = ""
    adopted: str = ""
    unowned: str = ""


@dataclass(frozen=True)
class Claims:
    """What a block of users needs to know of actions on lists of other blocks.

    `verdicts`: of its own actions that aren't of its own requests: seq, item, verdict (AWAY or a cause), moment, home
    (the hash by which the block is known that has the request of an AWAY one). `foreign`: other users' actions that
    belong to its requests.
    """

    verdicts: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=VERDICTS))
    foreign: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=FOREIGN))


def skew_us(dataset: Dataset) -> int:
    """Return how much earlier than its list an action may be stamped, in microseconds."""
    return int(dataset.skew * 1e6)


def attributed_actions(dataset: Dataset) -> list[int]:
    """Return the codes of the actions to attribute: those with a label; with a tolerance of clocks all that are
    about an item."""
    names = list(dataset.actions)
    shown = impression_code(dataset)
    attributed = [name for name, action in dataset.actions.items() if action.label > 0 or (dataset.skew > 0 and action.item)]
    return [names.index(name) for name in attributed if names.index(name) != shown]


def shows_lists(dataset: Dataset) -> bool:
    """Return whether actions belong to lists that were shown."""
    return isinstance(dataset.candidates, Impressions | ListRows)


@dataclass(frozen=True)
class Hashes:
    """(N,) the hashes of N events' requests and users; 0 where there is none."""

    request: pl.Series
    user: pl.Series

    def __getitem__(self, kept: pl.Series) -> "Hashes":
        """Select some events."""
        return Hashes(self.request.filter(kept), self.user.filter(kept))


def hashes_of(events: pl.DataFrame) -> Hashes:
    """Return the hashes of events' requests and users."""
    names = ("request", "user")
    hashes = events.select(pl.when(pl.col(name) != "").then(pl.col(name).hash(HASH_SEED)).otherwise(0).alias(name) for name in names)
    return Hashes(*(hashes[name] for name in names))


def user_partitions(events: pl.DataFrame, hashes: Hashes, alone: pl.Expr, *, partitions: int) -> NDArray[np.int64]:
    """Return (N,) the block of users of each event: by its user, or a guest's request, or else by `fallback`."""
    who = hashes.user
    guests = who == 0
    if guests.any():
        who = hashes.request.zip_with(guests, who)
        if (who == 0).any():
            who = events.select(alone.hash(HASH_SEED)).to_series().zip_with(who == 0, who)
    return hash_partitions(who, partitions)


def hash_partitions(hashes: pl.Series, partitions: int) -> NDArray[np.int64]:
    """Return the partition of each hash."""
    return (hashes % partitions).cast(pl.Int64).to_numpy()


def write_claims(
    events: pl.DataFrame, hashes: Hashes, dataset: Dataset, files: PartitionWriter, *, anonymous: bool
) -> tuple[pl.DataFrame, Hashes, ScanFiles]:
    """Write the events that the blocks of requests need of a frame.

    Args:
        events: clean events.
        hashes: of their requests and users.
        dataset: the dataset file.
        files: where to write.
        anonymous: the source has no users: an action without one isn't a guest's.

    Returns:
        The events without the actions of nobody that name a request, their hashes, and the files.
    """
    keyed = events.with_columns(hashes.request.alias("rid"), hashes.user.alias("uid"))
    impression = pl.col("action") == impression_code(dataset)
    visit = ["session"] if names_sessions(dataset) else []
    differs = pl.any_horizontal(pl.col(name) != pl.col(name).shift(1) for name in ("rid", "uid", "time", "action", *visit))
    listed = keyed.filter(impression & differs.fill_null(value=True)).select("rid", "uid", "user", "session", "time")
    parts = {"shown": listed}
    acted = pl.col("action").is_in(attributed_actions(dataset)) & (pl.col("rid") != 0) & (pl.col("uid") != 0)
    named = ("rid", "uid", logged_user(keyed), "request", "session", "item", "time", "action", "seq", *dataset.amounts)
    claims = keyed.filter(acted).select(*named)
    claims = claims.filter(~_at_home(claims, listed, dataset))
    if len(claims):
        parts["claims"] = claims.join(_contents(events, claims), on=_ROW, how="left")
    if (hashes.user == 0).any():
        nobody = keyed.select((pl.col("uid") == 0) & (pl.col("rid") != 0) & ~impression).to_series()
        parts["userless"] = keyed.filter(nobody).with_columns(pl.lit(anonymous).alias("anonymous"))
        events, hashes = events.filter(~nobody), hashes[~nobody]
    return events, hashes, ScanFiles(**{kind: (files.write(kind, part, part["rid"]),) for kind, part in parts.items() if len(part)})


def _contents(events: pl.DataFrame, claims: pl.DataFrame) -> pl.DataFrame:
    """Hash the content of each claim's row, by which its repetitions are recognised."""
    rows = events.join(claims.select(_ROW), on=_ROW, how="semi").unique(_ROW, keep="first", maintain_order=True)
    return rows.select(*_ROW, rows.select(content_columns(rows)).hash_rows().alias("content"))


def _at_home(named: pl.DataFrame, listed: pl.DataFrame, dataset: Dataset) -> pl.Series:
    """Return which actions have a list of their own user and id in the same frame, within the window."""
    actions = named.select("rid", "uid", "time").with_row_index("at").with_columns(until=pl.col("time") + skew_us(dataset)).sort("until")
    near = actions.join_asof(
        listed.select("rid", "uid", seen="time").sort("seen"),
        left_on="until",
        right_on="seen",
        by=["rid", "uid"],
        strategy="backward",
        coalesce=False,
        check_sortedness=False,
    )
    inside = (near["seen"] >= near["time"] - label_window_us(dataset)).fill_null(value=False).to_numpy()
    home = np.zeros(len(named), np.bool_)
    home[near["at"].to_numpy()[inside]] = True
    return pl.Series(home, dtype=pl.Boolean)


def with_owner(frame: pl.DataFrame, dataset: Dataset, *, anonymous: bool = False) -> pl.DataFrame:
    """Return rows with `owner`, the hash of their user (of a guest: of the session, where sessions are named), and the
    session's hash.

    Args:
        frame: rid, uid (0: nobody), session (text), time; where it is of nobody's actions, also whether they are
            `anonymous`, no guests'.
        dataset: the dataset file.
        anonymous: whether there is such a column.
    """
    visit = pl.col("session").hash(_GUEST_SEED)
    guest = visit if names_sessions(dataset) else pl.lit(1, pl.UInt64)
    if anonymous:
        guest = pl.when(pl.col("anonymous")).then(pl.lit(NOBODY, pl.UInt64)).otherwise(guest)
    owner = pl.when(pl.col("uid") != 0).then("uid").otherwise(guest)
    session = pl.when(pl.col("session") != "").then(visit).otherwise(pl.lit(0, pl.UInt64))
    return frame.select("rid", owner.alias("owner"), session.alias("session"), "time")


def attribute_requests(partition: int, written: ScanFiles, dataset: Dataset, files: PartitionWriter, counts: Counts) -> AttributionFiles:
    """Attribute the actions that name the requests of one block, and write the results for the blocks of users.

    Args:
        partition: the block of requests.
        written: by the scan of all frames.
        dataset: the dataset file.
        files: where to write.
        counts: gets how many ids several users have.
    """
    if not written.shown and not written.userless:
        return AttributionFiles()
    shown = read_partition(written.shown, partition) if written.shown else pl.DataFrame(schema=_SHOWN)
    lists = with_owner(shown, dataset)
    counts.add("told apart: request ids that several shoppers have", shared_ids(lists)["rid"].n_unique())
    claims = read_partition(written.claims, partition) if written.claims else None
    userless = read_partition(written.userless, partition) if written.userless else None
    asked = [part["rid"] for part in (claims, userless) if part is not None and len(part)]
    if not asked:
        return AttributionFiles()
    needed = shown["rid"].is_in(pl.concat(asked).unique().implode())
    shown, lists = shown.filter(needed), lists.filter(needed)
    single = lists.select(pl.struct(pl.all()).is_first_distinct()).to_series()
    shown, lists = shown.filter(single), lists.filter(single)

    def judged(rows: pl.DataFrame, *, anonymous: bool = False) -> pl.DataFrame:
        asked = with_owner(rows, dataset, anonymous=anonymous)
        told = resolve(asked, lists, window_us=label_window_us(dataset), skew_us=skew_us(dataset), pause_us=gap_us(dataset))
        home = pl.when(pl.col("uid") != 0).then("uid").otherwise("rid")
        theirs = shown.select(home.alias("home"), owner="user", guest="session", owner_uid="uid").with_row_index("shown")
        return rows.hstack(told).join(theirs, on="shown", how="left", maintain_order="left")

    found = AttributionFiles()
    if claims is not None and len(claims):
        apart = judged(claims).filter(pl.col("verdict") != ATTRIBUTED)
        found = replace(found, verdicts=files.write("verdicts", apart.select(*VERDICTS), apart["uid"]))
        # Each action's own block leaves its repetitions out; so does the other one.
        away = apart.filter(pl.col("verdict") == CROSS_USER).unique("content", keep="first", maintain_order=True)
        found = replace(found, foreign=files.write("foreign", away.select(*FOREIGN, *dataset.amounts), away["home"]))
    if userless is not None and len(userless):
        found = replace(found, **_adopted(judged(userless, anonymous=True), userless, dataset, files))
    return found


def _adopted(judged: pl.DataFrame, userless: pl.DataFrame, dataset: Dataset, files: PartitionWriter) -> dict[str, str]:
    """Write actions without user as those of the user whose request they name; the rest keep none, with the cause."""
    theirs = pl.col("verdict").is_in([ATTRIBUTED, CROSS_USER])
    guests = theirs & (pl.col("owner_uid") == 0)
    rows = judged.with_columns(
        pl.when(theirs).then("owner").otherwise(pl.lit("")).alias("user"),
        pl.when(theirs).then(pl.lit("")).alias(LOGGED_USER),
        pl.when(guests).then("guest").otherwise("session").alias("session"),
    )
    kept = [column for column in userless.columns if column not in ("rid", "uid", "anonymous", LOGGED_USER)]
    lost = rows.filter(~theirs & pl.col("action").is_in(attributed_actions(dataset)))
    to = rows.select(pl.when(theirs & (pl.col("owner_uid") != 0)).then("owner_uid").otherwise("rid")).to_series()
    return {
        "adopted": files.write("adopted", rows.select(*kept, LOGGED_USER), to),
        "unowned": files.write("unowned", lost.select(*VERDICTS), lost["rid"]),
    }


def read_claims(settled: Sequence[AttributionFiles], partition: int) -> tuple[Claims, pl.DataFrame | None]:
    """Read a block's claims, and the actions without user that were attributed to its users or guests."""

    def read(names: Iterable[str]) -> pl.DataFrame | None:
        kept = [name for name in names if name]
        return read_partition(kept, partition) if kept else None

    verdicts = read(name for each in settled for name in (each.verdicts, each.unowned))
    foreign = read(each.foreign for each in settled)
    nothing = Claims()
    claims = Claims(nothing.verdicts if verdicts is None else verdicts, nothing.foreign if foreign is None else foreign)
    return claims, read(each.adopted for each in settled)
