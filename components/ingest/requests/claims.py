"""Attribute actions across blocks of users: those on a list of another user, and those that name no user.

A claim is an action that names a request which isn't among its user's own in the same frame. The scan writes the
claims, and which requests were shown to whom, both partitioned by a hash of the request's id. Each block of requests
joins the two, and writes for the blocks of users which actions belong to whose lists.
"""

from dataclasses import dataclass, field

import numpy as np
import polars as pl
from numpy.typing import NDArray

from components.contract.dataset import Dataset
from components.contract.sources import Impressions, ListRows
from components.ingest.counts import Counts
from components.ingest.events.event_columns import LOGGED_USER, content_columns, impression_code, logged_user
from components.ingest.exchange.interface import Inbox, Outbox, concatenated
from components.ingest.requests.attribution import ATTRIBUTED, CROSS_USER
from components.ingest.requests.list_owners import NOBODY, resolve, shared_ids
from components.ingest.requests.nearest_list import join_nearest
from components.ingest.requests.request_identity import gap_us, names_sessions
from components.ingest.requests.splits import label_window_us, skew_us

HASH_SEED = 1
_GUEST_SEED = 2
_ROW = ["seq", "item", "action"]  # these identify an action
_SHOWN = {"rid": pl.UInt64, "uid": pl.UInt64, "user": pl.String, "session": pl.String, "time": pl.Int64}

VERDICTS = {"seq": pl.Int64, "item": pl.String, "verdict": pl.Int8, "moment": pl.Int64, "block_hash": pl.UInt64}
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
class Claims:
    """What a block of users needs to know of actions on lists of other blocks."""

    # its own actions not on its own lists: verdict (CROSS_USER or a cause), block_hash (of the block that has the list)
    verdicts: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=VERDICTS))
    foreign: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=FOREIGN))  # other users' actions that belong to its requests


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


def user_partitions(events: pl.DataFrame, hashes: Hashes, fallback: pl.Expr, *, partitions: int) -> NDArray[np.int64]:
    """Return (N,) the block of users of each event: by its user, or a guest's request, or else by `fallback`."""
    who = hashes.user
    guests = who == 0
    if guests.any():
        who = hashes.request.zip_with(guests, who)
        if (who == 0).any():
            who = events.select(fallback.hash(HASH_SEED)).to_series().zip_with(who == 0, who)
    return hash_partitions(who, partitions)


def hash_partitions(hashes: pl.Series, partitions: int) -> NDArray[np.int64]:
    """Return the partition of each hash."""
    return (hashes % partitions).cast(pl.Int64).to_numpy()


@dataclass(frozen=True)
class HashedOutbox:
    """Write frames partitioned by a hash of their rows."""

    outbox: Outbox
    writer: str
    partitions: int

    def write(self, kind: str, rows: pl.DataFrame, hashes: pl.Series, *, suffix: str = "") -> None:
        """Write rows, if there are any; `suffix` distinguishes frames of one kind."""
        if len(rows):
            self.outbox.rows(kind, self.writer + suffix, rows, hash_partitions(hashes, self.partitions))


def write_claims(
    events: pl.DataFrame, hashes: Hashes, dataset: Dataset, out: HashedOutbox, *, anonymous: bool
) -> tuple[pl.DataFrame, Hashes]:
    """Write the events that the blocks of requests need of a frame.

    Args:
        events: clean events.
        hashes: of their requests and users.
        dataset: the dataset file.
        out: where to write.
        anonymous: the source has no users: an action without one isn't a guest's.

    Returns:
        The events except actions without user that name a request, and their hashes.
    """
    keyed = events.with_columns(hashes.request.alias("rid"), hashes.user.alias("uid"))
    impression = pl.col("action") == impression_code(dataset)
    visit = ["session"] if names_sessions(dataset) else []
    differs = pl.any_horizontal(pl.col(name) != pl.col(name).shift(1) for name in ("rid", "uid", "time", "action", *visit))
    listed = keyed.filter(impression & differs.fill_null(value=True)).select("rid", "uid", "user", "session", "time")
    out.write("shown", listed, listed["rid"])
    acted = pl.col("action").is_in(attributed_actions(dataset)) & (pl.col("rid") != 0) & (pl.col("uid") != 0)
    named = ("rid", "uid", logged_user(keyed), "request", "session", "item", "time", "action", "seq", *dataset.amounts)
    claims = keyed.filter(acted).select(*named)
    claims = claims.filter(~_has_own_list(claims, listed, dataset))
    if len(claims):
        out.write("claims", claims.join(_contents(events, claims), on=_ROW, how="left"), claims["rid"])
    if (hashes.user == 0).any():
        nobody = keyed.select((pl.col("uid") == 0) & (pl.col("rid") != 0) & ~impression).to_series()
        userless = keyed.filter(nobody).with_columns(pl.lit(anonymous).alias("anonymous"))
        out.write("userless", userless, userless["rid"])
        events, hashes = events.filter(~nobody), hashes[~nobody]
    return events, hashes


def _contents(events: pl.DataFrame, claims: pl.DataFrame) -> pl.DataFrame:
    """Hash the content of each claim's row, by which its repetitions are recognised."""
    rows = events.join(claims.select(_ROW), on=_ROW, how="semi").unique(_ROW, keep="first", maintain_order=True)
    return rows.select(*_ROW, rows.select(content_columns(rows)).hash_rows().alias("content"))


