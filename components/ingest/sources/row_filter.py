"""Apply the condition `where` of a source: SQL on its raw columns."""

import polars as pl

from components.contract.errors import InputError


def columns_of(where: str) -> set[str]:
    """Return the columns that a condition reads.

    Raises:
        InputError: it isn't SQL that can be read.
    """
    return set(_condition(where).meta.root_names())


def kept_by(where: str, rows: pl.DataFrame, path: str) -> pl.Series:
    """Return which rows fulfil the condition; rows for which it is null don't.

    Raises:
        InputError: it can't be applied to the columns as they are.
    """
    try:
        mask = rows.select(_condition(where).fill_null(value=False)).to_series()
    except pl.exceptions.PolarsError as error:
        text = sorted(name for name in columns_of(where) if name in rows.columns and rows[name].dtype == pl.String)
        advice = f"; {', '.join(text)}: text here, so compare with text or write CAST({text[0]} AS DOUBLE)" if text else ""
        raise InputError(f"{path}: the condition `where: {where}` can't be applied: {first_line(error)}{advice}") from None
    if mask.dtype != pl.Boolean:
        raise InputError(f"{path}: the condition `where: {where}` is no condition but a value ({mask.dtype}); compare it, as in `x > 0`")
    return mask


def first_line(error: Exception) -> str:
    """Return the first line of a library's error, without the plan and the advice that follow."""
    return str(error).strip().split("\n")[0]


def _condition(where: str) -> pl.Expr:
    try:
        return pl.sql_expr(where)
    except pl.exceptions.PolarsError as error:
        raise InputError(f"the condition `where: {where}` isn't SQL that can be read: {first_line(error)}") from None
