"""Candidates for data without impressions: what was taken, and what others took soon after.

A negative is the item of a later taking in the same window of the split (train, eval, test). Takings from the past can't serve: what is
known of an item at a request counts them, so an item drawn by one of them has been counted once more than an item that is taken now, and a
model tells the two apart without any signal. A later taking isn't in anybody's state yet, as the request's own isn't.

A candidate stands once in its list, however popular. So negatives are drawn by inclusion probabilities that make up for it: of an item in a
share pi of the requests, n pi / (1 - pi) among the lists that don't have it as a positive, n being the negatives wanted of each positive.
Then an item is n times as often a negative as a positive, at any popularity. Where that probability would be above 1, positives of the item
are left out by chance until it holds.

Draws come from a hash of the request and the seed: they don't depend on how the data is cut into blocks.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import polars as pl
from numpy.typing import NDArray

from components.ingest.requests.splits import Bounds

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

POOLS = 64  # at least so many pools begin in a window of the split, at equal numbers of takings
POOLS_PER_SPAN = 8  # and at least so many within the time that a pool spans
EXACT_SIZES = 16  # requests with so many takings or fewer are drawn for by their number, larger ones by a number within 5 % of it
UNITS_BITS = 40  # lengths of items are whole numbers that add up to about 2**40
LENGTH_ROUNDS = 4
SHORTEST_LINE = 1e-3  # share of the items' lengths that is left, at the least, without a request's positives


@dataclass(frozen=True)
class Pools:
    """What is drawn from: pool p holds the takings `first[p]` to `end[p]`, and is for requests before `start_us[p]`, its first taking.

    `segment`: which of the stretches between `edges_us` the pool lies in; it holds nothing of another.
    """

    edges_us: Ints
    start_us: Ints
    first: Ints
    end: Ints
    segment: Ints

    def of(self, time_us: Ints) -> Ints:
        """The pool of each request: the next one that begins after it and in its stretch; -1 where there is none."""
        if not len(self.start_us):
            return np.full(len(time_us), -1, np.int64)
        pool = np.searchsorted(self.start_us, time_us, side="right")
        within = np.minimum(pool, len(self.start_us) - 1)
        same = self.segment[within] == np.searchsorted(self.edges_us, time_us, side="right")
        return np.where((pool < len(self.start_us)) & same, pool, -1)


@dataclass(frozen=True)
class Drawn:
    """`negatives`: request, item; an item once in a request, none of its positives. `kept`: (P,) whether a positive stays one."""

    negatives: pl.DataFrame
    kept: NDArray[np.bool_]


def pools(times_us: Ints, window: Bounds, *, span_us: int) -> Pools:
    """Lay the pools over all takings.

    Pools begin often enough that the next one is near, and towards the end of a window of the split ever more often, so that only its very
    last requests have none.

    Args:
        times_us: of the takings, ascending.
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


