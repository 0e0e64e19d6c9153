"""Replay a block of whole items: the state of each at every request in which it was a candidate."""

import numpy as np
import polars as pl

from components.contract.dataset import Dataset
from components.ingest.sources.sorting import sorted_by
from components.state.features import plan_of, state_values
from components.state.reducer import State, empty
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
    key = rows["item"].rle_id().cast(pl.Int64).to_numpy()
    items = rows["item"].unique(maintain_order=True).to_list()
    state = empty(plan, len(items))
    query = rows["slot"].to_numpy() >= 0
    features = replay(
        plan,
        state,
        keys=key,
        times_us=rows["time"].to_numpy(),
        actions=rows["action"].to_numpy(),
        items=rows["item"].to_numpy(),
        weights=np.ones(len(rows), np.int64),
        sessions=np.zeros(len(rows), np.int64),
        is_event=rows["action"].to_numpy() >= 0,
        is_query=query,
        stamps_us=rows["stamped"].fill_null(rows["time"]).to_numpy(),
    )
    known = rows.filter(pl.Series(query, dtype=pl.Boolean)).select("origin", "slot")
    return known.hstack(pl.DataFrame(state_values(dataset, "item", features.values))), items, state
