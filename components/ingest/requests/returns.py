"""Match returns with the earlier actions that they take back, and the share of each."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field

import polars as pl

from components.contract.dataset import Dataset
from components.ingest.counts import Counts

NOTHING_LEFT = 1e-9  # pieces, and shares of an action, below which nothing is


@dataclass
class _Action:
    """An action that can be taken back: its row among the events, its pieces (NaN: unknown), and how many remain."""

    event: int
    request: str
    pieces: float
    left: float = field(init=False)

    def __post_init__(self) -> None:
        self.left = self.pieces


def match_returns(events: pl.DataFrame, dataset: Dataset, counts: Counts) -> pl.DataFrame:
    """Match each return with what it takes back.

    A return takes back the user's latest such action on the item before it: among those of its own request, if it names
    one of theirs, else among all. Where both have a `quantity`, it takes so many pieces, and goes on to the action
    before when there are not enough left; else the whole action. What is taken back isn't there for the next return. A
    return so depends on nothing later than itself.

    Args:
        events: of a block of whole users: event (the row), key, item (code), time, order, seq, action, request, and
            quantity where the dataset has it.
        dataset: declares which action takes back which.
        counts: gets the returns with a match, and those without.

    Returns:
        event (a row of `events`), at_us (when it was taken back), share (of it, above 0 to 1).
    """
    names = list(dataset.actions)
    columns: dict[str, list[float]] = {"event": [], "at_us": [], "share": []}
    for name, target in dataset.takes_back.items():
        return_code, action_code = names.index(name), names.index(target)
        both = events.filter(pl.col("action").is_in([return_code, action_code]))
        both = both.join(both.filter(pl.col("action") == return_code).select("key", "item").unique(), on=["key", "item"], how="semi")
        matched = returns = 0
        for actions, at_us, pieces, request in _each_return(both, return_code, with_quantity="quantity" in dataset.amounts):
            returns += 1
            shares = list(_take(actions, pieces, request))
            matched += bool(shares)
            for event, share in shares:
                for column, value in zip(columns.values(), (event, at_us, share), strict=True):
                    column.append(value)
        counts.add(f"returns: {name} took back {target}", matched)
        counts.add(f"returns: {name} found no {target} to take back", returns - matched)
    return pl.DataFrame(columns, schema={"event": pl.UInt32, "at_us": pl.Int64, "share": pl.Float64})


def _each_return(both: pl.DataFrame, return_code: int, *, with_quantity: bool) -> Iterator[tuple[list[_Action], int, float, str]]:
    """Yield each return in its time, with the actions before it, its pieces (NaN: unknown) and its request."""
    quantity = pl.col("quantity") if with_quantity else pl.lit(math.nan)
    rows = both.sort("key", "item", "time", "order", "seq").select(
        "key", "item", "event", "time", "action", "request", quantity.abs().alias("pieces")
    )
    actions: list[_Action] = []
    current = None
    for key, item, event, time, action, request, pieces in rows.iter_rows():
        if (key, item) != current:
            current, actions = (key, item), []
        if action == return_code:
            yield actions, time, pieces, request
        else:
            actions.append(_Action(event, request, pieces or math.nan))


def _take(actions: list[_Action], pieces: float, request: str) -> Iterator[tuple[int, float]]:
    """Yield the actions that a return takes back and the share of each, those of its own request first, then the
    latest first."""
    latest_first = actions[::-1]
    for action in sorted(latest_first, key=lambda action: not (request and action.request == request)):
        if action.left <= NOTHING_LEFT or pieces <= NOTHING_LEFT:
            continue
        if math.isnan(pieces) or math.isnan(action.pieces):
            share, action.left = (1.0 if math.isnan(action.pieces) else action.left / action.pieces), 0.0
            yield action.event, share
            return
        taken = min(pieces, action.left)
        action.left -= taken
        pieces -= taken
        yield action.event, taken / action.pieces
