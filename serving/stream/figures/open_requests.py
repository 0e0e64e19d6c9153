"""Join impressions with the actions that follow from them, in whatever order both come."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
import polars as pl
from numpy.typing import DTypeLike, NDArray

from components.ingest.requests.attribution import CAUSES, ITEM, attribute
from components.ingest.requests.list_owners import resolve
from components.ingest.requests.request_identity import with_moments
from serving.stream.figures.chained_ring import ChainedRing, Rows, distinct

NOT_ATTRIBUTED = 0  # where an action has a request's number
_MOST_OF_A_KEY = 4096  # rows of one shopper or request id that are looked at: a robot's past costs no more
_CLAIM_CAUSES = [cause for cause in CAUSES if cause != ITEM]


@dataclass(frozen=True)
class JoinRules:
    """Hold the dataset's rules: how long after its request an action counts, how much earlier it may be stamped, and
    the longest pause within one request; label actions by their code, and those whose amounts count."""

    window_us: int
    skew_us: int
    gap_us: int
    actions: tuple[int, ...]
    amount_actions: tuple[int, ...]
    amounts: tuple[str, ...]


@dataclass
class JoinCounts:
    """Count what is left out."""

    dropped_requests: int = 0  # open ones that made room
    late_requests: int = 0  # that came after their window was over
    late_actions: int = 0  # on requests that were final


@final
class OpenRequests:
    """Hold the requests whose window isn't over, with their impressions and actions, in memory of a fixed size.

    A batch changes only the actions in it, and those stored whose list may be another one by an impression in it: of
    its shopper or its request's id. These are attributed anew by ingestion's rules.

    Args:
        rules: of the join.
        most_requests: a power of two; there is room for 8 times as many impressions, and twice as many actions.
    """

    def __init__(self, rules: JoinRules, most_requests: int) -> None:
        self._rules = rules
        measures: dict[str, tuple[DTypeLike, int]] = {"clicks": (np.int32, len(rules.actions)), "amounts": (np.float64, len(rules.amounts))}
        ids = dict.fromkeys(("key", "request", "session", "item", "time", "owner"), np.int64)
        self.requests = ChainedRing(
            most_requests,
            {
                "identity": np.int64,
                "key": np.int64,
                "first": np.int64,
                "last": np.int64,
                "combination": np.int32,
                "final": np.bool_,
                **measures,
            },
            chains=("identity",),
        )
        shown = {name: kind for name, kind in ids.items() if name != "time"}
        self._shown = ChainedRing(8 * most_requests, shown, chains=("key", "request"), most=_MOST_OF_A_KEY)
        acted: dict[str, DTypeLike | tuple[DTypeLike, int]] = {**ids, "action": np.int8, "amounts": (np.float64, len(rules.amounts))}
        self._acted = ChainedRing(2 * most_requests, acted, chains=("key", "request"), most=_MOST_OF_A_KEY)
        self._checked = 1  # no request before it waits to become final
        self.counts = JoinCounts()

    def waiting(self) -> Rows:
        """Return the requests that aren't final."""
        rows = np.arange(max(self._checked, self.requests.begin), self.requests.end, dtype=np.int64)
        return np.asarray(rows[~self.requests.get("final", rows)])

    def finalise(self, until_us: int) -> Rows:
        """Make requests up to a time final: no action changes them any more. Return them."""
        waiting = self.waiting()
        over = self.requests.get("first", waiting) <= until_us
        self.requests.set("final", waiting[over], values=True)
        remaining = waiting[~over]
        self._checked = int(remaining[0]) if len(remaining) else self.requests.end
        return waiting[over]

    def knows(self, requests: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return which of these hashes of requests' ids have an impression."""
        return np.isin(requests, self._shown.get("request", self._shown.find("request", requests)))

    def dismiss(self, sampled: Callable[[NDArray[np.int64]], NDArray[np.bool_]]) -> None:
        """Leave out the requests of shoppers who aren't sampled."""
        waiting = self.waiting()
        self.requests.set("final", waiting[~sampled(self.requests.get("key", waiting))], values=True)

    def _drop(self, rows: Rows) -> None:
        """Leave out requests that make room for others, if they aren't final."""
        unfinished = rows[~self.requests.get("final", rows)]
        self.counts.dropped_requests += len(unfinished)
        self.requests.set("final", unfinished, values=True)

    def measures(self, rows: Rows) -> NDArray[np.float64]:
        """Return (R, 1 + actions + amounts) of requests: 1, whether each action followed, and the sums of amounts."""
        clicked = self.requests.get("clicks", rows) > 0
        return np.hstack([np.ones((len(rows), 1)), clicked, self.requests.get("amounts", rows)])

    def new_requests(self, impressions: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
        """Return impressions with `row`, the request they belong to, and the rows that begin a new one.

        Rows of one identity without a long pause are one request, whose time is its first row's.
        """
        pause_us = self._rules.gap_us
        shown = with_moments(impressions.with_columns(stamped="time"), ["identity"], pause_us=pause_us)
        lists = shown.group_by("identity", "time", maintain_order=True).agg(
            pl.col("stamped").max().alias("last"), pl.col("key", "at").first()
        )
        known = self.requests.find("identity", lists["identity"].to_numpy())
        stored = pl.DataFrame({"row": known, **{name: self.requests.get(name, known) for name in ("identity", "first", "last")}})
        near = lists.with_row_index("list").join(stored, on="identity", suffix="_stored")
        near = near.filter((pl.col("time") <= pl.col("last_stored") + pause_us) & (pl.col("last") >= pl.col("first") - pause_us))
        near = near.unique("list", keep="last", maintain_order=True)
        rows = np.zeros(len(lists), np.int64)
        rows[near["list"].to_numpy()] = near["row"].to_numpy()
        spans = near.group_by("row").agg(pl.min_horizontal("time", "first").min(), pl.max_horizontal("last", "last_stored").max())
        self.requests.set("first", spans["row"].to_numpy(), spans["time"].to_numpy())
        self.requests.set("last", spans["row"].to_numpy(), spans["last"].to_numpy())
        unknown = np.flatnonzero(rows == 0)
        rows[unknown] = np.arange(self.requests.end, self.requests.end + len(unknown))
        joined = shown.join(lists.select("identity", "time", pl.Series("row", rows)), on=["identity", "time"], how="left")
        return joined, lists[unknown]

    def open(self, begun: pl.DataFrame, combinations: NDArray[np.int32], *, final_us: int) -> None:
        """Store new requests; those at most as late as `final_us` come too late to count."""
        self._drop(self.requests.oldest(len(begun)))
        late = begun["time"].to_numpy() <= final_us
        self.counts.late_requests += int(late.sum())
        self.requests.append(
            identity=begun["identity"].to_numpy(),
            key=begun["key"].to_numpy(),
            first=begun["time"].to_numpy(),
            last=begun["last"].to_numpy(),
            combination=combinations,
            final=late,
            clicks=np.zeros((len(begun), len(self._rules.actions)), np.int32),
            amounts=np.zeros((len(begun), len(self._rules.amounts))),
        )

    def join(self, impressions: pl.DataFrame, actions: pl.DataFrame) -> None:
        """Store impressions, whose requests are stored, and actions, and attribute what they change."""
        names = ("key", "request", "session", "item")
        # A request whose impressions are replaced by others can't be joined any more.
        replaced = distinct(self._shown.get("owner", self._shown.oldest(len(impressions))))
        self._drop(replaced[self.requests.held(replaced)])
        self._shown.append(**{name: impressions[name].to_numpy() for name in names}, owner=impressions["row"].to_numpy())
        amounts = actions.select(self._rules.amounts).to_numpy().reshape(len(actions), len(self._rules.amounts)).astype(np.float64)
        amounts[~np.isin(actions["action"].to_numpy(), self._rules.amount_actions)] = 0.0
        columns = {name: actions[name].to_numpy() for name in (*names, "time", "action")}
        new = self._acted.append(**columns, amounts=amounts, owner=np.zeros(len(actions), np.int64))
        affected = distinct(np.concatenate([new, self._changed_by(impressions)]))
        if len(affected):
            self._assign(affected, self._attributed(affected))

    def _changed_by(self, impressions: pl.DataFrame) -> Rows:
        """Return the stored actions that may belong to one of these impressions: of its shopper or its request's id,
        and not before the request."""
        begun = impressions.with_columns(pl.Series("begun", self.requests.get("first", impressions["row"].to_numpy()), dtype=pl.Int64))
        rows = []
        for chain in ("key", "request"):
            stored = self._acted.find(chain, impressions[chain].to_numpy())
            if len(stored):
                acted = pl.DataFrame({"row": stored, chain: self._acted.get(chain, stored), "acted": self._acted.get("time", stored)})
                first = begun.group_by(chain).agg(pl.col("begun").min())
                after = acted.join(first, on=chain).filter(pl.col("acted") + self._rules.skew_us >= pl.col("begun"))
                rows.append(after["row"].to_numpy())
        return np.concatenate(rows) if rows else np.empty(0, np.int64)

    def _attributed(self, rows: Rows) -> Rows:
        """Return the request of each action by ingestion's rules, NOT_ATTRIBUTED where there is none."""
        rules = self._rules
        actions = pl.DataFrame({name: self._acted.get(name, rows) for name in ("key", "request", "session", "item", "time", "action")})
        actions = actions.with_columns(pl.when(pl.col("request") != 0).then("request"))
        lists = self._lists(actions)
        if not len(lists):
            return np.full(len(rows), NOT_ATTRIBUTED, np.int64)
        owners = lists["owner"].to_numpy()
        windows = {"window_us": rules.window_us, "skew_us": rules.skew_us}
        first = attribute(lists, actions, actions=[], **windows)
        result = np.where(first.slots >= 0, owners[first.slots], NOT_ATTRIBUTED)
        # Where the shopper has no request of that id in the window, it may be another's, as before a login.
        named = actions["request"].is_in(lists["request"].implode()).fill_null(value=False).to_numpy()
        of_others = np.flatnonzero(np.isin(first.causes, _CLAIM_CAUSES) & named)
        if len(of_others):
            claims, shown = _claims(actions[of_others]), _claims(lists).unique(maintain_order=True)
            verdicts = resolve(claims, shown, **windows, pause_us=rules.gap_us)
            keys = shown["owner"].gather(verdicts["shown"])
            claimed = actions[of_others].with_columns(keys.alias("key")).filter(keys.is_not_null())
            second = attribute(lists, claimed, actions=[], **windows)
            result[of_others[keys.is_not_null().to_numpy()]] = np.where(second.slots >= 0, owners[second.slots], NOT_ATTRIBUTED)
        return result

    def _lists(self, actions: pl.DataFrame) -> pl.DataFrame:
        """Return the impressions of these shoppers and of these requests' ids, with the time of their request."""
        matches: Sequence[Rows] = [self._shown.find(chain, actions[chain].fill_null(0).to_numpy()) for chain in ("key", "request")]
        rows = distinct(np.concatenate(matches))
        owners = self._shown.get("owner", rows)
        rows, owners = rows[self.requests.held(owners)], owners[self.requests.held(owners)]
        columns = {name: self._shown.get(name, rows) for name in ("key", "request", "session", "item")}
        return pl.DataFrame({**columns, "time": self.requests.get("first", owners), "owner": owners})

    def _assign(self, actions: Rows, owners: Rows) -> None:
        """Move actions to the requests that they belong to now; final requests stay as they are."""
        before = self._acted.get("owner", actions)
        moved = before != owners
        actions, before, owners = actions[moved], before[moved], owners[moved]
        closed = np.zeros(len(actions), np.bool_)
        for side in (before, owners):
            closed |= (side != NOT_ATTRIBUTED) & (~self.requests.held(side) | self.requests.get("final", side))
        self.counts.late_actions += int((closed & (before == NOT_ATTRIBUTED)).sum())
        actions, before, owners = actions[~closed], before[~closed], owners[~closed]
        self._acted.set("owner", actions, owners)
        column = np.searchsorted(self._rules.actions, self._acted.get("action", actions))
        amounts = self._acted.get("amounts", actions)
        for side, sign in ((before, -1), (owners, 1)):
            there = side != NOT_ATTRIBUTED
            self.requests.add("clicks", side[there], sign, column=column[there])
            self.requests.add("amounts", side[there], sign * amounts[there])


def _claims(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.select(pl.col("request").alias("rid"), pl.col("key").alias("owner"), "session", "time")
