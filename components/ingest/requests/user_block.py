"""Build a block of whole users: their requests, the users' state at each, and the events that the items' state
needs."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from components.contract.dataset import Dataset
from components.ingest.counts import NO_LABEL, SAMPLES, Counts
from components.ingest.events.deduplicate import detects_duplicates, drop_repeated
from components.ingest.events.event_columns import FILE_SHIFT, content_columns, impression_code, logged_user
from components.ingest.events.session_hashes import session_hashes
from components.ingest.requests.attribution import UNLABELLED
from components.ingest.requests.claims import Claims
from components.ingest.requests.requests import Requests, build_requests
from components.ingest.requests.segments import segments
from components.ingest.requests.splits import LEFT_OUT, Bounds, assign, assign_by_hash
from components.ingest.sources.sorting import rank_texts, sorted_by
from components.state.features import interactions, plan_of, state_values
from components.state.plan import StatePlan
from components.state.reducer import Features, LogRows, State, empty
from components.state.replay import replay

NO_EVENT = -1


@dataclass(frozen=True)
class UserBlock:
    """R requests of a block with the state of their users."""

    requests: Requests
    split: NDArray[np.int8]  # (R,)
    known: pl.DataFrame  # (R rows) the user's state columns and `interactions`
    history: pl.DataFrame  # one row an event: row (the request), item (code), action, age_s
    # the items' events and queries: item (code), time, action (or NO_EVENT), slot (candidate queried; or -1), stamped
    item_rows: pl.DataFrame
    users: list[str]  # named ones; guests have no state
    state: State | None  # at the end of the data
    segment_rows: pl.DataFrame | None = None  # likewise within segments, with `segment`; None where there are none


@dataclass(frozen=True)
class LogContext:
    """What the blocks of all users share."""

    items: pl.DataFrame  # the item index: a row's index is the item's code
    window: Bounds
    positive_events: pl.DataFrame  # time, item (code) of each event with a label action, by time; for sampling
    files: Mapping[int, str]  # the log's files by number; for samples
    users: pl.DataFrame | None = None  # the users' table, for segments


def build_user_block(events: pl.DataFrame, dataset: Dataset, log: LogContext, counts: Counts, *, claims: Claims | None = None) -> UserBlock:
    """Turn a block of clean events into requests.

    Args:
        events: as cleaning leaves them, of whole users, in the order of the log.
        dataset: the dataset file.
        log: what all blocks share.
        counts: gets what is left out.
        claims: what other blocks know of the actions and requests of these users.
    """
    events = _distinct(events, dataset, counts)
    if claims is not None and len(claims.verdicts):
        verdicts = claims.verdicts.unique(["seq", "item"], keep="first")
        events = events.join(verdicts, on=["seq", "item"], how="left", maintain_order="left")
    events = _ordered(_known(events, dataset, log, counts))
    foreign = _foreign(claims.foreign, events, log.items, dataset) if claims is not None and len(claims.foreign) else None
    requests = build_requests(events, dataset, log.positive_events, counts, window=log.window, foreign=foreign)
    _count_unlabelled(requests.unlabelled, log, counts)
    counts.add("requests formed", len(requests.frame))
    if dataset.windows.by == "hash":
        split = assign_by_hash(requests.frame["request"], dataset.windows, seed=dataset.seed)
    else:
        split = assign(requests.frame["time"].to_numpy(), log.window)
    for code, reason in LEFT_OUT.items():
        counts.add(f"requests left out: {reason}", int((split == code).sum()))
    interactions_only = events.filter(pl.col("action") != impression_code(dataset)) if impression_code(dataset) is not None else events
    interactions_only = _moved(interactions_only, requests.moved)
    item_rows = _item_rows(requests, split, interactions_only, dataset, log.users)
    segment_rows = None
    if dataset.serving.segment:
        within = pl.col("segment").is_not_null() & (pl.col("action") >= 0)
        segment_rows, item_rows = item_rows.filter(within).drop("slot"), item_rows.drop("segment")
    plan = plan_of(dataset, "user")
    assert plan is not None
    first = events.unique("key", keep="first", maintain_order=True).sort("key")
    state, features = _replayed(requests, interactions_only, dataset, plan, keys=len(first))
    known = pl.DataFrame(state_values(dataset, "user", features.values) | {"interactions": interactions(dataset, features.values)})
    named = first["user"] != ""
    return UserBlock(
        requests=requests,
        split=split,
        known=known,
        history=_history(features),
        item_rows=item_rows,
        users=first.filter(named)["user"].to_list(),
        state=State(*(array[named.to_numpy()] for array in state)),
        segment_rows=segment_rows,
    )


def _distinct(events: pl.DataFrame, dataset: Dataset, counts: Counts) -> pl.DataFrame:
    """Drop exact repetitions: rows that agree in everything that is read but their position in the files."""
    if not detects_duplicates(dataset):
        return events
    single = drop_repeated(events, content_columns(events))
    counts.add("left out: exact duplicates", len(events) - len(single))
    return single


def _known(events: pl.DataFrame, dataset: Dataset, log: LogContext, counts: Counts) -> pl.DataFrame:
    """Replace items by their codes (-1: none); count those that the catalogue lacks, and reject them where the
    dataset file says so."""
    events = _coded(events, log.items)
    unknown = (events["item"] != "") & ~events["known"]
    if unknown.any():
        rows = _where(events.filter(unknown).drop("request"), log.files)
        if dataset.unknown_items == "reject":
            counts.reject("an item that the catalogue lacks", rows)
            events = events.filter(~unknown)
        else:
            counts.flaw("with missing values: events of items that the catalogue lacks", rows)
    return events.with_columns(item="code").drop("code", "known")


def _coded(rows: pl.DataFrame, items: pl.DataFrame) -> pl.DataFrame:
    """Add the item's `code` (-1: none), and as `known` whether the catalogue has it."""
    codes = pl.DataFrame({"item": items["item"], "code": np.arange(len(items)), "known": items["known"]})
    rows = rows.join(codes, on="item", how="left", maintain_order="left")
    return rows.with_columns(pl.col("code").fill_null(-1), pl.col("known").fill_null(value=False))


