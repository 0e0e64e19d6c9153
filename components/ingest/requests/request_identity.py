"""Group rows into requests: rows of one id and one user, in one session where sessions are named, without a long
pause."""

from collections.abc import Sequence

import polars as pl

from components.contract.dataset import Dataset


def names_sessions(dataset: Dataset) -> bool:
    """Return whether a role `session` gives the session of events."""
    return any(source.columns.session is not None for source in dataset.events)


def request_key(dataset: Dataset) -> list[str]:
    """Return the columns in which the rows of a request agree; besides them only time separates requests."""
    return ["key", "request", *(["session"] if names_sessions(dataset) else [])]


def gap_us(dataset: Dataset) -> int:
    """Return the longest pause between two rows of one request, in microseconds."""
    return int(dataset.session_gap * 1e6)


def with_moments(rows: pl.DataFrame, by: Sequence[str], *, pause_us: int) -> pl.DataFrame:
    """Set `time` to the moment of each row's request: the time of its first row.

    Rows that agree in `by` are of one request as long as none follows the one before it by more than `pause_us`. So
    rows that agree in `by` and in the moment are one request.

    Args:
        rows: with `time` in microseconds, in any order.
        by: the columns in which the rows of a request agree.
        pause_us: a longer pause begins another request.
    """
    # Rows of a request are mostly consecutive and have one time: such a run is handled as one row.
    begins = rows.select(changed(*by, "time")).to_series()
    run = (begins.cum_sum() - 1).cast(pl.UInt32)
    runs = rows.select(*by, "time").filter(begins)
    first, last = pl.col("time").min().over(by), pl.col("time").max().over(by)
    edges = runs.select(first.alias("first"), (last - first > pause_us).alias("long"))
    moments = edges["first"].to_numpy().copy()
    if edges["long"].any():
        # A few ids at most, as a rule: only their rows are sorted.
        suspects = runs.with_row_index("at").filter(edges["long"]).sort(*by, "time")
        pauses = (pl.col("time") - pl.col("time").shift(1) > pause_us).fill_null(value=False)
        parted = suspects.with_columns(pauses.cum_sum().over(by).alias("stretch"))
        parted = parted.select("at", pl.col("time").min().over(*by, "stretch").alias("moment"))
        moments[parted["at"].to_numpy()] = parted["moment"].to_numpy()
    return rows.with_columns(pl.Series("time", moments).gather(run))


def changed(*names: str) -> pl.Expr:
    """Return where a row differs from the one before it in any of the columns; true of the first."""
    return pl.any_horizontal(pl.col(name) != pl.col(name).shift(1) for name in names).fill_null(value=True)


def request_rows(rows: pl.DataFrame, by: Sequence[str]) -> pl.Series:
    """Return (N,) the number of each row's request, from 0, for rows sorted by request; `time` is the request's
    moment."""
    return rows.select((changed(*by, "time").cum_sum().cast(pl.Int64) - 1).alias("row")).to_series()
