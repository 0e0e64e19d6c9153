"""Random logs of a small shop, and their figures by brute force: each action looks at all requests, one at a time."""

import json
from collections import Counter, defaultdict
from dataclasses import dataclass, field

import numpy as np
import polars as pl

from components.contract.dataset import Dataset
from components.contract.load import parse_dataset
from serving.stream.figures.breakdown import Dimension

MINUTE_US = 60_000_000
WINDOW_US, GAP_US, SKEW_US = 60 * MINUTE_US, 30 * MINUTE_US, MINUTE_US
ACTIONS = ("impression", "click", "buy")
SHOP = """\
name: little
events:
  path: events.csv
  columns: {time: at, user: user, item: item, action: action, request: request, session: visit, revenue: paid}
  missing_user: guest
actions:
  impression: {}
  click: {label: 1}
  buy: {label: 2, amount: revenue}
candidates: {from: impressions}
attribution: 1h
session_gap: 30m
skew: 1m
half_lives: [1d]
windows: {until: 2026-02-01}
serving: {segment: device}
features:
  - {name: device, kind: category, side: context, column: dev}
  - {name: price, kind: number, side: item, source: events}
  - {name: seen, kind: state, side: item, measure: count, action: click}
"""


def dataset() -> Dataset:
    return parse_dataset(SHOP)


@dataclass
class Shown:
    """One request: its shopper (of a guest the request and session), id, session, time, items and what followed."""

    shopper: tuple[str, ...]
    request: str
    session: str
    time: int
    items: set[str]
    version: str
    arms: str
    device: str
    followed: Counter[str] = field(default_factory=Counter)
    revenue: float = 0.0


Row = dict[str, object]


def random_log(rng: np.random.Generator, *, requests: int = 60, actions: int = 120) -> list[Row]:
    """Rows of a log in the order of time: ids that several shoppers share, guests, pages that come later, actions of others, without
    request, before their list, after the window."""
    rows: list[Row] = []
    used: dict[tuple[str, str, str], list[int]] = defaultdict(list)
    lists: list[tuple[str, str, str, int, list[str]]] = []
    for _ in range(requests):
        user, session = str(rng.choice(["a", "b", "c", ""])), str(rng.choice(["", "s1", "s2"]))
        request, time = f"r{rng.integers(0, 20)}", int(rng.integers(0, 10 * 60)) * MINUTE_US
        owner = user or f"{request} {session}"
        times = used[owner, request, session]
        if any(abs(time - other) < 3 * GAP_US for other in times):
            continue  # rows of one request: its pages are made below
        times.append(time)
        described = {
            "version": str(rng.choice(["", "7", "8"])),
            "arms": json.dumps({"test": str(rng.choice(["x", "y"]))}),
            "f:device": str(rng.choice(["", "tv"])),
        }
        items = [f"p{item}" for item in rng.permutation(6)[: rng.integers(1, 5)]]
        for page in range(int(rng.integers(1, 3))):
            at = time + page * int(rng.integers(0, 10)) * MINUTE_US
            rows += [_row(user, item, "impression", request, session, at) | described for item in items[page::2]]
        lists.append((user, request, session, time, items))
    for _ in range(actions):
        user, request, session, time, items = lists[rng.integers(len(lists))]
        time += int(rng.integers(-3 * MINUTE_US, 80 * MINUTE_US))
        user = user if rng.random() < 0.7 else str(rng.choice(["a", "b", "c", "d", ""]))
        session = session if rng.random() < 0.7 else str(rng.choice(["", "s1", "s2"]))
        item = items[rng.integers(len(items))] if rng.random() < 0.8 else f"p{rng.integers(0, 6)}"
        action = str(rng.choice(["click", "buy"]))
        paid = float(rng.integers(1, 99)) / 4 if rng.random() < 0.8 else float("nan")
        rows.append(_row(user, item, action, request if rng.random() < 0.6 else "", session, time) | {"revenue": paid})
    order = np.argsort([row["time"] for row in rows], kind="stable")  # type: ignore[arg-type]
    moved = [rows[index] for index in order]
    # No two lists or actions at one time: which of two equal ones counts is a matter of their names.
    stamps: dict[tuple[object, ...], int] = {}
    for row in moved:
        key = tuple(row[name] for name in ("user", "request", "session", "time", "action"))
        row["time"] = int(row["time"]) * 1 + stamps.setdefault(key if row["action"] == "impression" else (id(row),), len(stamps))  # type: ignore[call-overload]
    return moved


