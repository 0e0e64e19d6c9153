"""Candidates for data without impressions: what was taken, and what could have been taken then.

The pool of a day holds what was taken on the days of the trailing window before it, so nothing of the request's own day or later enters.
Draws come from a hash of the request and the seed: they don't depend on how the data is cut into blocks.
"""

from collections.abc import Callable
from functools import partial
from itertools import pairwise

import numpy as np
import polars as pl
from numpy.typing import NDArray

Draw = Callable[[NDArray[np.int64], NDArray[np.float64]], NDArray[np.int64]]  # days and uniform numbers to items, -1 for none

DAY_US = 86_400_000_000
SPARE = 3  # draws at most for each negative wanted: some fall on positives or on one another
ITEM_BITS = 40  # of a pair of request and item in one number
CHUNK_WANTED = 1_000_000  # negatives sampled at a time, some 200 bytes each


def draw_negatives(
    positives: pl.DataFrame, popularity: pl.DataFrame, *, negatives: int, window_s: float, weighted: bool, seed: int
) -> pl.DataFrame:
    """Sample negatives for each request.

    Args:
        positives: request (0..R-1, ascending, none left out), salt (uint64, of the request), day, item; one row a positive item.
        popularity: day, item, taken: how often an item was taken on a day; sorted by day and item.
        negatives: wanted for each positive; a request gets fewer where its pool is small.
        window_s: the trailing window, in whole days.
        weighted: draw in proportion to how often an item was taken, or uniformly.
        seed: of the dataset.

    Returns:
        request, item: distinct items that are no positives of their request; those that were drawn first.
    """
    asked = positives.group_by("request", maintain_order=True).agg(pl.col("salt", "day").first(), (pl.len() * negatives).alias("wanted"))
    # By day, so that the draws of a chunk fall on one stretch of `popularity`: it stays in the processor's cache.
    asked = asked.sort("day", maintain_order=True)
    days = max(1, int(window_s // 86400))
    chunk = np.cumsum(asked["wanted"].to_numpy().astype(np.int64)) // CHUNK_WANTED
    drawn = [pl.DataFrame(schema={"request": pl.Int64, "item": pl.Int64})]
    for first, end in pairwise(np.flatnonzero(np.diff(chunk, prepend=-1, append=-1)).tolist()):
        some = asked[first:end]
        theirs = positives.join(some.select("request"), on="request", how="semi")
        draw = partial(_weighted if weighted else _uniformly, popularity, days=days)
        drawn.append(_chosen(some, theirs, draw, seed=seed))
    return pl.concat(drawn)


def _chosen(asked: pl.DataFrame, positives: pl.DataFrame, draw: Draw, *, seed: int) -> pl.DataFrame:
    """The first draws of each request, up to the number wanted, that are neither positives nor drawn before."""
    salt, day, wanted = (asked[name].to_numpy() for name in ("salt", "day", "wanted"))
    wanted, row = wanted.astype(np.int64), np.arange(len(asked))
    theirs = positives.join(asked.select("request").with_row_index("place"), on="request", maintain_order="left")
    # Place and item as one number, which is quick to compare; the positives first, then what is drawn.
    taken = _pair(theirs["place"].to_numpy(), theirs["item"].to_numpy())
    n_positives, turns, missing = len(taken), np.zeros(len(asked), np.int64), wanted
    while True:
        # Most are found in the first round; few requests need all their turns, which are used up in two more.
        more = np.where(missing > 0, np.minimum(np.maximum(missing + missing // 4, turns), wanted * SPARE - turns), 0)
        if not more.any():
            break
        drawer = np.repeat(row, more)
        turn = np.arange(len(drawer)) - np.repeat(np.cumsum(more) - more - turns, more)
        item = draw(day[drawer], _uniform(salt[drawer], turn.astype(np.uint64), seed=seed))
        fresh = _pair(drawer[item >= 0], item[item >= 0])
        taken = pl.Series(np.concatenate([taken, fresh])).unique(maintain_order=True).to_numpy()
        turns = turns + more
        missing = wanted - np.bincount(taken[n_positives:] >> ITEM_BITS, minlength=len(asked))
    drawn = taken[n_positives:]
    drawn = drawn[np.argsort(drawn >> ITEM_BITS, kind="stable")]
    place = drawn >> ITEM_BITS
    within = np.arange(len(place)) - np.searchsorted(place, place) < wanted[place]
    return pl.DataFrame({"request": asked["request"].gather(place[within]), "item": drawn[within] & ((1 << ITEM_BITS) - 1)})


def _pair(place: NDArray[np.int64], item: NDArray[np.int64]) -> NDArray[np.int64]:
    return (place.astype(np.int64) << ITEM_BITS) | item


def _weighted(popularity: pl.DataFrame, day: NDArray[np.int64], uniform: NDArray[np.float64], *, days: int) -> NDArray[np.int64]:
    """Items drawn in proportion to how often they were taken in each draw's window; -1 where nothing was.

    A window is a run of rows, and a row's place among the sums of all that was taken before it is where a draw falls.
    """
    before = np.concatenate([[0], np.cumsum(popularity["taken"].to_numpy())]).astype(np.float64)
    first, end = (np.searchsorted(popularity["day"].to_numpy(), edge) for edge in (day - days, day))
    total = before[end] - before[first]
    row = np.searchsorted(before, before[first] + np.minimum(np.floor(uniform * total), total - 1), side="right") - 1
    return np.where(total > 0, np.append(popularity["item"].to_numpy(), -1)[np.where(total > 0, row, -1)], -1)


def _uniformly(popularity: pl.DataFrame, day: NDArray[np.int64], uniform: NDArray[np.float64], *, days: int) -> NDArray[np.int64]:
    """Items drawn uniformly among those taken in each draw's window; -1 where nothing was."""
    all_days, all_items = popularity["day"].to_numpy(), popularity["item"].to_numpy()
    drawn = np.full(len(day), -1, np.int64)
    for one in np.unique(day):
        first, end = np.searchsorted(all_days, [one - days, one])
        pool = np.unique(all_items[first:end])
        if len(pool):
            drawn[day == one] = pool[(uniform[day == one] * len(pool)).astype(np.int64)]
    return drawn


def _uniform(salt: NDArray[np.uint64], turn: NDArray[np.uint64], *, seed: int) -> NDArray[np.float64]:
    """Uniform numbers in [0, 1) by SplitMix64 (Steele, Lea and Flood, 2014) of salt, seed and turn."""
    with np.errstate(over="ignore"):
        x = salt + np.uint64(seed) * np.uint64(0xD1342543DE82EF95) + (turn + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
        x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return np.asarray((x ^ (x >> np.uint64(31))) >> np.uint64(11)) * 2.0**-53
