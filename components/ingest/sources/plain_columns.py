"""Convert columns that hold text in another type, and refuse structures."""

from collections.abc import Iterator

import polars as pl

from components.contract.errors import InputError


def plain_columns(frame: pl.DataFrame, path: str) -> Iterator[pl.Series]:
    """Yield columns that hold text in another type: dictionaries, bytes, and columns of nulls alone."""
    for column in frame.iter_columns():
        kind = column.dtype.inner if isinstance(column.dtype, pl.List | pl.Array) else column.dtype
        if kind.is_nested() or kind == pl.Duration:
            raise InputError(
                f"{path}: expected text, numbers, times or lists of them in column {column.name!r}, got {column.dtype};"
                f" name a value within it by its path, such as {column.name}.KEY, or flatten it first"
            )
        if isinstance(column.dtype, pl.Categorical | pl.Enum | pl.Binary | pl.Null):
            try:
                yield column.cast(pl.String)
            except pl.exceptions.PolarsError as error:
                raise InputError(f"{path}: column {column.name!r} is neither text nor numbers: {error}") from None
