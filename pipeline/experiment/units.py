"""Hash the ids of the log: 8 bytes in place of a text. The hashes hold within one process."""

import polars as pl


def unit(guests: bool) -> pl.Expr:
    """Return the hash of a row's shopper as `user`, null where it has none; with `guests` then that of its session."""
    shopper = pl.col("user").hash()
    guest = pl.when(pl.col("session").is_not_null()).then(pl.concat_str(pl.lit("\x1f"), "session").hash()) if guests else pl.lit(None)
    return pl.when(pl.col("user").is_not_null()).then(shopper).otherwise(guest).cast(pl.UInt64).alias("user")


def session_or(other: pl.Expr) -> pl.Expr:
    """Return the hash of a row's session as `session`; of a row without one that of another value."""
    return pl.when(pl.col("session").is_not_null()).then(pl.col("session").hash()).otherwise(other.hash()).alias("session")
