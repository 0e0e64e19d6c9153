"""Find the user whose list an action belongs to, where it isn't the user whom the log names.

A user may log in while looking at a list, and a click log may have no users at all. The list's own user is in another
block then, so actions are joined by the request's id with all lists of that id, in whatever block.
"""

import polars as pl

from components.ingest.requests.attribution import ATTRIBUTED, CROSS_USER, OTHER, out_of_window
from components.ingest.requests.nearest_list import join_nearest

NOBODY = 0  # the owner of an action that names none


def resolve(claims: pl.DataFrame, shown: pl.DataFrame, *, window_us: int, skew_us: int, pause_us: int) -> pl.DataFrame:
    """Find the request that each action belongs to.

    It is the actor's own request where one of that id was shown within the window before the action. Else it is that of
    the only other user to whom one of that id was shown then: in the action's own session, or else in any. Of several
    users none is chosen.

    Args:
        claims: C rows: rid (the request's id), owner (NOBODY where the log names nobody), session (0: none), time.
        shown: S rows: rid, owner, session, time; each combination once.
        window_us: how long after its request an action counts.
        skew_us: how much earlier than its request it may be stamped.
        pause_us: a longer pause between rows of one id begins another request.

    Returns:
        C rows in the order of the claims: verdict (ATTRIBUTED, CROSS_USER or a cause), shown (the row of `shown` it
        belongs to; null for a cause), moment (of that request, where the action is stamped earlier; else the action's
        own time).
    """
    actions = claims.select("rid", "owner", "session", "time").with_row_index("at").with_columns(until=pl.col("time") + skew_us)
    lists = shown.select("rid", "owner", "session", seen="time").with_row_index("shown")
    lists = lists.join(claims.select(pl.col("rid").unique()), on="rid", how="semi")
    begins = (pl.col("seen") - pl.col("seen").shift(1) > pause_us).fill_null(value=False)
    lists = lists.sort("rid", "owner", "session", "seen").with_columns(begins.cum_sum().over("rid", "owner", "session").alias("stretch"))
    lists = lists.with_columns(pl.col("seen").min().over("rid", "owner", "session", "stretch").alias("moment")).drop("stretch")
    inside = pl.col("seen") >= pl.col("time") - window_us

    of_users = actions.filter(pl.col("owner") != NOBODY)
    own = join_nearest(of_users, lists, ["rid", "owner"], on="until", list_time="seen").filter(inside)
    results = [own.select("at", "shown", "moment", "time", pl.lit(ATTRIBUTED, pl.Int8).alias("verdict"))]
    remaining = actions.join(own, on="at", how="anti")
    for by in (["rid", "session"], ["rid"]):
        candidates = remaining.filter(pl.col("session") != 0) if "session" in by else remaining
        near = join_nearest(candidates, _with_rival(lists, by), by, on="until", list_time="seen").filter(inside)
        alone = pl.col("rival").is_null() | (pl.col("rival") < pl.col("time") - window_us)
        verdict = pl.when(alone).then(CROSS_USER).otherwise(OTHER).cast(pl.Int8).alias("verdict")
        results.append(near.select("at", pl.when(alone).then("shown").alias("shown"), "moment", "time", verdict))
        remaining = remaining.join(near, on="at", how="anti")
    results.append(_unattributed(remaining, lists))
    resolved = pl.concat(results, how="diagonal_relaxed").sort("at")
    moment = pl.when(pl.col("shown").is_not_null()).then(pl.max_horizontal("moment", "time")).otherwise("time")
    return resolved.select("verdict", "shown", moment.alias("moment"))


def shared_ids(shown: pl.DataFrame) -> pl.DataFrame:
    """Return the ids that more than one user has (within one session, where sessions are named): rid, session."""
    edges = shown.group_by("rid", "session").agg(pl.col("owner").min().alias("least"), pl.col("owner").max().alias("most"))
    return edges.filter(pl.col("least") != pl.col("most")).select("rid", "session")


def _with_rival(lists: pl.DataFrame, by: list[str]) -> pl.DataFrame:
    """Add to each list the time of the last one before it that agrees in `by` and has another owner."""
    ordered = lists.sort(*by, "seen", "owner", maintain_order=True)
    another = pl.any_horizontal(pl.col(name) != pl.col(name).shift(1) for name in (*by, "owner")).fill_null(value=True)
    before = pl.when(pl.col("owner") != pl.col("owner").shift(1).over(by)).then(pl.col("seen").shift(1).over(by))
    run = another.cum_sum().alias("run")
    return ordered.with_columns(before.alias("before"), run).with_columns(pl.col("before").first().over("run").alias("rival"))


def _unattributed(actions: pl.DataFrame, lists: pl.DataFrame) -> pl.DataFrame:
    """Return the cause why there is no request in the window: by the user's own requests of that id, else by all."""
    causes = []
    for by in (["rid", "owner"], ["rid"]):
        candidates = actions.filter(pl.col("owner") != NOBODY) if "owner" in by else actions
        later = candidates.with_columns(pl.col("until") + 1)
        before = join_nearest(candidates, lists, by, on="until", list_time="seen").select("at", before="seen")
        after = join_nearest(later, lists, by, on="until", list_time="seen", strategy="forward").select("at", after="seen")
        near = candidates.join(before, on="at", how="left").join(after, on="at", how="left")
        if "owner" in by:
            near = near.filter(pl.col("before").is_not_null() | pl.col("after").is_not_null())
        causes.append(near.select("at", "time", out_of_window().cast(pl.Int8).alias("verdict")))
        actions = actions.join(near, on="at", how="anti")
    return pl.concat(causes)
