"""Replay a block of whole items: the state of each at every request in which it was a candidate."""

import numpy as np
import polars as pl
from numpy.typing import NDArray

from components.contract.dataset import Dataset
from components.ingest.sources.sorting import sorted_by
from components.state.features import plan_of, state_values
from components.state.plan import StatePlan
from components.state.reducer import Features, LogRows, State, empty
from components.state.replay import replay


def replay_item_block(rows: pl.DataFrame, dataset: Dataset) -> tuple[pl.DataFrame, list[int], State]:
    """Run the reducer over a block of items.

    Args:
        rows: `item_rows` of all user blocks with `origin`, the block they come from.
        dataset: the dataset file.

    Returns:
        origin, slot and the items' state columns, one row for each candidate asked for; the items' codes; and their
        state at the end of the data.
    """
    plan = plan_of(dataset, "item")
    assert plan is not None
    if rows["stamped"].null_count() == len(rows):
        rows = sorted_by(rows, "item", "time")
    else:
        rows = rows.sort("item", "time", "stamped", nulls_last=False, maintain_order=True)
    key = rows["item"].rle_id().cast(pl.Int64)
    items = rows["item"].unique(maintain_order=True).to_list()
    query = rows["slot"].to_numpy() >= 0
    state, features = replay_rows(rows, key, plan, keys=len(items), is_query=query)
    known = rows.filter(pl.Series(query, dtype=pl.Boolean)).select("origin", "slot")
    return known.hstack(pl.DataFrame(state_values(dataset, "item", features.values))), items, state


def replay_rows(rows: pl.DataFrame, key: pl.Series, plan: StatePlan, *, keys: int, is_query: NDArray[np.bool_]) -> tuple[State, Features]:
    """Replay item rows, sorted by key and time, through the reducer.

    Args:
        rows: item, time, action (below 0: no event), stamped.
        key: (N,) the state's key of each row, 0 to `keys` - 1.
        plan: of the items' state.
        keys: how many there are.
        is_query: (N,) rows at which the state is read.
    """
    state = empty(plan, keys)
    log = LogRows(
        keys=key.to_numpy(),
        times_us=rows["time"].to_numpy(),
        actions=rows["action"].to_numpy(),
        items=rows["item"].to_numpy(),
        weights=np.ones(len(rows), np.int64),
        sessions=np.zeros(len(rows), np.int64),
        is_event=rows["action"].to_numpy() >= 0,
        is_query=is_query,
        stamps_us=rows["stamped"].fill_null(rows["time"]).to_numpy(),
    )
    return state, replay(plan, state, log)
