"""Select the clean events that count for the state, by the last ingestion's tables: users by second ids, known items."""

from dataclasses import dataclass
from pathlib import Path

import polars as pl

from components.contract.dataset import Dataset
from components.contract.errors import InputError
from components.ingest.counts import Counts
from components.ingest.tables.second_ids import resolve_users
from components.ingest.tables.table_rows import ID

UNKNOWN_ITEM = "an item that the catalogue lacks"


@dataclass(frozen=True)
class Tables:
    """Tables of the last ingestion; None where the dataset file, or what it says of unknown items, needs none.

    Attributes:
        items: the ids of the catalogue.
        users: with the features of segments.
        identities: second ids.
    """

    items: pl.Series | None = None
    users: pl.DataFrame | None = None
    identities: pl.DataFrame | None = None


def load_tables(dataset: Dataset, state: Path | None) -> Tables:
    """Load what the dataset file needs of the last ingestion's state.

    Raises:
        InputError: a table is needed and isn't there.
    """
    rejects = dataset.unknown_items == "reject" and dataset.items is not None
    by_user = any(dataset.feature(name).table == "users" for name in dataset.serving.segment)
    needed = {"items": rejects, "users": by_user, "identities": dataset.identities is not None}
    tables = {name: _read(state, name) for name, needs in needed.items() if needs}
    items = tables["items"]["item"].unique() if "items" in tables else None
    users = tables["users"].rename({"user": ID}) if "users" in tables else None
    identities = tables["identities"].rename({"id": ID}) if "identities" in tables else None
    return Tables(items, users, identities)


def _read(state: Path | None, name: str) -> pl.DataFrame:
    if state is None:
        raise InputError(f"the dataset file needs the {name} of the last ingestion to read its events; say where its state is (--state)")
    path = state / "catalogue" / f"{name}.parquet"
    try:
        return pl.read_parquet(path)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise InputError(f"expected the {name} of the last ingestion in {path}, but they can't be read ({error}); ingest again") from error


def counting(events: pl.DataFrame, tables: Tables, counts: Counts) -> tuple[pl.DataFrame, pl.Series]:
    """Return the events that count, and the indices of messages that have none left, since their items are unknown."""
    if tables.identities is not None:
        events = resolve_users(events, tables.identities, counts)
    if tables.items is None:
        return events, pl.Series([], dtype=pl.Int64)
    kept = events.filter((pl.col("item") == "") | pl.col("item").is_in(tables.items.implode()))
    lost = events["seq"].unique()
    return kept, lost.filter(~lost.is_in(kept["seq"].implode())).sort()
