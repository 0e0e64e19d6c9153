"""Small shops: what they log, as hypothesis draws it, the dataset file that describes them, and ingestion run on them step by step."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import tensorflow as tf
import yaml
from hypothesis import strategies as st

from components.contract.dataset import Dataset
from components.contract.errors import InputError
from components.contract.load import parse_dataset
from components.ingest.block_steps import Job
from components.ingest.counts import Counts
from components.ingest.output.item_index import Index
from components.ingest.sources.blocks import Block
from components.ingest.sources.files import layout
from tests.components.ingest.without_beam import job_of, run_steps

START_US = 1_770_000_000_000_000  # 2026-02-02 02:40:00 UTC
SECOND = 1_000_000
DAY_US = 86_400 * SECOND

CATALOGUE = {  # category, price, vector
    "i0": ("shoes", 10.0, [1.0, 2.0]),
    "i1": ("shoes", 12.5, [0.5, -1.0]),
    "i2": ("hats", None, None),
    "i3": ("", 7.0, [0.0, 0.0]),
}
COUNTRIES = {"a": "DE", "b": "FR"}  # of shoppers; c is in no table


Columns = dict[str, list[Any]]  # of an example, by name
IDENTIFYING = ("user", "request", "time", "item", "position", "label")  # columns by which requests are told apart
T = TypeVar("T")


class Event(NamedTuple):
    """A row of the log. `shown`: the list that it carries, items and prices, where lists are logged."""

    time_us: int
    user: str
    item: str
    action: str
    request: str = ""
    session: str = ""
    position: int | None = None
    device: str = ""
    price: float | None = None
    shown: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True)
class Shop:
    """What the dataset file says. `form`: impressions, list, or sampling (by request or by event)."""

    form: str = "impressions"
    attribution_s: int = 20
    skew_s: int = 0
    session_gap_s: int = 30
    guests: bool = True
    sessions: bool = True  # the dataset file names the role `session`
    reject_unknown: bool = False
    gap_s: int | None = None
    evaluate: str = "20%"  # a share or a day, as `test`; the others are days, or None
    test: str = "20%"
    train: str | None = None
    until: str | None = None
    half_lives_s: tuple[int, ...] = (10, 3600)
    history_length: int = 3
    negatives: int = 2
    weight: str = "popularity"
    window_days: int = 2
    seed: int = 7

    @property
    def sampled(self) -> bool:
        return self.form.startswith("sampling")


SHOPS = {
    "impressions": Shop(),
    "impressions, strict": Shop(guests=False, reject_unknown=True, gap_s=5, attribution_s=60),
    "list": Shop(form="list", attribution_s=5),
    "list, late actions count": Shop(form="list", reject_unknown=True),
    "clocks differ": Shop(skew_s=4, attribution_s=40),
    "clocks differ, no visits": Shop(skew_s=4, sessions=False, attribution_s=60),
    "no visits": Shop(sessions=False, attribution_s=90),
    "list, clocks differ": Shop(form="list", skew_s=4),
    "sampling": Shop(form="sampling"),
    "sampling, uniform, strict": Shop(form="sampling", weight="uniform", reject_unknown=True, guests=False),
    "sampling by event": Shop(form="sampling by event", negatives=1, window_days=4),
}


def dataset_text(shop: Shop, **changes: Any) -> str:
    """The dataset file of a shop."""
    candidates: dict[str, Any] = {
        "impressions": {"from": "impressions"},
        "list": {"from": "list", "action": "click", "items": "shown", "columns": {"shown_price": "prices"}},
        "sampling": {"from": "sampling", "group": "request"},
        "sampling by event": {"from": "sampling", "group": "event"},
    }[shop.form]
    if shop.sampled:
        candidates |= {"negatives": shop.negatives, "weight": shop.weight, "window": f"{shop.window_days}d"}
    roles = ("user", "item", "action", "request", *(["session"] if shop.sessions else []), "position")
    columns = {role: role for role in roles}
    state = lambda name, side, measure, **rest: {"name": name, "kind": "state", "side": side, "measure": measure, **rest}  # noqa: E731
    shown_price = [] if shop.sampled else [{"name": "shown_price", "kind": "number", "side": "item", "source": "events"}]
    return yaml.safe_dump(
        {
            "name": "tiny",
            "seed": shop.seed,
            "events": {
                "path": "events/*.parquet",
                "time_unit": "us",
                "columns": {"time": "time", **columns},
                "missing_user": "guest" if shop.guests else "reject",
            },
            "items": {"path": "items.parquet", "id": "id"},
            "users": {"path": "users.parquet", "id": "id"},
            "actions": {"search": {"item": False}, "impression": {}, "click": {"label": 1}, "cart": {"label": 2}},
            "candidates": candidates,
            "unknown_items": "reject" if shop.reject_unknown else "keep",
            "session_gap": f"{shop.session_gap_s}s",
            **({} if shop.sampled else {"attribution": f"{shop.attribution_s}s", "skew": f"{shop.skew_s}s"}),
            "half_lives": [f"{half_life}s" for half_life in shop.half_lives_s],
            "windows": {
                name: value
                for name, value in (
                    ("train", shop.train),
                    ("eval", shop.evaluate),
                    ("test", shop.test),
                    ("until", shop.until),
                    ("gap", None if shop.gap_s is None else f"{shop.gap_s}s"),
                )
                if value is not None
            },
            "features": [
                {"name": "device", "kind": "category", "side": "context"},
                {"name": "hour", "kind": "category", "side": "context", "column": "time.hour"},
                {"name": "weekday", "kind": "category", "side": "context", "column": "time.weekday"},
                state("session_events", "context", "session_events"),
                state("session_age", "context", "session_age"),
                {"name": "country", "kind": "category", "side": "user"},
                {
                    "name": "history",
                    "kind": "history",
                    "side": "user",
                    "length": shop.history_length,
                    "actions": ["click", "cart"],
                    "fields": ["item", "category", "cost"],
                },
                state("user_clicks", "user", "count", action="click"),
                state("user_shown", "user", "total", action="impression"),
                state("user_ctr", "user", "rate", action="click", per="impression", prior=0.25, strength=4),
                state("user_cart_age", "user", "recency", action="cart"),
                {"name": "item", "kind": "id", "side": "item"},
                {"name": "category", "kind": "category", "side": "item"},
                {"name": "cost", "kind": "number", "side": "item", "column": "price", "source": "items", "minimum": 0},
                {"name": "look", "kind": "vector", "side": "item", "size": 2},
                *shown_price,
                state("item_carts", "item", "total", action="cart"),
                state("item_clicks", "item", "count", action="click"),
                state("item_ctr", "item", "rate", action="click", per="impression", prior=0.25, strength=4),
                state("item_click_age", "item", "recency", action="click"),
            ],
            **changes,
        },
        sort_keys=False,
    )


# Times within two minutes in whole seconds make ties, pauses of exactly the session gap, and actions at the very end of their window.
MOMENTS = st.one_of(
    st.integers(0, 120).map(lambda s: START_US + s * SECOND),
    st.integers(0, 6 * DAY_US).map(lambda us: START_US + us),
)


def events(shop: Shop) -> st.SearchStrategy[list[Event]]:
    """Logs of a shop, in no order, with gaps, repeated rows and all that may be missing."""
    named = st.builds(
        Event,
        time_us=MOMENTS,
        user=st.sampled_from(["a", "a", "b", "c", ""]),
        item=st.sampled_from(["i0", "i0", "i1", "i2", "x", ""]),
        action=st.sampled_from(["search", "impression", "impression", "impression", "click", "click", "cart", "wave"]),
        request=st.sampled_from(["r0", "r0", "r1", "r2", ""]),
        session=st.sampled_from(["", "", "s0", "s1"]),
        position=st.one_of(st.none(), st.integers(0, 3)),
        device=st.sampled_from(["phone", "desk", ""]),
        price=st.one_of(st.none(), st.integers(0, 8).map(lambda quarter: quarter / 4)),
        shown=st.lists(st.tuples(st.sampled_from(["i0", "i1", "i2", "x"]), st.sampled_from([1.0, 2.5])), max_size=3).map(tuple)
        if shop.form == "list"
        else st.just(()),
    )
    return st.lists(named, min_size=1, max_size=25).flatmap(
        lambda rows: st.lists(st.sampled_from(rows), max_size=3).map(lambda again: [_as_logged(shop, row) for row in [*rows, *again]])
    )


def _as_logged(shop: Shop, row: Event) -> Event:
    if not shop.sessions:
        row = row._replace(session="")
    if shop.sampled:
        return row._replace(price=None)  # isn't read there, so that rows which differ in it alone would be one
    if shop.form != "list":
        return row
    row = row._replace(action="search" if row.action == "impression" else row.action, price=None)
    # A list without a name is named by its content, which the oracle doesn't know.
    return row._replace(request=row.request or "r9") if row.action == "click" else row._replace(shown=())


def write_log(folder: Path, log: list[Event], *, files: int = 1, group_rows: int = 1_000) -> None:
    """The log as Parquet files, in its order, with the tables beside them."""
    (folder / "events").mkdir(parents=True, exist_ok=True)
    cut = -(-len(log) // files)
    for n in range(files):
        rows = log[n * cut : (n + 1) * cut]
        pq.write_table(_table(rows), folder / "events" / f"part-{n}.parquet", row_group_size=group_rows)
    category, price, look = zip(*CATALOGUE.values(), strict=True)
    pl.DataFrame({"id": list(CATALOGUE), "category": category, "price": price, "look": look}).write_parquet(folder / "items.parquet")
    pl.DataFrame({"id": list(COUNTRIES), "country": list(COUNTRIES.values())}).write_parquet(folder / "users.parquet")


def _table(rows: list[Event]) -> pa.Table:
    text = lambda name: pa.array([getattr(row, name) or None for row in rows], pa.string())  # noqa: E731
    return pa.table(
        {
            "time": pa.array([row.time_us for row in rows], pa.int64()),
            **{name: text(name) for name in ("user", "item", "action", "request", "session", "device")},
            "position": pa.array([row.position for row in rows], pa.int32()),
            "shown_price": pa.array([row.price for row in rows], pa.float64()),
            "shown": pa.array(["|".join(item for item, _ in row.shown) for row in rows], pa.string()),
            "prices": pa.array(["|".join(f"{price}" for _, price in row.shown) for row in rows], pa.string()),
        }
    )


class Ingested(NamedTuple):
    """What ingestion made: the examples of each split by user and request, and its counts."""

    examples: dict[str, dict[tuple[str, str], Columns]]
    counts: Counts
    index: Index
    job: Job


@lru_cache
def parsed(text: str) -> Dataset:
    return parse_dataset(text)


def blocks_of(text: str, folder: Path) -> list[Block]:
    """Every row group of every file as a block of its own."""
    single = []
    for block in layout(parsed(text), str(folder)).blocks:
        row = block.first_row
        for group in block.row_groups:
            single.append(replace(block, order=len(single), first_row=row, row_groups=(group,)))
            row += pq.ParquetFile(block.path).metadata.row_group(group).num_rows
    return single


def ingested(text: str, folder: Path, out: Path, *, partitions: int = 1, blocks: Iterable[Block] | None = None) -> Ingested:
    """Run the steps one after another, without Beam."""
    cut = list(blocks) if blocks is not None else list(layout(parsed(text), str(folder)).blocks)
    job = job_of(text, folder, out, partitions=partitions)
    index, counts = run_steps(job, cut)
    return Ingested(read_examples(out / "examples"), counts, index, job)


def everything_or_nothing(text: str, folder: Path, out: Path, *, partitions: int = 1) -> dict[tuple[str, str], tuple[str, Columns]]:
    """All examples, the log cut at each row group; none where ingestion says that it kept no event."""
    try:
        return everything(ingested(text, folder, out, partitions=partitions, blocks=blocks_of(text, folder)).examples)
    except InputError as error:
        if "kept none" not in str(error):
            raise
        return {}


def read_examples(folder: Path) -> dict[str, dict[tuple[str, str], Columns]]:
    """The examples of each split, column by column, by user and request."""
    several: dict[str, list[Columns]] = {}
    for split in ("train", "eval", "test"):
        decoded = several.setdefault(split, [])
        for path in sorted((folder / f"Split-{split}").glob("part-*")):
            for record in records_of(path):
                decoded.append({name: values_of(feature) for name, feature in tf.train.Example.FromString(record).features.feature.items()})
    split_of = [split for split, result in several.items() for _ in result]
    named = by_request([columns for result in several.values() for columns in result])
    result: dict[str, dict[tuple[str, str], Columns]] = {split: {} for split in several}
    for key, nth_row in named.items():
        split = split_of[nth_row]
        result[split][key] = several[split][nth_row - split_of.index(split)]
    return result


def by_request(requests: Sequence[Columns]) -> dict[tuple[str, str], int]:
    """User and request to a request's place; of those that share these, the first by moment and content keeps them, others are numbered."""
    alike: dict[tuple[str, str], list[int]] = {}
    for nth_row, columns in enumerate(requests):
        alike.setdefault((columns["user"][0], columns["request"][0]), []).append(nth_row)
    result = {}
    for (user, request), places in alike.items():
        ordered = sorted(places, key=lambda nth_row: [requests[nth_row][name] for name in ("time", "item", "position", "label")])
        result |= {(user, f"{request}#{n}" if n else request): nth_row for n, nth_row in enumerate(ordered)}
    return result


