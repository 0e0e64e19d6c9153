"""Sample negatives for data without impressions: items that other positive events soon after the request were about.

A positive event is one whose action has a label. A negative is the item of a later positive event in the same window of
the split (train, eval, test). Earlier events can't serve: an item's state at a request counts them, so an item drawn by
one of them has been counted once more than an item of a positive, and a model tells the two apart without any signal. A
later event isn't in any state yet, as the request's own isn't.

A candidate is in its list once, however popular. So negatives are drawn by inclusion probabilities that make up for it:
of an item in a share pi of the requests, n pi / (1 - pi) among the lists that don't have it as a positive, n being the
negatives wanted of each positive. Then an item is n times as often a negative as a positive, at any popularity. Where
that probability would be above 1, positives of the item are left out by chance until it holds.

Draws come from a hash of the request and the seed: they don't depend on how the data is cut into blocks.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import polars as pl
from numpy.typing import NDArray

from components.contract.values.splitmix import GOLDEN, mixed
from components.ingest.requests.splits import Bounds

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

POOLS = 64  # at least so many pools begin in a window of the split, at equal numbers of positive events
POOLS_PER_SPAN = 8  # and at least so many within the time that a pool spans
EXACT_SIZES = 16  # requests with so many positive events or fewer are drawn for by their number, larger ones by a number within 5 % of it
UNITS_BITS = 40  # lengths of items are whole numbers that add up to about 2**40
LENGTH_ROUNDS = 4
SHORTEST_LINE = 1e-3  # share of the items' lengths that remains, at the least, without a request's positives


@dataclass(frozen=True)
class Pools:
    """The events that negatives are drawn from: pool p holds the positive events `first[p]` to `end[p]`.

    It serves requests before `start_us[p]`, the time of its first event. `segment`: which of the stretches between
    `edges_us` the pool lies in; it holds nothing of another.
    """

    edges_us: Ints
    start_us: Ints
    first: Ints
    end: Ints
    segment: Ints

    def next_after(self, time_us: Ints) -> Ints:
        """Return the pool of each request: the next one that begins after it and in its stretch; -1 where there is
        none."""
        if not len(self.start_us):
            return np.full(len(time_us), -1, np.int64)
        pool = np.searchsorted(self.start_us, time_us, side="right")
        within = np.minimum(pool, len(self.start_us) - 1)
        same = self.segment[within] == np.searchsorted(self.edges_us, time_us, side="right")
        return np.where((pool < len(self.start_us)) & same, pool, -1)


@dataclass(frozen=True)
class NegativeSample:
    """`negatives`: request, item; an item once in a request, none of its positives. `kept`: (P,) whether a positive
    stays one."""

    negatives: pl.DataFrame
    kept: NDArray[np.bool_]


def make_pools(times_us: Ints, window: Bounds, *, span_us: int) -> Pools:
    """Cut all positive events into overlapping pools.

    Pools begin often enough that the next one is near, and towards the end of a window of the split ever more often, so
    that only its very last requests have none.

    Args:
        times_us: of the positive events, ascending.
        window: the windows of the split.
        span_us: how long a pool is, unless its window ends before.
    """
    edges = np.array([window.train_us, window.eval_us, window.test_us, window.until_us + 1])
    bounds = [0, *np.searchsorted(times_us, edges).tolist(), len(times_us)]
    parts = []
    for segment, (low, high) in enumerate(pairwise(bounds)):
        if low == high:
            continue
        step = max(1, (high - low) // POOLS)
        halving = high - (step >> np.arange(step.bit_length()))
        by_time = np.arange(times_us[low], times_us[high - 1], max(1, span_us // POOLS_PER_SPAN))
        ranks = np.concatenate([np.arange(low, high, step), halving, np.searchsorted(times_us, by_time)])
        start = np.unique(times_us[ranks])
        first = np.searchsorted(times_us, start)
        end = np.minimum(np.searchsorted(times_us, start + span_us), high)
        parts.append((start, first, end, np.full(len(start), segment)))
    columns = (np.concatenate(column).astype(np.int64) for column in zip(*parts, strict=True)) if parts else (np.zeros(0, np.int64),) * 4
    return Pools(edges, *columns)


def draw_negatives(
    positives: pl.DataFrame, event_items: Ints, pools: Pools, *, negatives: int, weighted: bool, seed: int
) -> NegativeSample:
    """Sample negatives for each request.

    Args:
        positives: request (0..R-1, ascending), salt (uint64, of the request), time (us, of the request), events (how
            many positive ones the request has), item; one row a positive item, an item once in a request.
        event_items: the items of all positive events, ascending by time.
        pools: of these events.
        negatives: wanted for each positive; a request gets fewer where its pool is small.
        weighted: draw in proportion to how many events an item has, or uniformly among the pool's items.
        seed: of the dataset.
    """
    request, item = positives["request"].to_numpy(), positives["item"].to_numpy().astype(np.int64)
    salt = positives["salt"].to_numpy()
    kept = np.ones(len(positives), np.bool_)
    pool = pools.next_after(positives["time"].to_numpy())
    size = _rounded(positives["events"].to_numpy()) if weighted else np.ones(len(positives), np.int64)
    order = np.lexsort([item, request, size, pool])
    order = order[pool[order] >= 0]
    starts = np.flatnonzero(np.diff(pool[order], prepend=-1) | np.diff(size[order], prepend=-1)).tolist()
    codes = max(event_items.max(initial=-1), item.max(initial=-1)) + 1
    draws, current = [np.zeros((2, 0), np.int64)], -1
    for low, high in pairwise([*starts, len(order)]):
        rows = order[low:high]
        if pool[rows[0]] != current:
            current = int(pool[rows[0]])
            contents = _pool_items(event_items[pools.first[current] : pools.end[current]], current, codes=codes, seed=seed)
        events = int(size[rows[0]])
        per_positive = min(negatives, max(1, (len(contents.items) - 1) // events))
        design = _by_popularity(contents.counts, events, negatives=per_positive) if weighted else _uniform_design(len(contents.items))
        group = _Group(request[rows], salt[rows], contents.index[item[rows]])
        if design.expected is not None:
            chance = _uniform(group.salt ^ _seeded(item[rows].astype(np.uint64), seed=seed), turn=1, seed=seed)
            kept[rows] = (group.index < 0) | (chance < design.retention[group.index])
        draws.append(_systematic(group, design, contents.items, negatives=per_positive, seed=seed))
    drawn = np.concatenate(draws, axis=1)
    return NegativeSample(pl.DataFrame({"request": drawn[0], "item": drawn[1]}), kept)


def _rounded(size: Ints) -> Ints:
    """Round sizes above EXACT_SIZES to the nearest of a few."""
    steps = np.rint(np.log(np.maximum(size, EXACT_SIZES) / EXACT_SIZES) / np.log(1.1))
    return np.where(size <= EXACT_SIZES, size, np.rint(EXACT_SIZES * 1.1**steps)).astype(np.int64)


@dataclass(frozen=True)
class _PoolItems:
    """The D items of a pool in the order in which they are laid end to end, their events, and the index of each item
    by its code (or -1)."""

    items: Ints
    counts: Ints
    index: Ints


def _pool_items(event_items: Ints, pool: int, *, codes: int, seed: int) -> _PoolItems:
    """Count the items of a pool's events, and shuffle them: in another order in each pool, lest the same two items
    are never drawn together."""
    counts = np.bincount(event_items)
    items = np.flatnonzero(counts)
    items = items[np.argsort(_seeded(items.astype(np.uint64) + (np.uint64(pool) << np.uint64(UNITS_BITS)), seed=seed), kind="stable")]
    index = np.full(codes, -1, np.int64)
    index[items] = np.arange(len(items))
    return _PoolItems(items, counts[items], index)


@dataclass(frozen=True)
class _Group:
    """P positives of requests that draw alike, those of a request together: request, its salt, and the item's index
    in the pool (or -1)."""

    request: Ints
    salt: NDArray[np.uint64]
    index: Ints


@dataclass(frozen=True)
class _Design:
    """How a pool's D items are drawn for requests with equally many positive events.

    `lengths`: (D,) in proportion to the probability that an item is a negative of a list that hasn't it as a positive;
    `retention`: (D,) the probability that a positive of it stays one. `expected`: how many negatives the lengths stand
    for, where they alone determine the number; None where each positive gets as many.
    """

    lengths: Floats
    retention: Floats
    expected: float | None = None


def _uniform_design(items: int) -> _Design:
    return _Design(np.ones(items), np.ones(items))


def _by_popularity(counts: Ints, events: int, *, negatives: int) -> _Design:
    """Make negatives as popular as positives.

    pi = 1 - (1 - p)^k is the share of requests with k positive events that have an item of share p; n pi / (1 - pi) is
    the wanted probability of the item among the others.
    """
    share = counts / counts.sum()
    with np.errstate(divide="ignore", over="ignore"):
        odds = negatives * ((1 - share) ** -float(events) - 1)
    if odds.max() > 1:
        return _Design(np.minimum(odds, 1.0), np.minimum(1 / odds, 1.0), expected=float(np.minimum(odds, 1.0).sum()))
    # A list of fixed size gives a popular item less than its length says: without the positives, the line is shorter
    # where they are popular, and those lists don't draw the item. `line`: what remains of it beside one positive at
    # random, the others at their mean.
    lengths = odds
    for _ in range(LENGTH_ROUNDS):
        line = np.maximum(lengths.sum() - (events - 1) * (share * lengths).sum() - lengths, SHORTEST_LINE * lengths.sum())
        lengths = odds * (1 - share) / ((share / line).sum() - share / line)
        lengths = lengths / lengths.sum()
    return _Design(lengths, np.ones(len(share)))


def _systematic(group: _Group, design: _Design, items: Ints, *, negatives: int, seed: int) -> Ints:
    """Draw each request's negatives by systematic sampling (Madow 1949).

    The items are laid end to end without the request's positives, and points at equal distances from a random start
    fall on the negatives.

    Args:
        group: P positives.
        design: of the items.
        items: (D,) of the pool, in the order in which they are laid.
        negatives: for each positive.
        seed: of the dataset.

    Returns:
        (2, N) request and item.
    """
    # Whole numbers: a point never falls on a positive by rounding.
    lengths = np.maximum(1, np.rint(design.lengths * (2.0**UNITS_BITS / design.lengths.sum()))).astype(np.int64)
    ends = np.cumsum(lengths)
    first = np.flatnonzero(np.diff(group.request, prepend=-1))
    sizes = np.diff(first, append=len(group.request))
    cuts = _cuts(np.repeat(np.arange(len(first)), sizes), group.index, ends - lengths, lengths, requests=len(first))
    remaining = int(ends[-1]) - cuts.length
    total = sizes * negatives
    if design.expected is not None:
        chance = _uniform(group.salt[first], turn=2, seed=seed)
        total = np.floor(remaining * (design.expected / 2.0**UNITS_BITS) + chance).astype(np.int64)
    points: Ints = np.where(remaining > 0, np.minimum(total, len(items) - cuts.count), 0)
    row = np.repeat(np.arange(len(first)), points)
    nth = np.arange(len(row)) - np.repeat(np.cumsum(points) - points, points)
    offset = nth + _uniform(group.salt[first], turn=0, seed=seed)[row]
    position = np.floor(offset * (remaining / np.maximum(points, 1))[row]).astype(np.int64)
    position = np.minimum(position, remaining[row] - 1)
    drawn = np.searchsorted(ends, cuts.on_whole_line(row, position), side="right")
    single = (np.diff(drawn, prepend=-1) != 0) | (np.diff(row, prepend=-1) != 0)  # an item longer than a step is hit again
    return np.stack([group.request[first][row[single]], items[drawn[single]]])


@dataclass(frozen=True)
class _Cuts:
    """The stretches that the positives of R requests take of the line, and that are cut out of it: C of them, by
    request and position."""

    keys: Ints  # (C,) the request and the position on its shortened line, as one number
    before: Ints  # (C + 1,) the length of all earlier cuts, of any request
    first: Ints  # (R,) `before` at the request's first cut
    count: Ints  # (R,) cuts of a request
    length: Ints  # (R,) their length

    def on_whole_line(self, row: Ints, position: Ints) -> Ints:
        """Return where positions on the shortened lines of requests lie on the whole line: behind the cuts before
        them."""
        passed = np.searchsorted(self.keys, _sort_key(row, position), side="right")
        return position + self.before[passed] - self.first[row]


def _cuts(row: Ints, index: Ints, starts: Ints, lengths: Ints, *, requests: int) -> _Cuts:
    """Cut the items at `index` (-1: none) out of the lines of their requests, `row`."""
    inside = np.flatnonzero(index >= 0)
    inside = inside[np.lexsort([starts[index[inside]], row[inside]])]
    row, start, length = row[inside], starts[index[inside]], lengths[index[inside]]
    before = np.concatenate([[0], np.cumsum(length)])
    count = np.bincount(row, minlength=requests)
    first_cut = np.cumsum(count) - count
    first = before[first_cut]
    return _Cuts(_sort_key(row, start - (before[:-1] - first[row])), before, first, count, before[first_cut + count] - first)


def _sort_key(row: Ints, position: Ints) -> Ints:
    return (row << (UNITS_BITS + 1)) + position


def _uniform(salt: NDArray[np.uint64], *, turn: int, seed: int) -> Floats:
    """Return uniform numbers in [0, 1) of salt, seed and turn."""
    with np.errstate(over="ignore"):
        return np.asarray(_seeded(salt + np.uint64(turn + 1) * GOLDEN, seed=seed) >> np.uint64(11)) * 2.0**-53


def _seeded(values: NDArray[np.uint64], *, seed: int) -> NDArray[np.uint64]:
    """Return 64 bits of each value and the seed, by the finalizer of SplitMix64 (Steele, Lea and Flood, 2014)."""
    with np.errstate(over="ignore"):
        return mixed(values + np.uint64((seed * 0xD1342543DE82EF95) & (2**64 - 1)))
