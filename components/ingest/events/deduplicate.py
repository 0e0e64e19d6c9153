"""Drop rows that repeat an earlier one."""

import polars as pl

from components.contract.dataset import Dataset


def detects_duplicates(dataset: Dataset) -> bool:
    """Return whether equal rows are duplicates: rows that name neither a request nor a time may be different events."""
    return bool({"time", "request"} & {role for source in dataset.events for role in source.columns.named()})


def drop_repeated(frame: pl.DataFrame, names: list[str]) -> pl.DataFrame:
    """Drop the rows that agree with an earlier one in the columns `names`, and keep the order of the others.

    Most logs hardly repeat themselves, and comparing whole rows is slow: only rows whose hash occurs twice are
    compared.
    """
    hashes = frame.select(names).hash_rows()
    if hashes.n_unique() == len(frame):
        return frame
    suspect = hashes.is_duplicated()
    suspects = frame.select(names).with_row_index("__index__").filter(suspect)
    keep = (~suspect).to_numpy().copy()
    keep[suspects.unique(names, keep="first")["__index__"].to_numpy()] = True
    return frame.filter(pl.Series(keep))
