"""Reduce clean events to what the join of exposures and actions needs, with hashes for ids."""

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from components.contract.dataset import Dataset
from components.ingest.events.event_columns import impression_code
from components.ingest.requests.request_identity import names_sessions


@dataclass(frozen=True)
class HashedEvents:
    """Impressions and label actions of a batch; 64-bit hashes of ids, 0 for none.

    Both have key (the shopper; of a guest their request in its session), request, session, item, time and `at`, the
    row of the event; impressions `identity`, what rows of one request agree in; actions the action's code and the
    amounts.
    """

    impressions: pl.DataFrame
    actions: pl.DataFrame


def hash_events(events: pl.DataFrame, dataset: Dataset) -> HashedEvents:
    """Return the impressions and label actions among clean events; the dataset's lists are in its events."""
    impression = impression_code(dataset)
    assert impression is not None
    names = list(dataset.actions)
    labels = [names.index(name) for name in dataset.label_gains if names.index(name) != impression]
    kept = events.with_row_index("at").filter(pl.col("action").is_in([impression, *labels]))
    request, session = _hashed("request", 2), _hashed("session", 3)
    guest = pl.when(pl.col("request") != "").then(request ^ pl.col("session").hash(4).reinterpret(signed=True)).otherwise(0)
    hashed = kept.select(
        pl.when(pl.col("user") != "").then(pl.col("user").hash(1).reinterpret(signed=True)).otherwise(guest).alias("key"),
        request.alias("request"),
        session.alias("session"),
        _hashed("item", 5).alias("item"),
        "time",
        "action",
        "at",
        *dataset.amounts,
    )
    # Rows of one request agree in the shopper and the id, and in the session where sessions are named.
    identity = pl.col("key") ^ (pl.col("request") * 3) ^ (pl.col("session") * 5 if names_sessions(dataset) else 0)
    shown = hashed.filter(pl.col("action") == impression).drop("action", *dataset.amounts)
    return HashedEvents(shown.with_columns(identity.alias("identity")), _acted(hashed, impression, dataset.amounts))


def _acted(hashed: pl.DataFrame, impression: int, amounts: Sequence[str]) -> pl.DataFrame:
    # An action of a guest that names no request can't belong to a list.
    acted = hashed.filter((pl.col("action") != impression) & ((pl.col("key") != 0) | (pl.col("request") != 0)))
    return acted.with_columns(pl.col(amount).fill_nan(0.0).fill_null(0.0) for amount in amounts)


def _hashed(name: str, seed: int) -> pl.Expr:
    """Hash a column of ids; the seeds differ, so that one id in two roles isn't one hash."""
    return pl.when(pl.col(name) != "").then(pl.col(name).hash(seed).reinterpret(signed=True)).otherwise(0)
