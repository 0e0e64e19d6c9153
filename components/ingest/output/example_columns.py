"""Build the columns of a block's examples, each as a pool of values and an index into it."""

import numpy as np
import polars as pl
from numpy.typing import NDArray

from components.contract.columns import columns, label_columns
from components.contract.dataset import Dataset
from components.contract.features import GivenFeature
from components.ingest.counts import Counts
from components.ingest.events.local_clocks import clock_columns
from components.ingest.output.tfrecord_writer import Field
from components.ingest.requests.requests import shown_features
from components.ingest.requests.user_block import UserBlock
from components.ingest.tables.catalogue import join_features, join_features_at, missing_value
from components.ingest.tables.item_versions import ItemVersions
from components.state.versions import FROM

Ints = NDArray[np.int64]
Values = tuple[pl.Series, Ints]  # a pool, and the row of it at each index


def fields(
    block: UserBlock,
    *,
    item_state: pl.DataFrame,
    items: pl.DataFrame,
    users: pl.DataFrame | None,
    dataset: Dataset,
    counts: Counts,
    versions: ItemVersions | None = None,
) -> list[Field]:
    """Join requests, candidates and histories with their features.

    Args:
        block: R requests.
        item_state: slot and the items' state columns, in any order.
        items: the item index.
        users: the users' table, if there is one.
        dataset: the dataset file.
        counts: gets the users that the table lacks, and users and candidates before their tables' first rows.
        versions: the items' features, where the catalogue's rows hold from a time on.

    Returns:
        A field for each column of the dataset's examples, of all R requests.
    """
    catalogue = pl.concat([items.drop("known"), _blank_item(dataset, versions)], how="vertical")
    values = {
        "request": _requests(block, users, dataset, counts),
        "candidate": _candidates(block, item_state, catalogue, dataset),
        "history": _history(block, catalogue, dataset, versions),
    }
    if versions is not None:
        values["candidate"] |= _versions_of_candidates(block, items, versions, counts)
    requests = len(block.requests.frame)
    bounds = {
        "request": np.arange(requests + 1),
        "candidate": _bounds(block.requests.candidates["row"], requests),
        "history": _bounds(block.history["row"], requests),
    }
    result = []
    for column in columns(dataset):
        pool, at = values[column.axis][column.name]
        result.append(Field(column.name, column.dtype, pool, at, bounds[column.axis][:-1], bounds[column.axis][1:]))
    return result


def _requests(block: UserBlock, users: pl.DataFrame | None, dataset: Dataset, counts: Counts) -> dict[str, Values]:
    frame = block.requests.frame.hstack(block.known)
    frame = frame.with_columns(clock_columns(frame, dataset, counts))
    if users is not None:
        if FROM in users.columns:
            joined = join_features_at(frame["user"], frame["time"].to_numpy(), users, dataset.input_features("users"))
            early = int((joined["known"] & ~joined["holds"]).sum())
            counts.add("kept with missing values: requests of users before their first row in the users' table", early)
            joined = joined.drop("holds")
        else:
            joined = join_features(frame["user"], users, dataset.input_features("users"))
        strangers = int((~joined["known"] & (frame["user"] != "")).sum())
        counts.add("kept with missing values: requests of users that the users' table lacks", strangers)
        frame = frame.hstack(joined.drop("known"))
    return _in_place(frame)


def _candidates(block: UserBlock, item_state: pl.DataFrame, catalogue: pl.DataFrame, dataset: Dataset) -> dict[str, Values]:
    candidates, labels, amounts = block.requests.candidates, block.requests.outcome.labels, block.requests.outcome.amounts
    frame = candidates.select("position", *(feature.name for feature in shown_features(dataset)))
    slot = item_state["slot"].to_numpy()
    state = {}
    for column in item_state.drop("slot").iter_columns():
        known = np.full(len(frame), np.nan, np.float32)
        known[slot] = column.to_numpy()
        state[column.name] = known
    each = {column.name: labels[:, column_index] for column_index, column in enumerate(label_columns(dataset)[1:])}
    frame = frame.hstack(pl.DataFrame({"label": labels.max(axis=1)} | each | state)).hstack(amounts)
    return _of_items(catalogue, candidates["item"]) | _in_place(frame)


def _versions_of_candidates(block: UserBlock, items: pl.DataFrame, versions: ItemVersions, counts: Counts) -> dict[str, Values]:
    codes = block.requests.candidates["item"].cast(pl.Int64).to_numpy()
    at = versions.at(codes, _moments(block, block.requests.candidates["row"]))
    early = int((items["known"].to_numpy()[codes] & (at == versions.missing)).sum())
    counts.add("kept with missing values: candidates before their item's first row in the catalogue", early)
    return versions.values(at)


def _moments(block: UserBlock, row: pl.Series) -> Ints:
    """Return the time of the request that each row belongs to."""
    return block.requests.frame["time"].gather(row).to_numpy()


def _history(block: UserBlock, catalogue: pl.DataFrame, dataset: Dataset, versions: ItemVersions | None) -> dict[str, Values]:
    feature, events = dataset.history, block.history
    if feature is None:
        return {}
    of_items = _of_items(catalogue, events["item"])
    if versions is not None:
        # As at the request: the service has no values of other times.
        of_items |= versions.values(versions.at(events["item"].cast(pl.Int64).to_numpy(), _moments(block, events["row"])))
    of_items = {name: of_items[name] for name in feature.fields}
    actions = pl.Series(list(dataset.actions)), events["action"].cast(pl.Int64).to_numpy()
    own = {"action": actions, **_in_place(events.select("age_s"))}
    return {f"{feature.name}_{name}": values for name, values in (of_items | own).items()}


def _of_items(catalogue: pl.DataFrame, codes: pl.Series) -> dict[str, Values]:
    at = codes.cast(pl.Int64).to_numpy()
    at = np.where(at < 0, len(catalogue) - 1, at)
    return {column.name: (column, at) for column in catalogue.iter_columns()}


def _in_place(frame: pl.DataFrame) -> dict[str, Values]:
    at = np.arange(len(frame))
    return {column.name: (column, at) for column in frame.iter_columns()}


def _blank_item(dataset: Dataset, versions: ItemVersions | None) -> pl.DataFrame:
    """Return the row of the item index for an event without item (code -1)."""
    features: tuple[GivenFeature, ...] = dataset.input_features("items") if dataset.items and versions is None else ()
    return pl.select(pl.lit("").alias("item"), *(missing_value(feature).alias(feature.name) for feature in features))


def _bounds(row: pl.Series, requests: int) -> Ints:
    return np.searchsorted(row.to_numpy(), np.arange(requests + 1))
