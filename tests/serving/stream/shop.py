"""A small shop whose clean events are drawn at random: several visits, lists row by row, repetitions, guests."""

from collections.abc import Sequence

import numpy as np
import polars as pl

from components.contract.dataset import Dataset
from components.contract.load import parse_dataset
from components.ingest.events.event_columns import ROLES

SHOP = """
name: stream_shop
events:
  path: "*.jsonl"
  columns: {time: time, user: user, item: item, action: action, request: request, session: session, position: position}
  missing_user: guest
actions:
  search: {item: false}
  impression: {}
  click: {label: 1}
  purchase: {label: 4}
candidates: {from: impressions}
session_gap: 30m
attribution: 1h
half_lives: [1h, 7d]
features:
  - {name: hour, kind: category, side: context, column: time.hour}
  - {name: item, kind: id, side: item, buckets: 100}
  - {name: session_events, kind: state, side: context, measure: session_events}
  - {name: history, kind: history, side: user, length: 5, actions: [click, purchase], fields: [item]}
  - {name: ctr, kind: state, side: user, measure: rate, action: click, per: impression}
  - {name: item_ctr, kind: state, side: item, measure: rate, action: click, per: impression}
  - {name: item_sales, kind: state, side: item, measure: total, action: purchase}
"""
Row = tuple[int, str, str, int, str, str]  # time, user, item, action, request, session
BEGIN_US = 1_790_000_000_000_000
IMPRESSION, CLICK = 1, 2


def shop() -> Dataset:
    return parse_dataset(SHOP)


def events(rows: Sequence[Row]) -> pl.DataFrame:
    """Clean events, one a message: time, user, item, action, request, session."""
    names = ("time", "user", "item", "action", "request", "session")
    frame = pl.DataFrame(rows, schema=names, orient="row").with_row_index("seq")
    return frame.with_columns(position=-1, order=0, label=None).select(pl.col(name).cast(kind) for name, kind in ROLES.items())


def drawn(generator: np.random.Generator, messages: int, *, shoppers: int = 12, items: int = 9) -> list[Row]:
    """Draw the events of one partition: lists of a few items, clicks, searches, purchases, and some events once more."""
    rows: list[Row] = []
    now = BEGIN_US
    while len(rows) < messages:
        now += int(generator.exponential(40e6)) + 1
        user = "" if generator.random() < 0.1 else f"u{generator.integers(shoppers)}"
        session, request = f"s{generator.integers(3)}", f"r{len(rows)}"
        if generator.random() < 0.4:
            shown = generator.permutation(items)[: generator.integers(1, 5)]
            rows += [(now, user, f"i{item}", IMPRESSION, request, session) for item in shown]
        elif generator.random() < 0.1:
            rows.append((now, user, "", 0, "", session))
        else:
            rows.append((now, user, f"i{generator.integers(items)}", int(generator.choice([CLICK, CLICK, 3])), "", session))
        if generator.random() < 0.15:
            rows.append(rows[-int(generator.integers(1, min(len(rows), 20) + 1))])
        if generator.random() < 0.2 and rows[-1][3] != IMPRESSION:  # out of order
            time_us, *rest = rows[-1]
            rows[-1] = (time_us - int(generator.exponential(120e6)), *rest)  # type: ignore[assignment]
    return rows[:messages]
