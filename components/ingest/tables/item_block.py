"""A block of whole items: what was known of each at every moment it was a candidate."""

import numpy as np
import polars as pl

from components.contract.dataset import Dataset
from components.ingest.sources.sorting import sorted_by
from components.state.features import plan_of, state_values
from components.state.reducer import LogRows, State, empty
from components.state.replay import replay


def product_block(rows: pl.DataFrame, dataset: Dataset) -> tuple[pl.DataFrame, list[int], State]:
    """Run the reducer over a block of items.

    Args:
        rows: `item_rows` of all shopper blocks with `origin`, the block they come from.
        dataset: the dataset file.

    Returns:
        origin, slot and the items' state columns, one row for each candidate asked for; the items' codes; and their state at the end of
        the data.
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
    log = LogRows(
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
    features = replay(plan, state, log)
    known = rows.filter(pl.Series(query, dtype=pl.Boolean)).select("origin", "slot")
    return known.hstack(pl.DataFrame(state_values(dataset, "item", features.values))), items, state
