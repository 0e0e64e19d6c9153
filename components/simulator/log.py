"""Write the logs: rows of codes to tables, tables to numbered Parquet files of even size."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from components.simulator import vocabulary
from components.simulator.behaviour import Moments, Outcomes
from components.simulator.config import ShopConfig, midnight_us
from components.simulator.slates import SEARCH, Requests, Sessions, Slates, query_texts
from components.simulator.world import Floats, Ints, World

ACTIONS: Final[tuple[str, ...]] = ("search", "impression", "click", "cart", "purchase")
TIME: Final = pa.timestamp("us", "UTC")
EVENTS: Final = pa.schema(
    {
        "time": TIME,
        "user_id": pa.string(),
        "item_id": pa.string(),
        "action": pa.string(),
        "request_id": pa.string(),
        "session_id": pa.string(),
        "position": pa.int16(),
        "price": pa.float64(),
        "revenue": pa.float64(),
        "query": pa.string(),
        "device": pa.string(),
        "country": pa.string(),
        "page": pa.string(),
    }
)

_ROWS_PER_GROUP = 250_000
_ROWS_PER_FILE = 500_000


@dataclass(frozen=True)
class EventRows:
    """Events as codes, each array of shape (rows,); -1 or NaN where an event has no value."""

    time_us: Ints
    user: Ints
    item: Ints
    action: Ints
    request: Ints
    session: Ints
    position: Ints
    price: Floats
    revenue: Floats
    query: Ints
    device: Ints
    page: Ints

    def __len__(self) -> int:
        return len(self.time_us)

    def take(self, rows: Ints) -> EventRows:
        """Return the rows with these indices, in their order."""
        return EventRows(*(getattr(self, field.name)[rows] for field in fields(self)))

    def concat(self, later: EventRows) -> EventRows:
        """Concatenate these rows and later ones."""
        return EventRows(*(np.concatenate([getattr(self, field.name), getattr(later, field.name)]) for field in fields(self)))


def event_rows(
    sessions: Sessions, requests: Requests, slates: Slates, outcomes: Outcomes, moments: Moments, *, first_request: int, first_session: int
) -> EventRows:
    """Return all events of a block; requests and sessions are numbered from `first_request` and `first_session` on."""
    searched = np.flatnonzero(requests.page == SEARCH)
    clicked, carted, purchased = (np.flatnonzero(flag) for flag in (outcomes.clicked, outcomes.carted, outcomes.purchased))
    impressions = np.arange(len(slates.request))
    shown = np.concatenate([impressions, clicked, carted, purchased])  # rows of the slates, one for each event
    request = np.concatenate([searched, slates.request[shown]])
    session = requests.session[request]
    n_search, n_follow = len(searched), len(shown) - len(impressions)
    action = np.repeat(np.arange(len(ACTIONS)), [n_search, len(impressions), len(clicked), len(carted), len(purchased)])
    missing, nan = np.full(n_search, -1), np.full(n_search, np.nan)
    price = np.concatenate([nan, outcomes.price[shown]])
    return EventRows(
        time_us=np.concatenate(
            [
                moments.search_us[searched],
                moments.request_us[slates.request],
                moments.click_us[clicked],
                moments.cart_us[carted],
                moments.purchase_us[purchased],
            ]
        ),
        user=requests.user[request],
        item=np.concatenate([missing, slates.item[shown]]),
        action=action,
        request=request + first_request,
        session=session + first_session,
        position=np.concatenate([missing, slates.position[shown]]),
        price=price,
        revenue=np.where(action == ACTIONS.index("purchase"), price, np.nan),
        query=np.concatenate([requests.query[searched], requests.query[slates.request], np.full(n_follow, -1)]),
        device=sessions.device[session],
        page=requests.page[request],
    )


class EventTables:
    """Converter from rows of codes to tables of the `EVENTS` schema, with the broken column of the config."""

    def __init__(self, world: World) -> None:
        self._config: ShopConfig = world.config
        self._country = world.shoppers.country
        self._pools = {
            "user_id": world.shoppers.user_id,
            "item_id": world.products.item_id,
            "action": pa.array(ACTIONS),
            "query": pa.array(query_texts()),
            "device": pa.array(vocabulary.DEVICES),
            "country": pa.array(vocabulary.COUNTRIES),
            "page": pa.array(vocabulary.PAGES),
        }

    def __call__(self, rows: EventRows) -> pa.Table:
        """Convert the rows to a table, in their order."""
        columns = {
            "time": pa.array(rows.time_us).cast(TIME),
            "user_id": self._text("user_id", rows.user),
            "item_id": self._text("item_id", rows.item),
            "action": self._text("action", rows.action),
            "request_id": numbered("r", rows.request),
            "session_id": numbered("s", rows.session),
            "position": pa.array(rows.position.astype(np.int16), mask=rows.position < 0),
            "price": pa.array(rows.price, mask=np.isnan(rows.price)),
            "revenue": pa.array(rows.revenue, mask=np.isnan(rows.revenue)),
            "query": self._text("query", rows.query),
            "device": self._text("device", rows.device),
            "country": self._text("country", self._country[rows.user]),
            "page": self._text("page", rows.page),
        }
        broken_column, since = self._config.broken_feature, self._config.broken_from
        if broken_column is not None and since is not None:
            whole = rows.time_us < midnight_us(since)
            constant = pa.scalar(0.0 if broken_column == "price" else "")
            kept = columns[broken_column].is_null().to_numpy(zero_copy_only=False) | whole
            columns[broken_column] = pa.compute.if_else(pa.array(kept), columns[broken_column], constant)
        return pa.table(columns, schema=EVENTS)

    def _text(self, name: str, code: Ints) -> pa.Array:
        return self._pools[name].take(pa.array(code, mask=code < 0))


def numbered(letter: str, number: Ints) -> pa.StringArray:
    """Format identifiers such as `r000000017`; each distinct number is formatted once."""
    distinct, where = np.unique(number, return_inverse=True)
    return pa.array([f"{letter}{i:09d}" for i in distinct.tolist()], pa.string()).take(pa.array(where))


class PartFiles:
    """Writer of tables in sequence to `<stem>-00000.parquet`, ...; memory holds one row group."""

    def __init__(self, folder: Path, stem: str, schema: pa.Schema) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder, self._stem, self._schema = folder, stem, schema
        self._buffer: list[pa.Table] = []
        self._rows_buffered = 0
        self._writer: pq.ParquetWriter | None = None
        self._rows_in_file = 0
        self._files = 0

    def write(self, table: pa.Table) -> None:
        """Append a table."""
        self._buffer.append(table)
        self._rows_buffered += table.num_rows
        if self._rows_buffered >= _ROWS_PER_GROUP:
            self._flush()

    def close(self) -> None:
        """Flush the buffer and close the last file; there is always at least one."""
        if self._rows_buffered or self._files == 0:
            self._flush()
        self._finish()

    def _flush(self) -> None:
        if self._writer is None:
            path = self._folder / f"{self._stem}-{self._files:05d}.parquet"
            self._writer = pq.ParquetWriter(path, self._schema, compression="zstd")
            self._files += 1
        self._writer.write_table(pa.concat_tables(self._buffer) if self._buffer else self._schema.empty_table(), _ROWS_PER_FILE)
        self._rows_in_file += self._rows_buffered
        self._buffer, self._rows_buffered = [], 0
        if self._rows_in_file >= _ROWS_PER_FILE:
            self._finish()

    def _finish(self) -> None:
        if self._writer is not None:
            self._writer.close()
        self._writer, self._rows_in_file = None, 0
