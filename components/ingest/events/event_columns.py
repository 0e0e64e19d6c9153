"""Define the columns of clean events, and the codes in them."""

import polars as pl

from components.contract.dataset import Dataset
from components.contract.features import GivenFeature
from components.contract.sources import Impressions, ListRows
from components.state.features import counted_impression

NO_ACTION = -1
UNCOUNTED = -2  # the action of an impression that the dataset file doesn't count
AMOUNT = pl.Float64  # of the roles for amounts; NaN is missing
FILE_SHIFT = 40  # bits: a row's `seq` is the file's number and the row's index in the file

# Clean events have these columns, one for each role for an amount that a source names (`Dataset.amounts`), and then one
# `f:<name>` for each feature that is read from events.
ROLES = {
    "time": pl.Int64,
    "user": pl.String,
    "item": pl.String,
    "action": pl.Int8,
    "request": pl.String,
    "session": pl.String,
    "position": pl.Int32,
    "order": pl.Int64,
    "label": pl.Float32,
    "seq": pl.Int64,
}

# Beside them, where rows have got another user than they name: what they name; null where it is `user`. Samples show
# it.
LOGGED_USER = "logged_user"


def logged_user(events: pl.DataFrame) -> pl.Expr:
    """Return the user as the log has it."""
    return pl.coalesce(LOGGED_USER, "user").alias("user") if LOGGED_USER in events.columns else pl.col("user")


def content_columns(events: pl.DataFrame) -> list[str]:
    """Return the columns of an event's content: rows that agree in them repeat each other."""
    return [name for name, kind in events.schema.items() if name not in ("seq", LOGGED_USER) and not isinstance(kind, pl.Array)]


def impression_code(dataset: Dataset) -> int | None:
    """Return the action code of an impression: its index among the actions.

    UNCOUNTED where lists are shown but the file doesn't count them, None without lists.
    """
    if not isinstance(dataset.candidates, Impressions | ListRows):
        return None
    name = counted_impression(dataset)
    return UNCOUNTED if name is None else list(dataset.actions).index(name)


def event_features(dataset: Dataset) -> tuple[GivenFeature, ...]:
    """Return the features whose values are columns of event rows."""
    shown = set(dataset.candidates.columns) if isinstance(dataset.candidates, ListRows) else set()
    return tuple(feature for feature in dataset.input_features("events") if not feature.from_clock and feature.key not in shown)
