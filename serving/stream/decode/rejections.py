"""Record which messages are rejected and why; ingestion itself only counts rows and keeps samples."""

from dataclasses import dataclass, field

import numpy as np
import polars as pl
from numpy.typing import NDArray

from components.ingest.counts import Counts
from components.ingest.sources.blocks import ROW
from components.ingest.sources.raw_rows import RAW

SCHEMA = {"row": pl.Int64, "reason": pl.String, "detail": pl.String}
DETAIL_CHARACTERS = 300

# Why a message is rejected before its rows are cleaned; the other reasons are ingestion's.
NOT_JSON = "not one JSON object"
WRONG_VALUE = "a value that can't be read"
WRONG_TYPE = "a value of another type than its column's"
TOO_LONG = "too long"
NO_SCHEMA = "of an unknown schema"
NOT_OF_SCHEMA = "not of its schema"


def rejected(rows: NDArray[np.int64] | list[int], reason: str | list[str], details: list[str]) -> pl.DataFrame:
    """Return rejections, for one reason or each for its own."""
    short = [detail[:DETAIL_CHARACTERS] for detail in details]
    reasons = [reason] * len(short) if isinstance(reason, str) else reason
    return pl.DataFrame({"row": pl.Series(rows, dtype=pl.Int64), "reason": reasons, "detail": short}, schema=SCHEMA)


@dataclass
class RejectedRows(Counts):
    """Counts as ingestion's, which record the index of each rejected row (column ROW) in place of samples."""

    rejected: list[pl.DataFrame] = field(default_factory=list)

    def reject(self, reason: str, rows: pl.DataFrame, *, number: int | None = None) -> None:
        """Count rows, and record them."""
        self.add(f"rejected: {reason}", len(rows) if number is None else number)
        values = [
            pl.concat_str(pl.lit(f"{name.removeprefix(RAW)}="), pl.col(name).cast(pl.String).str.slice(0, DETAIL_CHARACTERS))
            for name, kind in rows.schema.items()
            if name.startswith(RAW) and not kind.is_nested()
        ]
        detail = pl.concat_str(values, separator=" ", ignore_nulls=True) if values else pl.lit("")
        self.rejected.append(
            rows.select(
                pl.col(ROW).cast(pl.Int64).alias("row"),
                pl.lit(reason).alias("reason"),
                detail.str.slice(0, DETAIL_CHARACTERS).alias("detail"),
            )
        )

    def _sample(self, reason: str, rows: pl.DataFrame) -> None:
        """Keep none: rejected messages are kept whole."""