def _ordered(events: pl.DataFrame) -> pl.DataFrame:
    """Add `key` (a user, or a guest's request in its session) and the session's hash, and sort by key and time."""
    events = events.with_columns(pl.Series("session", session_hashes(events["session"])))
    key = rank_texts(events.select(_who(events, "user", "session").alias("key")).to_series())
    return sorted_by(events.with_columns(key), "key", "time", "order", "seq")


def _who(events: pl.DataFrame, user: str, session: str) -> pl.Expr:
    """Return the user; of a guest the request, within its session where sessions are named."""
    if not (events[user] == "").any():
        return pl.col(user)
    guest = pl.when(pl.col("request") != "").then(pl.format("\x00{}\x00{}", "request", session)).otherwise(pl.format("\x00{}", "seq"))
    return pl.when(pl.col(user) != "").then(pl.col(user)).otherwise(guest)


def _foreign(foreign: pl.DataFrame, events: pl.DataFrame, items: pl.DataFrame, dataset: Dataset) -> pl.DataFrame:
    """Return other users' actions with the key of the user whose request they name, in the columns of events."""
    visits = [pl.Series(name, session_hashes(foreign[name])) for name in ("session", "guest")]
    foreign = foreign.with_columns(visits)
    keys = events.select(_who(events, "user", "session").alias("who"), "key").unique("who")
    rows = _coded(foreign, items).with_columns(_who(foreign, "owner", "guest").alias("who")).join(keys, on="who", how="left")
    if dataset.unknown_items == "reject":
        rows = rows.filter(pl.col("known"))
    # Of a user whose lists were all rejected no key remains.
    return rows.with_columns(pl.col("key").fill_null(-1), item="code").sort("seq", "action")


def _moved(events: pl.DataFrame, moved: pl.DataFrame | None) -> pl.DataFrame:
    """Move events that are stamped earlier than their list to the list's time: they can't be known at their own
    request.

    `time` is when the state takes an event in, `stamped` the time of its clock, null where that is the same. Of one
    moment these go first: what is stamped earlier came after the list in fact.
    """
    if moved is None:
        return events.with_columns(pl.lit(None, pl.Int64).alias("stamped"))
    late = events.join(moved.unique(["seq", "item"]).rename({"moment": "shown"}), on=["seq", "item"], how="left", maintain_order="left")
    stamped = pl.when(pl.col("shown").is_not_null()).then("time").alias("stamped")
    late = late.with_columns(stamped, pl.coalesce("shown", "time").alias("time")).drop("shown")
    return late.sort("key", "time", "stamped", "order", "seq", nulls_last=False)


def _count_unlabelled(unlabelled: pl.DataFrame, log: LogContext, counts: Counts) -> None:
    """Count the label actions that label no candidate, by cause, with samples."""
    for cause, name in UNLABELLED.items():
        rows = unlabelled.filter(pl.col("cause") == cause).sort("seq")
        if len(rows):
            sample = rows.head(SAMPLES)
            texts = [log.items["item"][code] if code >= 0 else "" for code in sample["item"]]
            counts.flaw(f"{NO_LABEL}{name}", _where(sample.with_columns(pl.Series("item", texts)), log.files), number=len(rows))


