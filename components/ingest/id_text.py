"""What a value of any type is as text: ids, categories and words."""

import numpy as np
import polars as pl
import pyarrow as pa


def text_of(values: pl.Series, *, separator: str = " ") -> pl.Series:
    """A column of any type as text, "" where it is missing; lists are joined.

    An id that met a missing value on its way through a frame is a float: 12.0 is 12.
    """
    if isinstance(values.dtype, pl.List | pl.Array):
        is_float = values.dtype.inner.is_float()
        texts = element_texts(values).list.eval(pl.element().filter(pl.element() != "")) if is_float else values.cast(pl.List(pl.String))
        values = texts.list.join(separator)
    if values.dtype.is_float():
        whole = (values == values.floor()) & (values.abs() < 2.0**53)
        exact = pl.select(
            pl.when(whole).then(values.cast(pl.Int64, strict=False).cast(pl.String)).when(values.is_not_nan()).then(values.cast(pl.String))
        )
        values = exact.to_series().alias(values.name)
    return values.cast(pl.String).fill_null("")


def element_texts(values: pl.Series) -> pl.Series:
    """A column of lists as lists of texts, one text for each place, "" for a missing element; a list that is empty or missing is [""]."""
    lists = values.cast(pl.List(values.dtype.inner))  # type: ignore[attr-defined]
    lengths = lists.list.len().fill_null(0).clip(1).to_numpy()
    texts = text_of(lists.explode(empty_as_null=True)).to_arrow(compat_level=pl.CompatLevel.oldest())
    offsets = pa.array(np.concatenate([[0], np.cumsum(lengths)]), pa.int64())
    return pl.Series(values.name, pl.from_arrow(pa.LargeListArray.from_arrays(offsets, texts)))
