"""Derive the dataset file's keys for the format of a group of files."""

import os
from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from components.contract.errors import InputError
from components.ingest.sources.files import file_format
from components.profiling.samples.file_groups import FileGroup

_BY_MARK = ("utf-8", "utf-8-sig", "utf-16")  # ingestion detects these itself
_MOST_ZEROS = 3  # times the rows of the busiest other shopper
_DEFAULT_NULL_WORDS = ("NULL", "null", "\\N", "NaN", "nan", "None", "undefined", "NA", "N/A", "-")


def file_keys(group: FileGroup, folder: str, names: Mapping[str, str], *, used: Sequence[str]) -> dict[str, Any]:
    """Return path, format, dialect and so on, where they differ from the defaults.

    Args:
        group: the files.
        folder: base of the dataset file's relative paths.
        names: of the columns of a file without a header.
        used: the columns that the dataset file uses; words for missing values in others don't matter.
    """
    table = group.table
    keys: dict[str, Any] = {"path": os.path.relpath(group.pattern, folder).replace(os.sep, "/")}
    try:
        by_ending = file_format(group.paths[0], None)
    except InputError:
        by_ending = None
    if by_ending != table.format:
        keys["format"] = table.format
    if table.dialect is not None:
        ending = "\t" if ".tsv" in os.path.basename(group.paths[0]) else ","
        if table.dialect.separator != ending:
            keys["separator"] = table.dialect.separator
        if table.dialect.quote != '"':
            keys["quote"] = table.dialect.quote
        if table.dialect.escape:
            keys["escape"] = table.dialect.escape
    if table.encoding not in _BY_MARK:
        keys["encoding"] = table.encoding
    if not table.has_header:
        keys["header"] = [names.get(name, name) for name in table.columns]
    if table.unnest:
        keys["unnest"] = table.unnest
    if table.fill_down and (needed := [name for name in table.fill_down.columns if name in used]):
        keys["fill_down"] = {
            "within": names.get(table.fill_down.within, table.fill_down.within),
            "columns": [names.get(name, name) for name in needed],
        }
    odd = {
        names.get(name, name): [*_DEFAULT_NULL_WORDS, *group.profiles[name].null_words]
        for name in used
        if name in group.profiles and group.profiles[name].null_words
    }
    if odd:
        keys["null_values"] = odd
    return keys


def zero_keys(group: FileGroup, user: str) -> dict[str, Any]:
    """Keep 0 as a user's id unless it has far more rows than any other; by default it means a guest."""
    profile = group.profiles[user]
    counts = profile.values.value_counts(sort=True)
    zeros = int((profile.values == "0").sum())
    others = counts.filter(pl.col(profile.values.name) != "0")["count"].to_list()
    if not zeros or zeros > _MOST_ZEROS * max(others, default=0):
        return {}
    # The column's other words for missing values must then be listed.
    words = profile.missing > group.table.columns[user].null_count()
    return {user: list(_DEFAULT_NULL_WORDS) if words else []}


def time_keys(group: FileGroup, column: str, *, day_first: bool | None) -> dict[str, Any]:
    """Return the keys for the format of a time column, where the defaults don't fit."""
    profile = group.profiles[column]
    notation = profile.time
    if notation is None or profile.native_time:
        return {}
    if notation.kind == "epoch":
        return {} if notation.unit == "s" else {"time_unit": notation.unit}
    if notation.kind == "format":
        return {"time_format": chosen_format(notation.format, notation.other_format, day_first=day_first)}
    return {}


def chosen_format(one: str, other: str, *, day_first: bool | None) -> str:
    """Choose between two readings of a date, day first or month first, by the answer."""
    if not other or day_first is None:
        return one
    first = one if (one.find("%d") < one.find("%m")) == day_first else other
    return first
