"""Compute the segments of rows, and the state of items within segments."""

import numpy as np
import polars as pl

from components.contract.dataset import Dataset
from components.ingest.tables.catalogue import join_features, join_features_at
from components.ingest.tables.item_block import replay_rows
from components.state.features import plan_of
from components.state.keys import SEPARATOR, segment_key
from components.state.reducer import State
from components.state.versions import FROM


def segments(rows: pl.DataFrame, dataset: Dataset, users: pl.DataFrame | None, *, prefix: str) -> pl.Series:
    """Return (N,) the segment of each row, as `components.state.keys.segment_of` makes it; null where a value is
    missing.

    Args:
        rows: with `user`, `time`, and the events' features, named with `prefix`.
        dataset: defines segments.
        users: the table of users.
        prefix: of the features' columns.
    """
    values = []
    for name in dataset.serving.segment:
        feature = dataset.feature(name)
        if feature.table == "users":
            assert users is not None
            if FROM in users.columns:
                values.append(join_features_at(rows["user"], rows["time"].to_numpy(), users, (feature,))[name])
            else:
                values.append(join_features(rows["user"], users, (feature,))[name])
        else:
            values.append(rows[f"{prefix}{name}"].alias(name))
    complete = pl.all_horizontal(pl.all() != "")
    whole = pl.DataFrame(values).select(pl.when(complete).then(pl.concat_str(pl.all(), separator=SEPARATOR)).alias("segment"))
    return whole.to_series()


def replay_segment_block(rows: pl.DataFrame, items: pl.Series, dataset: Dataset) -> tuple[list[str], State]:
    """Run the reducer over a block of items within segments.

    Args:
        rows: `segment_rows` of all user blocks.
        items: the items' ids by code.
        dataset: the dataset file.

    Returns:
        The keys, and their state at the end of the data.
    """
    plan = plan_of(dataset, "item")
    assert plan is not None
    rows = rows.sort("item", "segment", "time", "stamped", nulls_last=False, maintain_order=True)
    pair = rows.select(pl.struct("item", "segment").rle_id().cast(pl.Int64).alias("key")).to_series()
    first = rows.filter(pair != pair.shift(1, fill_value=-1))
    keys = [segment_key(segment, item) for segment, item in zip(first["segment"], items.gather(first["item"]), strict=True)]
    state, _ = replay_rows(rows, pair, plan, keys=len(keys), is_query=np.zeros(len(rows), np.bool_))
    return keys, state