def by_example(requests: Sequence[tuple[Columns, T]], examples: dict[tuple[str, str], tuple[str, Columns]]) -> dict[tuple[str, str], T]:
    """What belongs to each example: of the requests those that were written, so that they are numbered alike, and not what lies in gaps."""
    alike = lambda columns: str([columns[name] for name in IDENTIFYING])  # noqa: E731
    written = {alike(columns) for _, columns in examples.values()}
    result = [(columns, of_request) for columns, of_request in requests if alike(columns) in written]
    return {key: result[nth_row][1] for key, nth_row in by_request([columns for columns, _ in result]).items()}


def records_of(path: Path) -> list[bytes]:
    """The records of a TFRecord file; TensorFlow checks their sums in a test of their own."""
    content, at, result = path.read_bytes(), 0, []
    while at < len(content):
        length = int.from_bytes(content[at : at + 8], "little")
        result.append(content[at + 12 : at + 12 + length])
        at += 16 + length
    return result


def values_of(feature: Any) -> list[Any]:
    """A feature's values; texts as str."""
    kind = feature.WhichOneof("kind")
    values = list(getattr(feature, kind).value)
    return [value.decode() for value in values] if kind == "bytes_list" else values


def everything(examples: dict[str, dict[Any, Any]]) -> dict[tuple[str, str], tuple[str, Columns]]:
    """All splits in one: request to its split and columns."""
    return {key: (split, columns) for split, result in examples.items() for key, columns in result.items()}


def by_prefix(counts: Counts) -> dict[str, int]:
    """Sums of counts whose names begin alike: what stands before the first colon."""
    sums: dict[str, int] = defaultdict(int)
    for name, number in counts.numbers.items():
        sums[name.partition(":")[0]] += number
    return sums
