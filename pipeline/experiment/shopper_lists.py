"""Add up the lists that shoppers were shown in an experiment, and before it."""

from collections import Counter
from dataclasses import dataclass
from typing import final

import polars as pl
import pyarrow as pa

from components.contract.base_model import closest
from components.contract.errors import InputError
from components.experiment.checks import EARLY, LISTS, OVERLAP
from components.experiment.experiment_file import ExperimentFile
from components.experiment.shoppers import LIST_SUMS
from pipeline.experiment.grouped_sums import GroupedSums, number_by_user
from pipeline.experiment.log_window import LogWindow
from pipeline.experiment.units import session_or, unit

_ANSWERED = ("", "state")  # what `degraded` begins with where the model answered


@dataclass(frozen=True, kw_only=True)
class LogQuery:
    """Whose lists are read.

    Attributes:
        experiment: its name in the log; None: all lists, as of one arm.
        arms: of the experiment.
        excludes: other experiments of its layer.
        guests: whether guests count by session.
    """

    experiment: str | None = None
    arms: tuple[str, ...] = ("all",)
    excludes: tuple[str, ...] = ()
    guests: bool = False

    @staticmethod
    def of_file(file: ExperimentFile) -> "LogQuery":
        """Return the lists of an experiment."""
        return LogQuery(experiment=file.experiment, arms=tuple(file.arms), excludes=file.excludes, guests=file.guests)


@final
class ShopperLists:
    """Totals of the decisions of a log.

    Args:
        query: whose lists.
        window: of the experiment.
        counts: takes what was read and what was left out.
    """

    def __init__(self, query: LogQuery, window: LogWindow, counts: "Counter[str]") -> None:
        self._query, self._window, self._counts = query, window, counts
        self._arms = list(query.arms)
        self._by_day = GroupedSums(("user", "arm", "day"), sums=LIST_SUMS, minima=("first_us",))
        self._sessions = GroupedSums(("user", "session"))
        self._history = GroupedSums(("user",), sums=("pre_impressions",))
        self._earlier_sessions = GroupedSums(("user", "session"))
        self.last_us = 0

    @property
    def schema(self) -> pa.Schema:
        """The fields of a decision that are read."""
        names = dict.fromkeys((self._query.experiment or "", *self._query.excludes))
        arms = pa.struct([(name, pa.string()) for name in names])
        texts = {name: pa.string() for name in ("user", "session", "degraded")}
        return pa.schema(
            {"time": pa.int64(), "shown": pa.int64(), "model_ms": pa.float64(), "order": pa.list_(pa.int64()), **texts, "arms": arms}
        )

    def add(self, table: pa.Table) -> None:
        """Add a table of decisions.

        Raises:
            InputError: a list is of an arm that the experiment's file doesn't name.
        """
        frame = pl.from_arrow(table)
        assert isinstance(frame, pl.DataFrame)
        arms = pl.col("arms").struct
        frame = frame.select(
            "time",
            "session",
            unit(self._query.guests),
            pl.lit(self._arms[0]).alias("arm") if self._query.experiment is None else arms.field(self._query.experiment).alias("arm"),
            pl.any_horizontal(pl.lit(False), *(arms.field(name).is_not_null() for name in self._query.excludes)).alias("other"),
            pl.min_horizontal(pl.col("shown").fill_null(0), pl.col("order").list.len().cast(pl.Int64)).alias("impressions"),
            pl.col("model_ms").fill_null(0).alias("latency_ms"),
            pl.col("model_ms").is_not_null().cast(pl.Int64).alias("model_calls"),
            (~pl.col("degraded").fill_null("").str.split(";").list.first().is_in(_ANSWERED)).cast(pl.Int64).alias("degraded"),
        )
        inside = frame.filter(pl.col("time").is_between(self._window.start_us, self._window.end_us, closed="left"))
        before = frame.filter(pl.col("time").is_between(self._window.history_us, self._window.start_us, closed="left"))
        self._counts["lists read"] += len(frame)
        self._add_inside(inside.filter(pl.col("arm").is_not_null()))
        self._counts[EARLY] += int(before["arm"].is_not_null().sum())
        before = before.filter(pl.col("user").is_not_null())
        self._history.add(before.select("user", pl.col("impressions").alias("pre_impressions")))
        self._earlier_sessions.add(before.select("user", session_or(self._window.days(pl.col("time")))))

    def _add_inside(self, lists: pl.DataFrame) -> None:
        if not len(lists):
            return
        if unknown := sorted(set(lists["arm"].unique()) - set(self._arms)):
            raise InputError(
                f"the log has lists of the arm {unknown[0]!r} of {self._query.experiment!r}, and `arms` names"
                f" {', '.join(self._arms)}; {closest(unknown[0], self._arms)}"
            )
        self._counts[LISTS] += len(lists)
        self._counts["lists without a shopper"] += lists["user"].null_count()
        self._counts[OVERLAP] += int(lists["other"].sum())
        lists = lists.filter(pl.col("user").is_not_null())
        self.last_us = max(self.last_us, int(lists["time"].to_numpy().max(initial=0)))
        day = self._window.days(pl.col("time"))
        self._by_day.add(
            lists.select(
                "user",
                pl.col("arm").replace_strict(self._arms, range(len(self._arms)), return_dtype=pl.Int8),
                day.alias("day"),
                pl.lit(1, pl.Int64).alias("lists"),
                *LIST_SUMS[1:],
                pl.col("time").alias("first_us"),
            )
        )
        self._sessions.add(lists.select("user", session_or(day)))

    def exposed(self) -> pl.DataFrame | None:
        """Return user and time of the first list, `first_us`, of the exposed shoppers; None if there are none."""
        by_day = self._by_day.result()
        return None if by_day is None else by_day.group_by("user").agg(pl.col("first_us").min())

    def by_day(self) -> pl.DataFrame:
        """Return the lists by user, arm and day."""
        by_day = self._by_day.result()
        assert by_day is not None
        return by_day.drop("first_us")

    def sessions(self) -> pl.DataFrame:
        """Return the number of sessions by user."""
        return number_by_user(self._sessions, "sessions")

    def history(self) -> pl.DataFrame:
        """Return impressions and sessions before the experiment, by user."""
        history = self._history.result()
        sessions = number_by_user(self._earlier_sessions, "pre_sessions")
        if history is None:
            return sessions.with_columns(pre_impressions=pl.lit(0, pl.Int64))
        return history.join(sessions, on="user", how="left")