def _where(rows: pl.DataFrame, files: Mapping[int, str]) -> pl.DataFrame:
    """Return file and row of events, as samples show them."""
    return rows.select(
        (pl.col("seq") // (1 << FILE_SHIFT)).replace_strict(dict(files), return_dtype=pl.String).alias("file"),
        (pl.col("seq") % (1 << FILE_SHIFT)).alias("row"),
        logged_user(rows),
        *(name for name in ("request", "item") if name in rows.columns),
    )


def _replayed(requests: Requests, events: pl.DataFrame, dataset: Dataset, plan: StatePlan, *, keys: int) -> tuple[State, Features]:
    """Replay the block through the reducer: each request is a query, its list one impression event of as many
    candidates."""
    impression = impression_code(dataset)
    sizes = np.bincount(requests.candidates["row"].to_numpy(), minlength=len(requests.frame))
    queries = requests.frame.select("key", "time", "session").with_columns(
        pl.lit(impression if impression is not None and impression >= 0 else NO_EVENT, pl.Int8).alias("action"),
        pl.lit(-1, pl.Int64).alias("item"),
        pl.Series("weight", sizes, dtype=pl.Int64),
        pl.lit(value=True).alias("query"),
        pl.lit(None, pl.Int64).alias("stamped"),
    )
    single, silent = pl.lit(1, pl.Int64).alias("weight"), pl.lit(value=False).alias("query")
    # Guests have no state: they are identified within a request only, and the request is the first query.
    queries = queries.with_columns(
        pl.when(requests.frame["user"] != "").then("action").otherwise(pl.lit(NO_EVENT, pl.Int8)).alias("action")
    )
    known = events.filter(pl.col("user") != "") if (events["user"] == "").any() else events
    interactions = known.select("key", "time", "session", "action", pl.col("item").cast(pl.Int64), single, silent, "stamped")
    # Stable: requests keep their order, events theirs, and of one moment the requests come first.
    rows = pl.concat([queries, interactions.select(queries.columns)]).sort("key", "time", maintain_order=True)
    state = empty(plan, keys)
    log = LogRows(
        keys=rows["key"].to_numpy(),
        times_us=rows["time"].to_numpy(),
        actions=rows["action"].to_numpy(),
        items=rows["item"].to_numpy(),
        weights=rows["weight"].to_numpy(),
        sessions=rows["session"].to_numpy(),
        is_event=rows["action"].to_numpy() >= 0,
        is_query=rows["query"].to_numpy(),
        stamps_us=rows["stamped"].fill_null(rows["time"]).to_numpy(),
    )
    features = replay(plan, state, log)
    return state, features


def _history(features: Features) -> pl.DataFrame:
    lengths = features.history_len
    filled = np.arange(features.history_item.shape[1]) < lengths[:, None]
    return pl.DataFrame(
        {
            "row": np.repeat(np.arange(len(lengths)), lengths),
            "item": features.history_item[filled],
            "action": features.history_action[filled],
            "age_s": features.history_age_s[filled],
        }
    )


def _item_rows(
    requests: Requests, split: NDArray[np.int8], events: pl.DataFrame, dataset: Dataset, users: pl.DataFrame | None
) -> pl.DataFrame:
    plan = plan_of(dataset, "item")
    schema: dict[str, type[pl.DataType]] = {"item": pl.Int64, "time": pl.Int64, "action": pl.Int8, "slot": pl.Int64, "stamped": pl.Int64}
    if plan is None:
        return pl.DataFrame(schema=schema)
    names = list(dataset.actions)
    counted = {names.index(action): code for code, action in enumerate(plan.actions)}
    impression = impression_code(dataset)
    row = requests.candidates["row"].to_numpy()
    queried = split[row] >= 0
    shown = pl.DataFrame(
        {
            "item": requests.candidates["item"],
            "time": requests.frame["time"].to_numpy()[row],
            "action": np.full(len(row), counted.get(impression, NO_EVENT) if impression is not None else NO_EVENT, np.int8),
            "slot": np.where(queried, np.arange(len(row)), -1),
        }
    ).with_columns(pl.lit(None).alias("stamped"))
    counting = events.filter(pl.col("action").is_in(list(counted)) & (pl.col("item") >= 0))
    interactions = counting.select(
        "item", "time", pl.col("action").replace_strict(counted, return_dtype=pl.Int8), pl.lit(-1, pl.Int64).alias("slot"), "stamped"
    )
    if dataset.serving.segment:
        shown = shown.with_columns(segments(requests.frame, dataset, users, prefix="").gather(row))
        at_stamp = counting.with_columns(pl.coalesce("stamped", "time").alias("time"))
        interactions = interactions.with_columns(segments(at_stamp, dataset, users, prefix="f:"))
        schema |= {"segment": pl.String}
    both = pl.concat([rows.select(pl.col(name).cast(kind) for name, kind in schema.items()) for rows in (shown, interactions)])
    return both.filter((pl.col("action") >= 0) | (pl.col("slot") >= 0))
