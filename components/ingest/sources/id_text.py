"""Convert values of any type to text: ids, categories and words."""

import numpy as np
import polars as pl
import pyarrow as pa

from components.contract.errors import InputError
from components.contract.values.id_text import EXACT_BELOW, EXACT_BELOW_SINGLE, id_text, is_rounded

# Rust's `\d` and `\s` match all of Unicode, as `strip_chars` does; digits of an id are ASCII.
_FRACTION = r"^(?:-(0+)|(-?[0-9]+))\.0*$"
_WITHOUT_FRACTION = "${1}${2}"  # and without the sign of a float's negative zero
_LONG_FRACTION = r"^-?[0-9]{16,}\.0*$"  # of numbers that may be 2^53 or more
_EXPONENT = r"^-?[0-9](?:\.[0-9]*)?[eE][+-]?[0-9]{1,3}$"
_PRINTED_FLOAT = f"{_FRACTION}|{_EXPONENT}"
_NUMBER = r"^[+-]?[0-9]*\.?[0-9]*(?:[eE][+-]?[0-9]+)?$"


def text_of(values: pl.Series, *, separator: str = " ") -> pl.Series:
    """Return a column of any type as text, "" where it is missing; lists are joined.

    Ids that went through a frame with missing values are floats: 12.0 is 12.
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
    """Return a column of lists as lists of texts, "" for a missing element; a list that is empty or missing is [""]."""
    lists = values.cast(pl.List(values.dtype.inner))  # type: ignore[attr-defined]
    lengths = lists.list.len().fill_null(0).clip(1).to_numpy()
    texts = text_of(lists.explode(empty_as_null=True)).to_arrow(compat_level=pl.CompatLevel.oldest())
    offsets = pa.array(np.concatenate([[0], np.cumsum(lengths)]), pa.int64())
    return pl.Series(values.name, pl.from_arrow(pa.LargeListArray.from_arrays(offsets, texts)))


def ids_of(values: pl.Series, *, where: str) -> pl.Series:
    """Return a column of ids as text by the rule of `components.contract.values.id_text`, "" where one is missing.

    Args:
        values: of any type.
        where: file and column, what an error begins with.

    Raises:
        InputError: the column's floats are rounded: ids that differ may have become one.
    """
    if values.dtype.is_float():
        _require_exact(values, where)
    text = text_of(values)
    if values.dtype.is_float() or values.dtype.is_integer():
        return text
    if isinstance(values.dtype, pl.Decimal):  # exact, however long
        return text.str.replace(_FRACTION, _WITHOUT_FRACTION)
    return _canonical(text, where)


def words_of(values: pl.Series, *, separator: str = " ") -> pl.Series:
    """Return a column of ids or categories that are features: as `ids_of`, but rounded values stay as they are."""
    text = text_of(values, separator=separator)
    if isinstance(values.dtype, pl.Decimal):
        return text.str.replace(_FRACTION, _WITHOUT_FRACTION)
    return _canonical(text, None) if values.dtype == pl.String else text


def may_differ(text: pl.Series) -> bool:
    """Return whether any byte of a text column could make an id another text: blanks, a point, a plus sign, or
    non-ASCII.

    One look at all bytes of the column costs a few nanoseconds a row; most ids are letters, digits, dashes and
    underscores.
    """
    data = text.to_arrow().buffers()[2]
    if data is None:
        return False
    read = np.frombuffer(data, np.uint8)
    return bool(len(read) and (read.min() <= ord(" ") or read.max() >= 0x80 or (read == ord(".")).any() or (read == ord("+")).any()))


def _canonical(text: pl.Series, where: str | None) -> pl.Series:
    """Return text by the rule; with `where`, rounded floats in a column of numbers are an error."""
    if not may_differ(text):
        return text
    text = text.str.strip_chars()
    printed = text.str.contains(_PRINTED_FLOAT)
    if not printed.any():
        return text
    # A fraction of zeros is what a column of floats has, and quick; what remains is one by one.
    rare = printed & (text.str.contains(_LONG_FRACTION) | text.str.contains(_EXPONENT))
    if not rare.any():
        return text.str.replace(_FRACTION, _WITHOUT_FRACTION)
    each = text.filter(rare).unique()
    if where is not None:
        _require_unrounded(text, each, where)
    plain = text.set(rare, None).str.replace(_FRACTION, _WITHOUT_FRACTION)
    return plain.zip_with(~rare, text.replace(each, pl.Series([id_text(name) for name in each], dtype=pl.String)))


def _require_exact(values: pl.Series, where: str) -> None:
    limit = EXACT_BELOW_SINGLE if values.dtype == pl.Float32 else EXACT_BELOW
    beyond = values.is_finite() & (values.abs() >= limit)
    if beyond.any():
        raise InputError(
            f"{where}: expected ids, got floats such as {values.filter(beyond)[0]:.0f}: from 2^{limit.bit_length() - 1} on ids that differ"
            " become one float, so these can't be told from others; write the column as text or as whole numbers"
        )


def _require_unrounded(text: pl.Series, suspects: pl.Series, where: str) -> None:
    rounded = next((name for name in suspects if is_rounded(name)), None)
    # Among ids of letters it is a name like any other.
    if rounded is not None and text.str.contains(_NUMBER).all():
        raise InputError(
            f"{where}: expected ids, got {rounded!r}, a number whose last digits are lost: ids that differ may have become one;"
            " write the column as text or as whole numbers (a spreadsheet: format its cells as text before the file is saved)"
        )