def draw_negatives(positives: pl.DataFrame, taken_item: Ints, window_pools: Pools, *, negatives: int, weighted: bool, seed: int) -> Drawn:
    """Sample negatives for each request.

    Args:
        positives: request (0..R-1, ascending), salt (uint64, of the request), time (us, of the request), takings (how many events the
            request has), item; one row a positive item, an item once in a request.
        taken_item: the items of all takings, ascending by time.
        window_pools: laid over them.
        negatives: wanted for each positive; a request gets fewer where its pool is small.
        weighted: draw in proportion to how often an item was taken, or uniformly among the pool's items.
        seed: of the dataset.
    """
    request, item = positives["request"].to_numpy(), positives["item"].to_numpy().astype(np.int64)
    kept = np.ones(len(positives), np.bool_)
    pool = window_pools.of(positives["time"].to_numpy())
    size = _rounded(positives["takings"].to_numpy()) if weighted else np.ones(len(positives), np.int64)
    order = np.lexsort([item, request, size, pool])
    order = order[pool[order] >= 0]
    group = np.flatnonzero(np.diff(pool[order], prepend=-1) | np.diff(size[order], prepend=-1)).tolist()
    place = np.full(max(taken_item.max(initial=-1), item.max(initial=-1)) + 1, -1, np.int64)  # of an item in its pool
    salts = positives["salt"].to_numpy()
    found, before = [], -1
    for low, high in pairwise([*group, len(order)]):
        rows = order[low:high]
        at, takings = int(pool[rows[0]]), int(size[rows[0]])
        if at != before:
            counts = np.bincount(taken_item[window_pools.first[at] : window_pools.end[at]])
            items = np.flatnonzero(counts)
            # In an order of its own, so that no two items are kept apart in every pool.
            items = items[np.argsort(_mixed(items.astype(np.uint64) + (np.uint64(at) << np.uint64(UNITS_BITS)), seed=seed), kind="stable")]
            place[:] = -1
            place[items] = np.arange(len(items))
            before = at
        wanted = min(negatives, max(1, (len(items) - 1) // takings))
        alike = np.ones(len(items))
        law = _by_popularity(counts[items], takings, negatives=wanted) if weighted else _Law(alike, alike)
        where = place[item[rows]]
        if law.total is not None:
            chance = _uniform(salts[rows] ^ _mixed(item[rows].astype(np.uint64), seed=seed), turn=1, seed=seed)
            kept[rows] = (where < 0) | (chance < law.staying[where])
        found.append(_systematic(request[rows], where, salts[rows], law, items, negatives=wanted, seed=seed))
    drawn = np.concatenate([np.zeros((2, 0), np.int64), *found], axis=1)
    return Drawn(pl.DataFrame({"request": drawn[0], "item": drawn[1]}), kept)


def _rounded(size: Ints) -> Ints:
    """Sizes above EXACT_SIZES brought to the nearest of a few."""
    steps = np.rint(np.log(np.maximum(size, EXACT_SIZES) / EXACT_SIZES) / np.log(1.1))
    return np.where(size <= EXACT_SIZES, size, np.rint(EXACT_SIZES * 1.1**steps)).astype(np.int64)


@dataclass(frozen=True)
class _Law:
    """How a pool's items are drawn for requests with as many takings.

    `lengths`: (D,) in proportion to how likely an item is a negative of a list that hasn't taken it; `staying`: (D,) how likely a positive
    of it stays one. `total`: how many negatives the lengths stand for, where they alone say it; None where each positive gets as many.
    """

    lengths: Floats
    staying: Floats
    total: float | None = None


def _by_popularity(counts: Ints, takings: int, *, negatives: int) -> _Law:
    """pi = 1 - (1 - p)^k is the share of requests with k takings that take an item of share p; n pi / (1 - pi) is asked for."""
    share = counts / counts.sum()
    with np.errstate(divide="ignore", over="ignore"):
        odds = negatives * ((1 - share) ** -float(takings) - 1)
    if odds.max() > 1:
        return _Law(np.minimum(odds, 1.0), np.minimum(1 / odds, 1.0), total=float(np.minimum(odds, 1.0).sum()))
    # A list of fixed size gives a popular item less than its length says: without the positives, the line is shorter where they are
    # popular, and those lists don't draw the item. `line`: what is left of it by one positive at random, the others at their mean.
    lengths = odds
    for _ in range(LENGTH_ROUNDS):
        line = np.maximum(lengths.sum() - (takings - 1) * (share * lengths).sum() - lengths, SHORTEST_LINE * lengths.sum())
        lengths = odds * (1 - share) / ((share / line).sum() - share / line)
        lengths = lengths / lengths.sum()
    return _Law(lengths, np.ones(len(share)))


def _systematic(
    request: Ints,
    where: Ints,
    salt: NDArray[np.uint64],
    law: _Law,
    items: Ints,
    *,
    negatives: int,
    seed: int,
) -> NDArray[np.int64]:
    """Systematic sampling (Madow 1949) of each request's negatives: the items laid end to end without the request's positives, and points
    at equal distances from a random start on.

    Args:
        request: (P,) of each positive, those of a request together.
        where: (P,) its place among the items, -1 where the pool hasn't got it.
        salt: (P,) of its request.
        law: of the items.
        items: (D,) of the pool, in the order in which they are laid.
        negatives: for each positive.
        seed: of the dataset.

    Returns:
        (2, N) request and item.
    """
    # Whole numbers: a point never falls on a positive by rounding.
    length = np.maximum(1, np.rint(law.lengths * (2.0**UNITS_BITS / law.lengths.sum()))).astype(np.int64)
    upto = np.cumsum(length)
    opens = np.flatnonzero(np.diff(request, prepend=-1))
    row = np.repeat(np.arange(len(opens)), np.diff(opens, append=len(request)))
    sizes = np.bincount(row)
    inside = np.flatnonzero(where >= 0)
    begin = upto[where[inside]] - length[where[inside]]
    inside = inside[np.lexsort([begin, row[inside]])]
    cut = length[where[inside]]
    cut_before = np.cumsum(cut) - cut
    cuts = np.bincount(row[inside], minlength=len(opens))
    first_cut = np.cumsum(cuts) - cuts
    cut_of_row = np.bincount(row[inside], cut, minlength=len(opens)).astype(np.int64)
    rest = int(upto[-1]) - cut_of_row
    start = _uniform(salt[opens], turn=0, seed=seed)
    asked = sizes * negatives
    if law.total is not None:
        asked = np.floor(rest * (law.total / 2.0**UNITS_BITS) + _uniform(salt[opens], turn=2, seed=seed)).astype(np.int64)
    points: Ints = np.where(rest > 0, np.minimum(asked, len(items) - cuts), 0)
    point_row = np.repeat(np.arange(len(opens)), points)
    nth = np.arange(len(point_row)) - np.repeat(np.cumsum(points) - points, points)
    at = np.floor((nth + start[point_row]) * (rest / np.maximum(points, 1))[point_row]).astype(np.int64)
    at = np.minimum(at, rest[point_row] - 1)
    # A point moves on by the lengths of the positives before it: they begin, without one another, where `begin` less those before says.
    lone = np.concatenate([cut_before, [cut.sum()]])
    base = lone[first_cut]
    opening = upto[where[inside]] - cut - (cut_before - base[row[inside]])
    passed = np.searchsorted(
        (row[inside] << (UNITS_BITS + 1)) + opening, (point_row.astype(np.int64) << (UNITS_BITS + 1)) + at, side="right"
    )
    drawn = np.searchsorted(upto, at + lone[passed] - base[point_row], side="right")
    single = (np.diff(drawn, prepend=-1) != 0) | (np.diff(point_row, prepend=-1) != 0)  # an item longer than a step is met again
    return np.stack([request[opens][point_row[single]], items[drawn[single]]])


def _uniform(salt: NDArray[np.uint64], *, turn: int, seed: int) -> Floats:
    """Uniform numbers in [0, 1) of salt, seed and turn."""
    with np.errstate(over="ignore"):
        return np.asarray(_mixed(salt + np.uint64(turn + 1) * np.uint64(0x9E3779B97F4A7C15), seed=seed) >> np.uint64(11)) * 2.0**-53


def _mixed(values: NDArray[np.uint64], *, seed: int) -> NDArray[np.uint64]:
    """64 bits of each value and the seed, by the finalizer of SplitMix64 (Steele, Lea and Flood, 2014)."""
    with np.errstate(over="ignore"):
        x = values + np.uint64((seed * 0xD1342543DE82EF95) & (2**64 - 1))
        x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return np.asarray(x ^ (x >> np.uint64(31)))
