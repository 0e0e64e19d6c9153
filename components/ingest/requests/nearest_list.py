"""Join actions with the list that is nearest in time."""

from collections.abc import Sequence
from typing import Literal

import polars as pl


def join_nearest(
    actions: pl.DataFrame,
    lists: pl.DataFrame,
    by: Sequence[str],
    *,
    on: str,
    list_time: str,
    strategy: Literal["backward", "forward"] = "backward",
) -> pl.DataFrame:
    """Join each action with the last list that agrees in `by` and isn't later than its time `on`; drop actions without.

    With the strategy "forward" it is the first list that isn't earlier. Of lists at one time the last row counts. The
    result has the columns of the actions, sorted by `on`, and those of the lists that they lack.
    """
    names = [name for name in lists.columns if name not in actions.columns or name in by]
    joined = actions.sort(on).join_asof(
        lists.select(names).sort(list_time, maintain_order=True),
        left_on=on,
        right_on=list_time,
        by=by,
        strategy=strategy,
        coalesce=False,
        check_sortedness=False,
    )
    return joined.filter(pl.col(list_time).is_not_null())
