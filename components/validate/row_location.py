"""Locate an example by file and row, as a person would look it up."""

from collections.abc import Mapping, Sequence

from components.contract.sources import Files
from components.ingest.sources.files import file_format

_LONGEST = 140  # a sample is a hundred characters and their full number


def locate(path: str, row: int, source: Files | None) -> str:
    """Return the line of a text file from 1, or the row of a Parquet file from 0, as a frame of it counts."""
    match file_format(path, source.format if source else None):
        case "parquet":
            return f"{path}, row {row:,}"
        case "csv":
            return f"{path}, line {row + (1 if source and source.header else 2):,}"
        case _:
            return f"{path}, line {row + 1:,}"


def format_values(values: Mapping[str, object], names: Sequence[str] = ()) -> str:
    """Format values as `column = value`; without names the first four."""
    kept = {name: values[name] for name in names if name in values} or dict(list(values.items())[:4])
    return ", ".join(f"{name} = {value!s:.{_LONGEST}}" for name, value in kept.items())


def describe_sample(sample: Mapping[str, str], columns: Sequence[str], source: Files | None) -> str:
    """Describe a sample of rows that ingestion rejected or changed: its location, and the relevant columns."""
    values = {name: value for name, value in sample.items() if name not in ("file", "row", "line")}
    path = sample.get("file", "?")
    line = f", line {sample['line']}" if "line" in sample else ""
    where = locate(path, int(sample["row"]), source) if "row" in sample else f"{path}{line}"
    return f"{where}: {format_values(values, columns)}" if values else where
