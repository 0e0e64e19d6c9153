"""Compute labels and amounts of candidates from the events attributed to them, less what returns took back."""

from dataclasses import dataclass, replace

import numpy as np
import polars as pl
from numpy.typing import NDArray

from components.contract.dataset import Dataset
from components.ingest.counts import Counts
from components.ingest.requests.returns import NOTHING_LEFT, match_returns

RETURNED = {  # the returns that a block writes for another
    "seq": pl.Int64,
    "item": pl.Int64,
    "action": pl.Int8,
    "at_us": pl.Int64,
    "share": pl.Float64,
    "block_hash": pl.UInt64,
}


@dataclass(frozen=True)
class Outcome:
    """Labels and amounts of N candidates.

    `labels` (N, A): 1 where the candidate got the label action. `amounts`: N rows, a column for each of the dataset's
    amounts: the sum over the events that count, 0 where there is none.

    A return of this block may take back an action on another block's request: `returned` has these (seq, item,
    action, at_us, share, and block_hash, which gives the other block). `open`: the hits of candidates that
    have such an action of another block's; both are None where there are none.
    """

    labels: NDArray[np.float32]
    amounts: pl.DataFrame
    open: pl.DataFrame | None = None
    returned: pl.DataFrame | None = None


def compute_outcome(
    hits: pl.DataFrame,
    events: pl.DataFrame,
    dataset: Dataset,
    counts: Counts,
    *,
    amounts: pl.DataFrame,
    labels: NDArray[np.float32],
    ends_us: NDArray[np.int64],
) -> Outcome:
    """Compute labels without what was returned, and amounts.

    A return counts if it is known before the request's window of the split ends: what comes later a model that is
    trained at that moment couldn't know, nor could its evaluation.

    Args:
        hits: slot (0..N-1, a candidate), seq, item, action (code), event (a row of `amounts`); one row an event that
            was attributed to a candidate.
        events: of a block of whole users, with the row as `event`, the dataset's amounts, and `block_hash` where some
            belong to requests of other blocks. The returns are among them.
        dataset: the dataset file.
        counts: gets the returns by outcome.
        amounts: the dataset's amounts, of `events`, followed by those of the events of other blocks.
        labels: (N, A) as attributed; not changed.
        ends_us: (N,) when each candidate's window ends.
    """
    if not dataset.amounts and not dataset.takes_back:
        return Outcome(labels, pl.DataFrame())
    hits = hits.with_columns(pl.lit(1.0).alias("left"))
    foreign, returned = hits.clear(), None
    if dataset.takes_back:
        back = match_returns(events, dataset, counts)
        if "block_hash" in events.columns:
            of_others = events.select("event", "seq", "item", "action", "block_hash").filter(pl.col("block_hash").is_not_null())
            returned = back.join(of_others, on="event", how="inner").select(*RETURNED)
        hits = _less_returns(hits.with_columns(pl.Series("ends_us", ends_us[hits["slot"].to_numpy()])), back, ["event"], counts)
        labels = _labels(hits, dataset, len(labels))
        foreign = hits.filter(pl.col("event") >= len(events))
    if dataset.amounts:
        hits = hits.hstack(amounts[hits["event"]] if len(hits) else amounts.clear())
    opened = hits.join(foreign, on="slot", how="semi") if len(foreign) else None
    return Outcome(labels, _sums(hits, dataset, len(labels)), opened, returned)


def subtract_returns(outcome: Outcome, returned: pl.DataFrame, dataset: Dataset, counts: Counts) -> Outcome:
    """Subtract the returns of other blocks from an outcome.

    Args:
        found: of a block.
        returned: of the other blocks, those for this one.
        dataset: the dataset file.
        counts: gets the returns by outcome.
    """
    if outcome.open is None or not len(returned):
        return outcome
    hits = _less_returns(outcome.open, returned, ["seq", "item", "action"], counts)
    slots = hits["slot"].unique().to_numpy()
    labels, sums = outcome.labels.copy(), _sums(hits, dataset, len(outcome.labels))
    labels[slots] = _labels(hits, dataset, len(labels))[slots]
    amounts = {name: values.to_numpy().copy() for name, values in outcome.amounts.to_dict().items()}
    for name, values in amounts.items():
        values[slots] = sums[name].to_numpy()[slots]
    return replace(outcome, labels=labels, amounts=pl.DataFrame(amounts), open=None)


def _less_returns(hits: pl.DataFrame, back: pl.DataFrame, by: list[str], counts: Counts) -> pl.DataFrame:
    """Return hits with the share that returns leave of each; `by`: the columns that match a return to its hit."""
    met = hits.with_row_index("hit").select("hit", "ends_us", *by).join(back, on=by, how="inner")
    known = met["at_us"] < met["ends_us"]
    counts.add("returns: came after the window of the label's request ends, and so don't count", int((~known).sum()))
    shares = met.filter(known).group_by("hit").agg(pl.col("share").sum())
    taken = hits.with_row_index("hit").join(shares, on="hit", how="left", maintain_order="left").drop("hit")
    left = pl.col("left") - pl.col("share").fill_null(0.0)
    taken = taken.with_columns(pl.when(left > NOTHING_LEFT).then(left).otherwise(0.0).alias("left"))
    met_left = taken.filter(pl.col("share").is_not_null())["left"]
    counts.add("returns: attributed actions taken back as a whole", int((met_left == 0).sum()))
    counts.add("returns: attributed actions taken back in part", int((met_left > 0).sum()))
    return taken.drop("share")


def _labels(hits: pl.DataFrame, dataset: Dataset, candidates: int) -> NDArray[np.float32]:
    """Return (N, A) labels: 1 where an event remains."""
    labels = np.zeros((candidates, len(dataset.label_gains)), np.float32)
    standing = hits.filter(pl.col("left") > 0)
    for column, name in enumerate(dataset.label_gains):
        of_action = standing.filter(pl.col("action") == list(dataset.actions).index(name))
        labels[of_action["slot"].to_numpy(), column] = 1
    return labels


def _sums(hits: pl.DataFrame, dataset: Dataset, candidates: int) -> pl.DataFrame:
    """Return N rows, the sums of the remaining amounts."""
    codes = [list(dataset.actions).index(name) for name in dataset.amount_actions]
    counting = hits.filter(pl.col("action").is_in(codes))
    slots, left = counting["slot"].to_numpy(), counting["left"].to_numpy()
    return pl.DataFrame(
        {
            amount: np.bincount(slots, left * counting[amount].fill_nan(0.0).to_numpy(), minlength=candidates).astype(np.float32)
            for amount in dataset.amounts
        }
    )
