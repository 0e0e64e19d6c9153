"""Attribute each action to the list it came from, or give the cause why it belongs to none."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from components.ingest.requests.nearest_list import join_nearest

# Why an action has no list of its own user. CROSS_USER and the causes are written between the steps.
ATTRIBUTED, CROSS_USER = 0, 1  # it has a list of its own user's; it belongs to a request of another user
BEFORE, LATE, OTHER, ITEM, REQUEST, NEVER = 2, 3, 4, 5, 6, 7
POPULAR = 8  # of sampled candidates
CAUSES = {
    BEFORE: "before its list",
    LATE: "too late",
    OTHER: "other shopper",
    ITEM: "item not in the list",
    REQUEST: "no such request",
    NEVER: "never shown to the shopper",
}
UNLABELLED = CAUSES | {POPULAR: "of an item too popular for so many negatives of each positive"}

REMEDIES = {
    CAUSES[BEFORE]: "clocks differ: say by how much in `skew`, or mend `timezone`",
    CAUSES[LATE]: "actions come later than `attribution` says",
    CAUSES[OTHER]: "several shoppers have lists of that id: declare the role `session`, or make the ids unique",
    CAUSES[ITEM]: "the list of that id doesn't show the item: are both columns the right ones?",
    CAUSES[REQUEST]: "no list has that id: are impressions missing, or ids written in two ways?",
    CAUSES[NEVER]: "name the request in the log, or raise `unattributed` where shoppers find items elsewhere",
}


class Attribution(NamedTuple):
    """Labels of N candidates for A actions; of M interactions their candidate, ATTRIBUTED or the cause why they have
    none, and the time of their list.

    `moments` is of interactions that are stamped earlier than their list, within the tolerance; elsewhere their own
    time.
    """

    labels: NDArray[np.uint8]  # (N, A) 1 where the candidate got the action
    slots: NDArray[np.int64]  # (M,) 0..N-1, the candidate; -1 for none
    causes: NDArray[np.int8]  # (M,)
    moments: NDArray[np.int64]  # (M,)


def attribute(
    candidates: pl.DataFrame, interactions: pl.DataFrame, *, actions: Sequence[int], window_us: int, skew_us: int = 0
) -> Attribution:
    """Attribute interactions to candidates.

    An interaction that names its request counts for the item there: of several requests of that id for the one of its
    own session, and of these for the last. One that names none counts for the user's last request that showed the item
    (of several at one moment: the last by name). Both only if it comes no earlier than `skew_us` before the request,
    and within the window.

    Args:
        candidates: key, request, session, item, time (us, of the request); N rows by request, an item once in a
            request.
        interactions: key, request (null for none), session (0 for none), item, time, action; M rows.
        actions: which actions are labels, in the labels' order.
        window_us: how long after its request an action counts.
        skew_us: how much earlier than its request it may be stamped.
    """
    slots = candidates.select("key", "request", "session", "item", shown="time").with_row_index("slot")
    rows = interactions.select("key", "request", "session", "item", "time").with_row_index("at")
    named, free = rows.filter(pl.col("request").is_not_null()), rows.filter(pl.col("request").is_null())
    slot, causes = np.full(len(rows), -1, np.int64), np.full(len(rows), REQUEST, np.int8)
    moments = interactions["time"].to_numpy().astype(np.int64, copy=True)
    if len(named):
        _named(slots, named, slot, causes, window_us=window_us, skew_us=skew_us)
    if len(free):
        _free(slots, free, slot, causes, window_us=window_us, skew_us=skew_us)
    if skew_us:
        home = slot >= 0
        moments[home] = np.maximum(moments[home], candidates["time"].to_numpy()[slot[home]])
        # Whatever its item, an action that names a request came after it.
        requests = slots.unique(["key", "request", "session", "shown"])
        after = join_nearest(_with_limit(named, skew_us), requests, ["key", "request"], on="until", list_time="shown")
        at = after["at"].to_numpy()
        moments[at] = np.maximum(moments[at], after["shown"].to_numpy())
    labels = np.zeros((len(candidates), len(actions)), np.uint8)
    action_codes = interactions["action"].to_numpy()
    for column, action in enumerate(actions):
        labels[slot[(action_codes == action) & (slot >= 0)], column] = 1
    return Attribution(labels, slot, causes, moments)


def _named(
    slots: pl.DataFrame, named: pl.DataFrame, slot: NDArray[np.int64], causes: NDArray[np.int8], *, window_us: int, skew_us: int
) -> None:
    """Fill in the slots and causes of interactions that name their request."""
    inside = pl.col("shown").is_between(pl.col("time") - window_us, pl.col("time") + skew_us)
    own = (pl.col("session") == pl.col("session_right")).alias("own")
    matches = named.join(slots, on=["key", "request", "item"], how="inner").filter(inside).select("at", "slot", "shown", "session", own)
    if matches["at"].n_unique() < len(matches):
        matches = matches.sort("at", "own", "shown", "slot").unique("at", keep="last", maintain_order=True)
    strange = matches.filter(~pl.col("own") & (pl.col("session") != 0)).select("at")
    if len(strange):
        # The session's own request of that id takes precedence, even if it lacks the item.
        own_lists = named.join(strange, on="at", how="semi").join(slots, on=["key", "request", "session"], how="inner").filter(inside)
        matches = matches.join(own_lists, on="at", how="anti")
    at = matches["at"].to_numpy()
    slot[at], causes[at] = matches["slot"].to_numpy(), ATTRIBUTED
    lost = named.join(matches, on="at", how="anti")
    if not len(lost):
        return
    lists = slots.unique(["key", "request", "shown"]).select("key", "request", "shown")
    by = ["key", "request"]
    before = join_nearest(_with_limit(lost, skew_us), lists, by, on="until", list_time="shown")
    after = join_nearest(_with_limit(lost, skew_us + 1), lists, by, on="until", list_time="shown", strategy="forward")
    near = lost.select("at", "time").join(before.select("at", before="shown"), on="at", how="left")
    near = near.join(after.select("at", after="shown"), on="at", how="left")
    cause = pl.when(pl.col("before") >= pl.col("time") - window_us).then(ITEM).otherwise(out_of_window())
    causes[near["at"].to_numpy()] = near.select(cause.cast(pl.Int8)).to_series().to_numpy()


def out_of_window() -> pl.Expr:
    """Return the cause where no request is in the window: by the nearest of those `before` and `after` an action's
    `time`, if there is one."""
    early = pl.col("after").is_not_null() & (
        pl.col("before").is_null() | (pl.col("after") - pl.col("time") <= pl.col("time") - pl.col("before"))
    )
    return pl.when(early).then(BEFORE).when(pl.col("before").is_not_null()).then(LATE).otherwise(REQUEST)


def _free(
    slots: pl.DataFrame, free: pl.DataFrame, slot: NDArray[np.int64], causes: NDArray[np.int8], *, window_us: int, skew_us: int
) -> None:
    """Fill in the slots and causes of interactions that name no request."""
    last = join_nearest(_with_limit(free, skew_us), slots.sort("request", "slot"), ["key", "item"], on="until", list_time="shown")
    causes[free["at"].to_numpy()] = NEVER
    inside = (last["shown"] >= last["time"] - window_us).to_numpy()
    at = last["at"].to_numpy()
    slot[at[inside]] = last["slot"].to_numpy()[inside]
    causes[at] = np.where(inside, ATTRIBUTED, LATE)
    lost = free.filter(pl.Series(causes[free["at"].to_numpy()] == NEVER))
    if len(lost):
        shown_later = lost.join(slots, on=["key", "item"], how="semi")
        causes[shown_later["at"].to_numpy()] = BEFORE


def _with_limit(interactions: pl.DataFrame, tolerance_us: int) -> pl.DataFrame:
    """Add `until`: the time plus a tolerance, up to which an interaction's list may be stamped."""
    return interactions.with_columns(until=pl.col("time") + tolerance_us)
