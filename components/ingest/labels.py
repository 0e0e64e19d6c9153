"""What became of each candidate: an action counts for the impression it came from."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray


class Attribution(NamedTuple):
    """Labels of N candidates for A actions, and how many interactions found no impression."""

    labels: NDArray[np.uint8]  # (N, A) 1 where the candidate got the action
    unattributed: int
    hits: pl.DataFrame  # slot (0..N-1, the candidate), action, event: one row an interaction that found its candidate


def attribute(candidates: pl.DataFrame, interactions: pl.DataFrame, *, actions: Sequence[int], window_us: int) -> Attribution:
    """Attribute interactions to candidates.

    An interaction that names its request counts for the item there; one that doesn't, for the shopper's last request that showed the item
    (of several at one moment: the last by name). Both only if it comes with or after the request and within the window.

    Args:
        candidates: key, request, item (codes), time (us, of the request); N rows, an item once in a request.
        interactions: key, request (null where not given), item, time, action, event (a number of its own).
        actions: which actions are labels, in the labels' order.
        window_us: how long after its request an action counts.
    """
    slots = candidates.select("key", "request", "item", shown="time").with_row_index("slot")
    found = interactions.join(slots, on=["key", "request", "item"], how="inner").select("slot", "action", "event", "time", "shown")
    free = interactions.filter(pl.col("request").is_null()).drop("request")
    if len(free):
        last = free.sort("time").join_asof(
            slots.sort("shown", "request").drop("request"),
            left_on="time",
            right_on="shown",
            by=["key", "item"],
            strategy="backward",
            coalesce=False,
            check_sortedness=False,
        )
        found = pl.concat([found, last.filter(pl.col("slot").is_not_null()).select(found.columns)])
    hits = found.filter(pl.col("time").is_between(pl.col("shown"), pl.col("shown") + window_us))
    labels = np.zeros((len(candidates), len(actions)), np.uint8)
    for at, action in enumerate(actions):
        labels[hits.filter(pl.col("action") == action)["slot"].to_numpy(), at] = 1
    return Attribution(labels, len(interactions) - len(hits), hits.select("slot", "action", "event"))
