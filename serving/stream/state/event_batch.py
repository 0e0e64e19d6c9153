"""Lay out a batch of clean events for the state: messages with their ids, and the rows that change users and items."""

from dataclasses import dataclass

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from components.contract.dataset import Dataset
from components.contract.sources import Impressions, ListRows, Rows
from components.ingest.events.deduplicate import detects_duplicates
from components.ingest.events.event_columns import content_columns, impression_code
from components.ingest.events.session_hashes import session_hashes
from components.ingest.requests.segments import segments
from components.state.features import plan_of
from components.state.keys import SEPARATOR, segment_key
from serving.state.item_codes import NO_ITEM, ItemCodes
from serving.stream.state.text_hashes import row_hashes

Ints = NDArray[np.int64]
NO_LIST = np.uint64(0)
_FOREVER_S = 1 << 40


@dataclass(frozen=True)
class EventRows:
    """R rows of events on keys of one side, in order."""

    messages: Ints  # (R,) index of the message that each comes from
    keys: Ints  # (R,) index in `names`
    times_us: Ints
    skews_us: Ints
    actions: Ints  # index in the side's plan
    names: list[str]
    items: Ints  # code of the item in a history
    sessions: Ints  # hash
    lists: NDArray[np.uint64]  # id of the shown list that the row belongs to, or NO_LIST


@dataclass(frozen=True)
class EventBatch:
    """M messages with events, in order, and the rows of their events.

    Attributes:
        rows: (M,) index of the message in what was decoded.
        shoppers: (M,) index in `users.names` of the key that remembers the message's id.
        guests: (len(users.names),) keys that have no state: those of guests.
        ids: (M,) of the content: equal for repetitions.
        spans_s: (M,) how far apart two messages with one id may be.
        times_us: (M,) of the newest event.
        lists: (M,) id of the list that the message shows, or a part of; NO_LIST.
    """

    rows: Ints
    shoppers: Ints
    guests: NDArray[np.bool_]
    ids: NDArray[np.uint64]
    spans_s: Ints
    times_us: Ints
    lists: NDArray[np.uint64]
    users: EventRows
    items: EventRows | None


def event_batch(events: pl.DataFrame, dataset: Dataset, codes: ItemCodes, *, users: pl.DataFrame | None = None) -> EventBatch:
    """Lay out clean events, whose `seq` is the index of their message, ascending.

    Args:
        events: as `components.ingest.events.clean_events` returns them, of users and items that count.
        dataset: the dataset file.
        codes: of items in histories.
        users: the table of users, where segments need it.
    """
    impression, names = impression_code(dataset), list(dataset.actions)
    seq, action = events["seq"].to_numpy(), events["action"].to_numpy().astype(np.int64)
    rows, message = np.unique(seq, return_inverse=True)
    first = np.searchsorted(seq, rows)
    shown = action == impression if impression is not None else np.zeros(len(seq), np.bool_)
    shopper, shopper_names, guests = _shoppers(events)
    list_ids = np.where(shown, row_hashes([events["user"], events["request"], events["session"]]) | np.uint64(1), NO_LIST)
    gap_s = int(dataset.session_gap)
    times = events["time"].to_numpy()
    listed = np.zeros(len(rows), np.uint64)
    np.maximum.at(listed, message, list_ids)
    newest = np.full(len(rows), np.iinfo(np.int64).min)
    np.maximum.at(newest, message, times)
    ids = _ids(events, shown, dataset, message, len(rows))
    single = np.bincount(message, minlength=len(rows)) == 1
    plan = plan_of(dataset, "user")
    assert plan is not None
    in_history = np.array([name in plan.history_actions for name in plan.actions])
    counted = (action >= 0) & (events["user"] != "").to_numpy() & (not isinstance(dataset.candidates, Rows))  # rows have no state
    skew_us = np.where((events["item"] != "").to_numpy() & ~shown, int(dataset.skew * 1e6), 0)
    sessions = session_hashes(events["session"])
    item_keys, item_names = _factorized(events["item"])
    coded = np.array([codes.code(name) for name in item_names], np.int64)
    kept = np.flatnonzero(counted)
    in_histories = in_history[action[kept]] if len(kept) else np.zeros(0, np.bool_)
    user_rows = EventRows(
        messages=message[kept],
        keys=shopper[kept],
        times_us=times[kept],
        skews_us=skew_us[kept],
        actions=action[kept],
        names=shopper_names,
        items=np.where(in_histories, coded[item_keys[kept]], NO_ITEM),
        sessions=sessions[kept],
        lists=list_ids[kept],
    )
    return EventBatch(
        rows=rows,
        shoppers=shopper[first],
        guests=guests,
        ids=ids,
        spans_s=np.where((listed != NO_LIST) & single, gap_s, _FOREVER_S),
        times_us=newest,
        lists=listed,
        users=user_rows,
        items=_item_rows(events, dataset, names, message, action, times, skew_us, item_keys, item_names, users),
    )


