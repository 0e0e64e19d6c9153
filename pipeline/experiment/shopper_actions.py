"""Add up what exposed shoppers did after their first list, and before the experiment."""

from collections import Counter
from typing import final

import polars as pl
import pyarrow as pa

from components.contract.dataset import Dataset
from components.contract.sources import Impressions
from components.experiment.metrics import AMOUNTS, OutcomeActions
from components.experiment.shoppers import ACTION_SUMS
from pipeline.experiment.grouped_sums import GroupedSums, number_by_user
from pipeline.experiment.log_window import LogWindow
from pipeline.experiment.units import session_or, unit
from serving.exposure.serialization import EventRows

UNPAID = "purchases without revenue"
_HISTORY = ("clicks", "pieces", "revenue", "margin", "reported")


@final
class ShopperActions:
    """Totals of the interactions of a log.

    Args:
        dataset: of the log.
        actions: which are a click and a purchase.
        window: of the experiment.
        counts: takes what was read and what was left out.
        exposed: user and `first_us` of the shoppers whose actions count.
        guests: whether guests count by session.
    """

    def __init__(
        self, dataset: Dataset, actions: OutcomeActions, window: LogWindow, counts: "Counter[str]", *, exposed: pl.DataFrame, guests: bool
    ) -> None:
        self._window, self._counts, self._exposed, self._guests = window, counts, exposed, guests
        self._rows = EventRows(dataset)
        self._skew_us = round(dataset.skew * 1e6)

        def value(name: str | None) -> str | None:
            return None if name is None else self._rows.actions[name]

        self._click, self._purchase = value(actions.click), value(actions.purchase)
        self._takes_back = [self._rows.actions[name] for name, taken in dataset.takes_back.items() if taken == actions.purchase]
        self._shown = self._rows.actions[dataset.candidates.action] if isinstance(dataset.candidates, Impressions) else None
        self._by_day = GroupedSums(("user", "day"), sums=ACTION_SUMS)
        self._orders = GroupedSums(("user", "session"))
        self._reported = GroupedSums(("user", "day"), sums=("reported",))
        self._history = GroupedSums(("user",), sums=[f"pre_{name}" for name in _HISTORY])
        self._earlier_orders = GroupedSums(("user", "session"))

    @property
    def schema(self) -> pa.Schema:
        """The fields of an interaction that are read."""
        texts = {self._rows.columns[role]: pa.string() for role in ("user", "item", "action", "request", "session")}
        return pa.schema(
            {self._rows.columns["time"]: pa.int64(), **texts, **{column: pa.float64() for column in self._rows.amounts.values()}}
        )

    def add(self, table: pa.Table) -> None:
        """Add a table of interactions."""
        rows = pl.from_arrow(table)
        assert isinstance(rows, pl.DataFrame)
        rows = rows.rename({column: role for role, column in (self._rows.columns | self._rows.amounts).items() if column in rows.columns})
        self._counts["interactions read"] += len(rows)
        whole = len(rows)
        rows = rows.unique(maintain_order=True)
        self._counts["repeated interactions"] += whole - len(rows)
        bought, back = self._is("purchase"), pl.col("action").is_in(self._takes_back)
        sign = pl.when(bought).then(1.0).when(back).then(-1.0).otherwise(0.0)

        def amount(name: str) -> pl.Expr:
            return (sign * pl.col(name).fill_null(0) if name in rows.columns else pl.lit(0.0)).alias(name)

        quantity = pl.col("quantity").fill_null(1) if "quantity" in rows.columns else pl.lit(1.0)
        acted = rows.select(
            "time",
            "session",
            unit(self._guests),
            (self._is("click") & pl.col("request").is_not_null()).cast(pl.Int64).alias("clicks"),
            bought.cast(pl.Int64).alias("purchases"),
            (sign * quantity).alias("pieces"),
            *(amount(name) for name in AMOUNTS),
            (pl.lit(False) if self._shown is None else pl.col("action") == self._shown).cast(pl.Int64).alias("reported"),
        ).filter((pl.col("clicks") + pl.col("purchases") + pl.col("reported") > 0) | (pl.col("pieces") != 0))
        if "revenue" in rows.columns:
            self._counts[UNPAID] += int(rows.select((bought & pl.col("revenue").is_null()).sum()).item() or 0)
        self._counts["actions without a shopper"] += acted["user"].null_count()
        acted = acted.join(self._exposed, on="user")
        day = self._window.days(pl.col("time"))
        inside = acted.filter((pl.col("time") >= pl.col("first_us") - self._skew_us) & (pl.col("time") < self._window.end_us))
        before = acted.filter(pl.col("time").is_between(self._window.history_us, self._window.start_us, closed="left"))
        self._by_day.add(inside.filter(pl.col("reported") == 0).select("user", day.alias("day"), *ACTION_SUMS))
        self._reported.add(inside.filter(pl.col("reported") > 0).select("user", day.alias("day"), "reported"))
        self._orders.add(inside.filter(pl.col("purchases") > 0).select("user", session_or(pl.col("time"))))
        self._history.add(before.select("user", *(pl.col(name).cast(pl.Float64).alias(f"pre_{name}") for name in _HISTORY)))
        self._earlier_orders.add(before.filter(pl.col("purchases") > 0).select("user", session_or(pl.col("time"))))

    def _is(self, which: str) -> pl.Expr:
        value = self._click if which == "click" else self._purchase
        return pl.lit(False) if value is None else (pl.col("action") == value).fill_null(False)

    def by_day(self) -> pl.DataFrame:
        """Return the actions by user and day."""
        by_day = self._by_day.result()
        if by_day is None:
            floats = dict.fromkeys(("pieces", *AMOUNTS), pl.Float64)
            return pl.DataFrame(schema={"user": pl.UInt64, "day": pl.Int32, "clicks": pl.Int64, "purchases": pl.Int64, **floats})
        return by_day

    def orders(self) -> pl.DataFrame:
        """Return the number of orders by user: the purchases of one session are one order."""
        return number_by_user(self._orders, "orders")

    def reported(self) -> pl.DataFrame | None:
        """Return the impressions that pages reported, by user and day."""
        return self._reported.result()

    def history(self) -> pl.DataFrame:
        """Return what shoppers did before the experiment."""
        orders = number_by_user(self._earlier_orders, "pre_orders").with_columns(pre_buyers=pl.lit(1, pl.Int64))
        history = self._history.result()
        if history is None:
            history = pl.DataFrame(schema={"user": pl.UInt64, **{f"pre_{name}": pl.Float64 for name in _HISTORY}})
        return history.join(orders, on="user", how="left").fill_null(0)