def _has_own_list(named: pl.DataFrame, listed: pl.DataFrame, dataset: Dataset) -> pl.Series:
    """Return which actions have a list of their own user and id in the same frame, within the window."""
    actions = named.select("rid", "uid", "time").with_row_index("at").with_columns(until=pl.col("time") + skew_us(dataset))
    lists = listed.select("rid", "uid", seen="time")
    near = join_nearest(actions, lists, ["rid", "uid"], on="until", list_time="seen")
    inside = near.filter(pl.col("seen") >= pl.col("time") - label_window_us(dataset))
    own = np.zeros(len(named), np.bool_)
    own[inside["at"].to_numpy()] = True
    return pl.Series(own, dtype=pl.Boolean)


def with_owner(frame: pl.DataFrame, dataset: Dataset, *, anonymous: bool = False) -> pl.DataFrame:
    """Return rows with `owner`, the hash of their user (of a guest: of the session, where sessions are named), and the
    session's hash.

    Args:
        frame: rid, uid (0: none), session (text), time; of actions without user also whether they are `anonymous`, and
            not a guest's.
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


def attribute_requests(received: Inbox, dataset: Dataset, out: HashedOutbox, counts: Counts) -> None:
    """Attribute the actions that name the requests of one block, and write the results for the blocks of users.

    Args:
        received: of the scan, in a log that shows lists or has actions without user.
        dataset: the dataset file.
        out: where to write.
        counts: gets how many ids several users have.
    """
    rows = concatenated(received, "shown")
    shown = pl.DataFrame(schema=_SHOWN) if rows is None else rows
    lists = with_owner(shown, dataset)
    counts.add("told apart: request ids that several shoppers have", shared_ids(lists)["rid"].n_unique())
    claims, userless = concatenated(received, "claims"), concatenated(received, "userless")
    named = [part["rid"] for part in (claims, userless) if part is not None and len(part)]
    if not named:
        return
    needed = shown["rid"].is_in(pl.concat(named).unique().implode())
    shown, lists = shown.filter(needed), lists.filter(needed)
    single = lists.select(pl.struct(pl.all()).is_first_distinct()).to_series()
    shown, lists = shown.filter(single), lists.filter(single)

    def resolved(rows: pl.DataFrame, *, anonymous: bool = False) -> pl.DataFrame:
        owned = with_owner(rows, dataset, anonymous=anonymous)
        verdicts = resolve(owned, lists, window_us=label_window_us(dataset), skew_us=skew_us(dataset), pause_us=gap_us(dataset))
        block_hash = pl.when(pl.col("uid") != 0).then("uid").otherwise("rid")
        owners = shown.select(block_hash.alias("block_hash"), owner="user", guest="session", owner_uid="uid").with_row_index("shown")
        return rows.hstack(verdicts).join(owners, on="shown", how="left", maintain_order="left")

    if claims is not None and len(claims):
        elsewhere = resolved(claims).filter(pl.col("verdict") != ATTRIBUTED)
        out.write("verdicts", elsewhere.select(*VERDICTS), elsewhere["uid"], suffix="-claimed")
        # The block of the action's user drops its repetitions; so must the block of the request's.
        foreign = elsewhere.filter(pl.col("verdict") == CROSS_USER).unique("content", keep="first", maintain_order=True)
        out.write("foreign", foreign.select(*FOREIGN, *dataset.amounts), foreign["block_hash"])
    if userless is not None and len(userless):
        _assign_users(resolved(userless, anonymous=True), userless, dataset, out)


def _assign_users(resolved: pl.DataFrame, userless: pl.DataFrame, dataset: Dataset, out: HashedOutbox) -> None:
    """Write actions without user as those of the user whose request they name; the rest keep none, with the cause."""
    owned = pl.col("verdict").is_in([ATTRIBUTED, CROSS_USER])
    guests = owned & (pl.col("owner_uid") == 0)
    rows = resolved.with_columns(
        pl.when(owned).then("owner").otherwise(pl.lit("")).alias("user"),
        pl.when(owned).then(pl.lit("")).alias(LOGGED_USER),
        pl.when(guests).then("guest").otherwise("session").alias("session"),
    )
    kept = [column for column in userless.columns if column not in ("rid", "uid", "anonymous", LOGGED_USER)]
    lost = rows.filter(~owned & pl.col("action").is_in(attributed_actions(dataset)))
    to = rows.select(pl.when(owned & (pl.col("owner_uid") != 0)).then("owner_uid").otherwise("rid")).to_series()
    out.write("assigned", rows.select(*kept, LOGGED_USER), to)
    out.write("verdicts", lost.select(*VERDICTS), lost["rid"], suffix="-userless")


def read_claims(received: Inbox) -> tuple[Claims, pl.DataFrame | None]:
    """Read a block's claims, and the actions without user that were attributed to its users or guests."""
    verdicts, foreign = concatenated(received, "verdicts"), concatenated(received, "foreign")
    nothing = Claims()
    claims = Claims(nothing.verdicts if verdicts is None else verdicts, nothing.foreign if foreign is None else foreign)
    return claims, concatenated(received, "assigned")