def _row(user: str, item: str, action: str, request: str, session: str, time: int) -> Row:
    described = {"version": "", "arms": "", "f:device": ""}
    return {
        "time": time,
        "user": user,
        "item": item,
        "action": action,
        "request": request,
        "session": session,
        "revenue": float("nan"),
    } | described


def frames(rows: list[Row]) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The rows as clean events, and the columns of the log beside them."""
    schema = {"time": pl.Int64, "user": pl.String, "item": pl.String, "action": pl.String, "request": pl.String, "session": pl.String}
    schema |= {"revenue": pl.Float64, "version": pl.String, "arms": pl.String, "f:device": pl.String}
    frame = pl.DataFrame(rows, schema=schema, orient="row").with_row_index("seq")
    codes = pl.col("action").replace_strict({name: code for code, name in enumerate(ACTIONS)}, return_dtype=pl.Int8)
    events = frame.select(
        *("time", "user", "item"), codes.alias("action"), *("request", "session"),
        pl.lit(-1, pl.Int32).alias("position"), pl.lit(0, pl.Int64).alias("order"), pl.lit(None, pl.Float32).alias("label"),
        pl.col("seq").cast(pl.Int64), "revenue", pl.lit(1.0).alias("f:price"), "f:device",
    )  # fmt: skip
    return events, frame.select(pl.col("seq").alias("__row__"), "version", "arms")


def requests_of(rows: list[Row]) -> list[Shown]:
    """Form requests, and give each action to the one it belongs to."""
    shown: list[Shown] = []
    for row in sorted((row for row in rows if row["action"] == "impression"), key=lambda row: int(row["time"])):  # type: ignore[call-overload]
        mine = [each for each in shown if (each.shopper, each.request, each.session) == (_shopper(row), row["request"], row["session"])]
        if mine and int(row["time"]) - mine[-1].time <= GAP_US:  # type: ignore[call-overload]
            mine[-1].items.add(str(row["item"]))
            continue
        texts = (str(row[name]) for name in ("version", "arms", "f:device"))
        shown.append(Shown(_shopper(row), str(row["request"]), str(row["session"]), int(row["time"]), {str(row["item"])}, *texts))  # type: ignore[call-overload]
    for row in rows:
        if row["action"] != "impression" and (owner := owner_of(row, shown)) is not None:
            owner.followed[str(row["action"])] += 1
            if row["action"] == "buy" and row["revenue"] == row["revenue"]:
                owner.revenue += float(row["revenue"])  # type: ignore[arg-type]
    return shown


def owner_of(row: Row, shown: list[Shown]) -> Shown | None:
    """The request that an action belongs to."""
    time, session = int(row["time"]), row["session"]  # type: ignore[call-overload]
    near = [each for each in shown if time - WINDOW_US <= each.time <= time + SKEW_US]
    if not row["request"]:
        before = [each for each in shown if each.shopper == _shopper(row) and row["item"] in each.items and each.time <= time + SKEW_US]
        last = max(before, key=lambda each: each.time, default=None)
        return last if last in near else None
    near = [each for each in near if each.request == row["request"]]
    shoppers = {each.shopper for each in near}
    if _shopper(row) in shoppers:
        shopper = _shopper(row)
    else:
        same_session = {each.shopper for each in near if session and each.session == session}
        candidates = same_session or shoppers
        if len(candidates) != 1:
            return None
        (shopper,) = candidates
    near = [each for each in near if each.shopper == shopper]
    own = [each for each in near if each.session == session]
    having = [each for each in (own if session and own else near) if row["item"] in each.items]
    return max(having, key=lambda each: (each.session == session, each.time), default=None)


def _shopper(row: Row) -> tuple[str, ...]:
    return (str(row["user"]),) if row["user"] else ("guest", str(row["request"]), str(row["session"]))


def figures_of(shown: list[Shown]) -> dict[Dimension, tuple[float, float, float, float]]:
    """Requests, those with a click, those with a purchase, and revenue."""
    sums: dict[Dimension, list[float]] = defaultdict(lambda: [0.0] * 4)
    for each in shown:
        arms = json.loads(each.arms or "{}")
        dimensions = [Dimension("all"), Dimension("version", value=each.version), Dimension("segment", value=each.device)]
        for dimension in (*dimensions, *(Dimension("arm", name, arm) for name, arm in arms.items())):
            for index, value in enumerate((1, each.followed["click"] > 0, each.followed["buy"] > 0, each.revenue)):
                sums[dimension][index] += value
    return {dimension: tuple(values) for dimension, values in sums.items()}  # type: ignore[misc]
