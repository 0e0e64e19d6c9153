"""Build the table of shoppers that an experiment is analysed from: one row for each, with its totals.

Columns of the table, besides those of `components.experiment.metrics.TOTALS`:

    user        hash of the shopper
    arm         index of the arm
    first_day   day of the first exposure, since 1970
    bot         whether the shopper is left out as a bot
    known       whether anything is logged of the shopper before the experiment
    pre_NAME    the totals `HISTORY` of the time before the experiment
"""

from dataclasses import dataclass

import polars as pl

from components.experiment.experiment_file import Bots
from components.experiment.metrics import HISTORY, TOTALS

RETURN_DAYS = 7

LIST_SUMS = ("lists", "impressions", "latency_ms", "model_calls", "degraded")
ACTION_SUMS = ("clicks", "purchases", "pieces", "revenue", "margin")


@dataclass(frozen=True)
class LoggedTotals:
    """What was logged in an experiment, by shopper and day.

    Attributes:
        lists: user, arm, day, and `LIST_SUMS`; only of exposed shoppers, in the experiment.
        actions: user, day, and `ACTION_SUMS`; after the shopper's first exposure.
        sessions: user, number of `sessions` with a list of the experiment.
        orders: user, number of `orders`.
        history: user and `HISTORY`, from before the experiment; only of shoppers with any.
        last_day: of the log's window, since 1970.
    """

    lists: pl.DataFrame
    actions: pl.DataFrame
    sessions: pl.DataFrame
    orders: pl.DataFrame
    history: pl.DataFrame
    last_day: int


@dataclass(frozen=True)
class Shoppers:
    """The shoppers of an experiment.

    Attributes:
        table: one row a shopper, those of two arms left out; sorted by user.
        days: user, arm, first_day, day, lists, clicks and revenue by shopper and day, bots and those of two arms left out.
        in_two_arms: number of shoppers that were logged in several arms.
        by_arm_day: arm, day and the sums of both kinds.
    """

    table: pl.DataFrame
    days: pl.DataFrame
    in_two_arms: int
    by_arm_day: pl.DataFrame


def build_shoppers(totals: LoggedTotals, bots: Bots) -> Shoppers:
    """Join what was logged to one row a shopper."""
    in_arms = totals.lists.group_by("user").agg(
        pl.col("arm").min(), pl.col("arm").n_unique().alias("arms"), pl.col("day").min().alias("first_day")
    )
    single = in_arms.filter(pl.col("arms") == 1).drop("arms")
    by_list = totals.lists.group_by("user").agg(pl.col(*LIST_SUMS).sum(), pl.col("lists").max().alias("busiest_lists"))
    by_action = totals.actions.group_by("user").agg(pl.col(*ACTION_SUMS).sum(), pl.col("clicks").max().alias("busiest_clicks"))
    came_back = (
        totals.lists.join(single.select("user", "first_day"), on="user")
        .group_by("user")
        .agg(((pl.col("day") > pl.col("first_day")) & (pl.col("day") <= pl.col("first_day") + RETURN_DAYS)).any().alias("came_back"))
    )
    table = (
        single.join(by_list, on="user", how="left")
        .join(by_action, on="user", how="left")
        .join(totals.sessions, on="user", how="left")
        .join(totals.orders, on="user", how="left")
        .join(came_back, on="user", how="left")
        .join(totals.history.with_columns(known=True), on="user", how="left")
        .sort("user")
        .with_columns(pl.exclude("user", "arm", "first_day", "known", "came_back").fill_null(0), known=pl.col("known").fill_null(False))
        .with_columns(
            buyers=(pl.col("orders") > 0),
            followed=(pl.col("first_day") + RETURN_DAYS <= totals.last_day),
            bot=(pl.col("busiest_lists") > bots.lists_a_day) | (pl.col("busiest_clicks") > bots.clicks_a_day),
        )
        .with_columns(came_back=pl.col("came_back") & pl.col("followed"))
    )
    columns = ["user", "arm", "first_day", "bot", "known", *TOTALS, "purchases", *(f"pre_{name}" for name in HISTORY)]
    table = table.select(columns).with_columns(pl.col(*TOTALS, "purchases").cast(pl.Float64))
    people = table.filter(~pl.col("bot")).select("user", "arm", "first_day")
    days = (
        totals.lists.group_by("user", "day")
        .agg(pl.col("lists").sum())
        .join(totals.actions.select("user", "day", "clicks", "revenue"), on=["user", "day"], how="full", coalesce=True)
        .join(people, on="user")
        .with_columns(pl.col("lists", "clicks", "revenue").fill_null(0))
        .sort("user", "day")
    )
    by_arm_day = (
        totals.lists.group_by("arm", "day")
        .agg(pl.col(*LIST_SUMS).sum())
        .join(
            totals.actions.join(single.select("user", "arm"), on="user").group_by("arm", "day").agg(pl.col(*ACTION_SUMS).sum()),
            on=["arm", "day"],
            how="left",
        )
        .fill_null(0)
        .sort("arm", "day")
    )
    return Shoppers(table, days, len(in_arms) - len(single), by_arm_day)
