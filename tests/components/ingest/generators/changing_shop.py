"""A shop whose products and shoppers change with time, whose shoppers have devices, and what held when, looked up row by row."""

import math
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from hypothesis import strategies as st

from tests.components.ingest.generators.random_shops import DAY_US, SECOND, START_US, Columns, Event, Shop, dataset_text, write_log

BLANK_ITEM, BLANK_USER = ("", math.nan, [math.nan, math.nan]), ("",)


class Row(NamedTuple):
    """A row of a table: the id, the time from which it holds, and its values."""

    id: str
    since_us: int
    values: tuple[Any, ...]


class Tables(NamedTuple):
    """Rows of items (category, price, look), of users (country), and of devices (account), in the order of the files."""

    items: list[Row]
    users: list[Row]
    devices: list[Row]


# Also at the moments of the log's events, to the microsecond, and on both sides of them.
SINCE = st.one_of(st.integers(-2, 122).map(lambda s: START_US + s * SECOND), st.integers(-DAY_US, 7 * DAY_US).map(lambda us: START_US + us))
ITEM = st.builds(
    lambda *values: Row(values[0], values[1], values[2:]),
    st.sampled_from(["i0", "i1", "i2"]),
    SINCE,
    st.sampled_from(["shoes", "hats", ""]),
    st.sampled_from([1.0, 2.5, None]),
    st.sampled_from([[1.0, 2.0], [0.0, 1.0], None]),
)
USER = st.builds(lambda who, since, country: Row(who, since, (country,)), st.sampled_from("ab"), SINCE, st.sampled_from(["DE", "FR", ""]))
DEVICE = st.builds(lambda who, since, user: Row(who, since, (user,)), st.sampled_from(["d1", "d2", "c"]), SINCE, st.sampled_from("abc"))
# The last ones hold after all of the log, and name each id.
TABLES = st.builds(
    lambda items, users, devices: Tables(
        [*items, *(Row(item, START_US + 9 * DAY_US, ("late", 9.0, None)) for item in ("i0", "i1", "i2"))],
        [*users, *(Row(user, START_US + 9 * DAY_US, ("XX",)) for user in "ab")],
        [*devices, Row("d1", START_US + 9 * DAY_US, ("a",))],
    ),
    st.lists(ITEM, max_size=12),
    st.lists(USER, max_size=6),
    st.lists(DEVICE, max_size=6),
)


def by_days(shop: Shop) -> Shop:
    """The shop with windows that its tables' later rows don't move."""
    return replace(shop, train="2026-02-01", evaluate="2026-02-04", test="2026-02-05", until="2026-03-01")


def shop_text(shop: Shop, **changes: Any) -> str:
    table = {"id": "id", "valid_from": "since", "time_unit": "us"}
    named = {"items": {"path": "versions/items-*.parquet"} | table, "users": {"path": "versions/users-*.parquet"} | table}
    devices = {"identities": {"path": "versions/devices-*.parquet", "user": "account"} | table}
    return dataset_text(by_days(shop), **{**named, **devices, **changes})


def write_tables(folder: Path, tables: Tables, *, files: int = 1) -> None:
    names = {"items": ("category", "price", "look"), "users": ("country",), "devices": ("account",)}
    (folder / "versions").mkdir(parents=True, exist_ok=True)
    for table, columns in names.items():
        rows: list[Row] = getattr(tables, table)
        size = -(-len(rows) // files)
        for part in range(files):
            some = rows[part * size : (part + 1) * size]
            values = {name: [row.values[at] for row in some] for at, name in enumerate(columns)}
            kinds: dict[str, Any] = {"id": pl.String, "since": pl.Int64, "price": pl.Float64, "look": pl.List(pl.Float64)}
            frame = pl.DataFrame({"id": [row.id for row in some], "since": [row.since_us for row in some], **values}, strict=False)
            frame = frame.with_columns(pl.col(name).cast(kinds.get(name, pl.String)) for name in frame.columns)
            frame.write_parquet(folder / "versions" / f"{table}-{part}.parquet")


def write_shop(folder: Path, log: list[Event], tables: Tables, *, files: int = 1) -> None:
    write_log(folder, log)
    write_tables(folder, tables, files=files)


def held(rows: list[Row], name: str, time_us: int) -> Row | None:
    """The newest row not after the moment; of equals the last."""
    holding = [(row.since_us, at) for at, row in enumerate(rows) if row.id == name and row.since_us <= time_us]
    return rows[max(holding)[1]] if holding else None


def account(tables: Tables, user: str, time_us: int) -> str:
    row = held(tables.devices, user, time_us)
    return user if row is None or not user else str(row.values[0])


def resolved_log(log: list[Event], tables: Tables) -> list[Event]:
    return [event._replace(user=account(tables, event.user, event.time_us)) for event in log]


def values_at(tables: Tables, columns: Columns) -> Columns:
    """What the tables say of an example's candidates, history and shopper at its moment."""
    time_us = columns["time"][0]

    def of_items(ids: list[str]) -> list[tuple[Any, ...]]:
        rows = [held(tables.items, item, time_us) for item in ids]
        return [BLANK_ITEM if row is None else row.values for row in rows]

    def plain(price: float | None) -> float:
        return math.nan if price is None else price

    candidates, remembered = of_items(columns["item"]), of_items(columns["history_item"])
    user = held(tables.users, columns["user"][0], time_us)
    return {
        "category": [category for category, _, _ in candidates],
        "cost": [plain(price) for _, price, _ in candidates],
        "look": [number for _, _, look in candidates for number in (look or [math.nan] * 2)],
        "history_category": [category for category, _, _ in remembered],
        "history_cost": [plain(price) for _, price, _ in remembered],
        "country": list(BLANK_USER if user is None else user.values),
    }


def random_tables(seed: int) -> Tables:
    """Over the first four days, some after the log."""
    draw = np.random.default_rng(seed)

    def since() -> int:
        return START_US + int(draw.integers(0, 150)) * SECOND if draw.random() < 0.5 else START_US + int(draw.integers(-DAY_US, 6 * DAY_US))

    items = [
        Row(f"i{draw.integers(0, 3)}", since(), (str(draw.choice(["shoes", "hats", ""])), float(draw.integers(1, 90)), [float(n), 0.5]))
        for n in range(40)
    ]
    users = [Row(str(draw.choice(["a", "b"])), since(), (str(draw.choice(["DE", "FR", "IT"])),)) for _ in range(20)]
    devices = [Row(str(draw.choice(["d1", "d2", "c"])), since(), (str(draw.choice(["a", "b"])),)) for _ in range(8)]
    return Tables(items, users, devices)


def on_devices(log: list[Event], seed: int) -> list[Event]:
    """Half of a's and b's events under a device's id."""
    draw = np.random.default_rng(seed)
    return [
        event._replace(user=str(draw.choice(["d1", "d2"]))) if event.user in "ab" and event.user and draw.random() < 0.5 else event
        for event in log
    ]
