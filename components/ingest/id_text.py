"""What a value of any type is as text: ids, categories and words."""

import polars as pl


def text_of(values: pl.Series, *, separator: str = " ") -> pl.Series:
    """A column of any type as text, "" where it is missing; lists are joined.

    An id that met a missing value on its way through a frame is a float: 12.0 is 12.
    """
    if isinstance(values.dtype, pl.List | pl.Array):
        values = values.cast(pl.List(pl.String)).list.join(separator)
    if values.dtype.is_float():
        whole = (values == values.floor()) & (values.abs() < 2.0**53)
        exact = pl.select(
            pl.when(whole).then(values.cast(pl.Int64, strict=False).cast(pl.String)).when(values.is_not_nan()).then(values.cast(pl.String))
        )
        values = exact.to_series().alias(values.name)
    return values.cast(pl.String).fill_null("")
