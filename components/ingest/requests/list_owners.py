"""Find the user whose list an action belongs to, where it isn't the user whom the log names.

A user logs in while looking at a list; a click log has no users at all. The list's own user lies in another block then,
so the question is answered by the request's id: over all lists of an id, wherever they come from.
"""

import polars as pl

from components.ingest.requests.attribution import ATTRIBUTED, CROSS_USER, OTHER, out_of_window

NOBODY = 0  # the owner of an action that names none


def resolve(claims: pl.DataFrame, shown: pl.DataFrame, *, window_us: int, skew_us: int, pause_us: int) -> pl.DataFrame:
    """Find the request that each action belongs to.

    It is the actor's own request where one of that id was shown within the window before the action. Else it is that of
    the only other user to whom one of that id was shown then: in the action's own session, or else in any. Of several
    users none can be told.

    Args:
        claims: C rows: rid (the request's id), owner (NOBODY where the log names nobody), session (0: none), time.
        shown: S rows: rid, owner, session, time; each combination once.
        window_us: how long after its request an action counts.
        skew_us: how much earlier than its request it may be stamped.
        pause_us: a longer pause between rows of one id begins another request.

    Returns:
        C rows in the order of the claims: verdict (HOME, AWAY or a cause), shown (the row of `shown` it belongs to;
        null for a cause), moment (of that request, where the action is stamped earlier; else the action's own time).
    """
    actions = claims.select("rid", "owner", "session", "time").with_row_index("at").with_columns(until=pl.col("time") + skew_us)
    by_id = ["rid"]
    lists = shown.select("rid", "owner", "session", seen="time").with_row_index("shown")
    lists = lists.join(claims.select(pl.col("rid").unique()), on="rid", how="semi")
    begins = (pl.col("seen") - pl.col("seen").shift(1) > pause_us).fill_null(value=False)
    lists = lists.sort("rid", "owner", "session", "seen").with_columns(begins.cum_sum().over("rid", "owner", "session").alias("stretch"))
    lists = lists.with_columns(pl.col("seen").min().over("rid", "owner", "session", "stretch").alias("moment")).drop("stretch")
    inside = pl.col("seen") >= pl.col("time") - window_us

    own = _latest(actions.filter(pl.col("owner") != NOBODY), lists, ["rid", "owner"]).filter(inside)
    results = [own.select("at", "shown", "moment", "time", pl.lit(ATTRIBUTED, pl.Int8).alias("verdict"))]
    left = actions.join(own, on="at", how="anti")
    for by, some in ((["rid", "session"], left.filter(pl.col("session") != 0)), (by_id, None)):
        those = left if some is None else some
        near = _latest(those, _with_rival(lists, by), by).filter(inside)
        alone = pl.col("rival").is_null() | (pl.col("rival") < pl.col("time") - window_us)
        verdict = pl.when(alone).then(CROSS_USER).otherwise(OTHER).cast(pl.Int8).alias("verdict")
        results.append(near.select("at", pl.when(alone).then("shown").alias("shown"), "moment", "time", verdict))
        left = left.join(near, on="at", how="anti")
    results.append(_lost(left, lists))
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


def _latest(actions: pl.DataFrame, lists: pl.DataFrame, by: list[str]) -> pl.DataFrame:
    """Join actions with the last list that agrees in `by` and isn't later than `until`."""
    return _joined(actions.sort("until"), lists, by, on="until", strategy="backward")


def _joined(actions: pl.DataFrame, lists: pl.DataFrame, by: list[str], *, on: str, strategy: str) -> pl.DataFrame:
    names = [name for name in lists.columns if name not in actions.columns or name in by]
    joined = actions.join_asof(
        lists.select(names).sort("seen", maintain_order=True),
        left_on=on,
        right_on="seen",
        by=by,
        strategy=strategy,  # type: ignore[arg-type]
        coalesce=False,
        check_sortedness=False,
    )
    return joined.filter(pl.col("seen").is_not_null())


def _lost(left: pl.DataFrame, lists: pl.DataFrame) -> pl.DataFrame:
    """Return the cause why there is no request in the window: by the user's own requests of that id, or else by
    everybody's."""
    causes = []
    for by, some in ((["rid", "owner"], left.filter(pl.col("owner") != NOBODY)), (["rid"], None)):
        actions = left if some is None else some
        before = _joined(actions.sort("until"), lists, by, on="until", strategy="backward").select("at", before="seen")
        after = _joined(actions.with_columns(pl.col("until") + 1).sort("until"), lists, by, on="until", strategy="forward")
        near = actions.join(before, on="at", how="left").join(after.select("at", after="seen"), on="at", how="left")
        known = near if some is None else near.filter(pl.col("before").is_not_null() | pl.col("after").is_not_null())
        causes.append(known.select("at", "time", out_of_window().cast(pl.Int8).alias("verdict")))
        left = left.join(known, on="at", how="anti")
    return pl.concat(causes)
