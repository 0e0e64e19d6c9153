"""Labels and amounts of candidates, from the events that were attributed to them and the returns that took these back."""

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from components.contract.dataset import Dataset
from components.ingest.counts import Counts
from components.ingest.returns import NOTHING_LEFT, taken_back


@dataclass(frozen=True)
class Outcome:
    """What became of N candidates.

    `labels` (N, A): 1 where the candidate got the label action. `amounts`: N rows, a column for each of the dataset's amounts: the sum over
    the events that count, 0 where there is none.
    """

    labels: NDArray[np.float32]
    amounts: pl.DataFrame


def outcome(
    hits: pl.DataFrame,
    events: pl.DataFrame,
    dataset: Dataset,
    counts: Counts,
    *,
    amounts: pl.DataFrame,
    labels: NDArray[np.float32],
    ends_us: NDArray[np.int64],
) -> Outcome:
    """Labels without what was taken back, and amounts.

    A return counts if it is known before the request's window of the split ends: what comes later a model that is trained at that moment
    couldn't know, nor could its judge.

    Args:
        hits: slot (0..N-1, a candidate), action (code), event (a row of `amounts`); one row an event that was attributed to a candidate.
        events: of a block of whole shoppers, with the row as `event`, and the dataset's amounts. Returns are looked for among them: what
            another block's shopper did is never taken back.
        dataset: the dataset file.
        counts: gets what became of returns.
        amounts: the dataset's amounts, of `events` and of the events of other blocks behind them.
        labels: (N, A) as attributed; not changed.
        ends_us: (N,) when each candidate's window ends.
    """
    if not dataset.amounts and not dataset.takes_back:
        return Outcome(labels, pl.DataFrame())
    hits = hits.with_columns(pl.lit(1.0).alias("left"))
    if dataset.takes_back:
        hits = _less_returns(hits, taken_back(events, dataset, counts), ends_us, counts)
        labels = _labels(hits, dataset, labels)
    codes = [list(dataset.actions).index(name) for name in dataset.amount_actions]
    counting = hits.filter(pl.col("action").is_in(codes))
    slots, left = counting["slot"].to_numpy(), counting["left"].to_numpy()
    rows = amounts[counting["event"]] if len(counting) else amounts.clear()
    sums = {
        amount: np.bincount(slots, left * rows[amount].fill_nan(0.0).to_numpy(), minlength=len(labels)).astype(np.float32)
        for amount in dataset.amounts
    }
    return Outcome(labels, pl.DataFrame(sums))


def _less_returns(hits: pl.DataFrame, back: pl.DataFrame, ends_us: NDArray[np.int64], counts: Counts) -> pl.DataFrame:
    """Hits with what is left of each."""
    met = hits.select("slot", "event").join(back, on="event", how="inner")
    known = met["at_us"].to_numpy() < ends_us[met["slot"].to_numpy()]
    counts.add("returns: came after the window of the label's request ends, and so don't count", int((~known).sum()))
    shares = met.filter(pl.Series(known, dtype=pl.Boolean)).group_by("slot", "event").agg(pl.col("share").sum())
    hits = hits.join(shares, on=["slot", "event"], how="left", maintain_order="left")
    left = 1 - pl.col("share").fill_null(0.0)
    hits = hits.with_columns(pl.when(left > NOTHING_LEFT).then(left).otherwise(0.0).alias("left")).drop("share")
    counts.add("returns: attributed actions taken back as a whole", int((hits["left"] == 0).sum()))
    counts.add("returns: attributed actions taken back in part", int(((hits["left"] > 0) & (hits["left"] < 1)).sum()))
    return hits


def _labels(hits: pl.DataFrame, dataset: Dataset, labels: NDArray[np.float32]) -> NDArray[np.float32]:
    """Labels of which an event is left."""
    found = np.zeros_like(labels)
    standing = hits.filter(pl.col("left") > 0)
    for place, name in enumerate(dataset.label_gains):
        of_action = standing.filter(pl.col("action") == list(dataset.actions).index(name))
        found[of_action["slot"].to_numpy(), place] = 1
    return found