def _ids(events: pl.DataFrame, shown: NDArray[np.bool_], dataset: Dataset, message: Ints, messages: int) -> NDArray[np.uint64]:
    """Return (M,) what messages repeat each other by: their content, or of an impression its list and item."""
    if not detects_duplicates(dataset):
        return row_hashes([events["seq"]])[np.searchsorted(message, np.arange(messages))]
    hashes = row_hashes([events[name] for name in content_columns(events)])
    if isinstance(dataset.candidates, Impressions | ListRows) and shown.any():
        places = row_hashes([events[name] for name in ("user", "request", "session", "item", "action")])
        hashes = np.where(shown, places, hashes)
    total = np.zeros(messages, np.uint64)
    np.add.at(total, message, hashes)  # of a message with several rows the sum, which doesn't depend on their order
    return total


def _shoppers(events: pl.DataFrame) -> tuple[Ints, list[str], NDArray[np.bool_]]:
    """Return (N,) the key that remembers each event's id, the keys, and which of them are no shopper's.

    A guest's events are remembered by what they have in common: the request, else the session, else the item.
    """
    guest = pl.concat_str(
        pl.lit(SEPARATOR), pl.coalesce(pl.col(name).replace("", None) for name in ("request", "session", "item")).fill_null("")
    )
    key = events.select(pl.when(pl.col("user") != "").then("user").otherwise(guest).alias("key")).to_series()
    index, names = _factorized(key)
    return index, names, np.array([name.startswith(SEPARATOR) for name in names], np.bool_)


def _item_rows(
    events: pl.DataFrame, dataset: Dataset, names: list[str], message: Ints, action: Ints, times: Ints, skew_us: Ints,
    keys: Ints, item_names: list[str], users: pl.DataFrame | None,
) -> EventRows | None:  # fmt: skip
    """Return the rows of items, and of items within the segments of the events."""
    plan = plan_of(dataset, "item")
    if plan is None or isinstance(dataset.candidates, Rows):
        return None
    position = {name: code for code, name in enumerate(plan.actions)}
    of_item = np.array([position.get(name, -1) for name in names], np.int64)
    kept = np.flatnonzero((action >= 0) & (of_item[np.maximum(action, 0)] >= 0) & (events["item"] != "").to_numpy())
    key_of, key_names = keys[kept], item_names
    if dataset.serving.segment and len(kept):
        some = events[kept]
        segment, segment_names = _factorized(segments(some, dataset, users, prefix="f:").fill_null(SEPARATOR))
        pairs, pair = np.unique(np.stack([segment, key_of]), axis=1, return_inverse=True)
        within = [segment_names[code] for code in pairs[0].tolist()]
        complete = np.array([name != SEPARATOR for name in within])[pair.ravel()]
        key_names = [*item_names, *(segment_key(name, item_names[item]) for name, item in zip(within, pairs[1].tolist(), strict=True))]
        kept, key_of = (
            np.concatenate([kept, kept[complete]]),
            np.concatenate([key_of, len(item_names) + pair.ravel()[complete]]),
        )
    order = np.argsort(message[kept], kind="stable")
    kept, key_of = kept[order], key_of[order]
    none = np.zeros(len(kept), np.int64)
    return EventRows(
        messages=message[kept],
        keys=key_of,
        times_us=times[kept],
        skews_us=skew_us[kept],
        actions=of_item[action[kept]],
        names=key_names,
        items=none,
        sessions=none,
        lists=np.zeros(len(kept), np.uint64),
    )


def _factorized(texts: pl.Series) -> tuple[Ints, list[str]]:
    """Return (N,) the index of each text among the distinct ones, and those."""
    coded = texts.to_arrow(compat_level=pl.CompatLevel.oldest()).cast(pa.large_string()).dictionary_encode()
    return coded.indices.to_numpy().astype(np.int64), coded.dictionary.to_pylist()
