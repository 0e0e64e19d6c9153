"""Where a shop's logs lie and which column plays which role."""

import re
from typing import Annotated, Literal
from zoneinfo import available_timezones

from pydantic import Field, model_validator

from components.contract.strict import Duration, Strict, closest

Format = Literal["parquet", "csv", "jsonl"]

EVENT_ROLES = ("time", "user", "item", "action", "request", "session", "position", "order", "label")


class Columns(Strict):
    """Which column of the event rows plays which role; a role that isn't named isn't there."""

    time: str | None = Field(default=None, description="When it happened")
    user: str | None = Field(default=None, description="The shopper's id; empty: a guest")
    item: str | None = Field(default=None, description="The item's id")
    action: str | None = Field(default=None, description="What was done")
    request: str | None = Field(default=None, description="Ties impressions to each other and to what followed from them")
    session: str | None = Field(
        default=None, description="The visit's id: where it changes a visit ends, as it does by a pause longer than `session_gap`"
    )
    position: str | None = Field(default=None, description="The candidate's place in the list, from 0")
    order: str | None = Field(default=None, description="A whole number that breaks ties of time within a shopper")
    label: str | None = Field(default=None, description="The outcome, where a row is a request: more than 0 is positive")

    def named(self) -> dict[str, str]:
        """Role to column, for the roles that are there."""
        return {role: column for role in EVENT_ROLES if (column := getattr(self, role)) is not None}


class Files(Strict):
    """One file or many of the same columns, and how their rows are written."""

    path: str = Field(description="File or glob, relative to the data folder; any file system that Beam opens")
    format: Format | None = Field(default=None, description="Default: by the file's ending")
    separator: str = Field(default=",", min_length=1, max_length=1, description="Between the columns of a CSV file")
    unnest: str | None = Field(
        default=None, min_length=1, description="Path of an array, in JSON Lines or Parquet, whose elements become the rows"
    )

    def is_csv(self) -> bool:
        """Whether the files are CSV files: by their format, or by their ending."""
        return self.format == "csv" or (self.format is None and re.search(r"\.[ct]sv(\.\w+)?$", self.path.lower()) is not None)


class Table(Files):
    """A table of things with an id: the catalogue or the shoppers."""

    id: str = Field(description="The column that holds the id")


class EventSource(Files):
    """Event rows, in one file or many."""

    columns: Columns = Field(description="Which column plays which role")
    time_unit: Literal["auto", "s", "ms", "us", "ns"] = Field(
        default="auto", description="Unit of numeric times; `auto` goes by their size. Text is read as ISO 8601"
    )
    timezone: str = Field(default="UTC", description="Zone of times that name none")
    where: str | None = Field(
        default=None,
        description="SQL condition on the source's columns (all text in a CSV file); rows that fail it are counted and left out",
    )
    action: str | None = Field(default=None, description="The action of every row, where no column says it")
    missing_user: Literal["reject", "guest"] = Field(
        default="reject", description="What an event without user is: a counted reject, or a guest without history"
    )

    @model_validator(mode="after")
    def _one_action(self) -> "EventSource":
        if self.action is not None and self.columns.action is not None:
            raise ValueError("`action` and `columns.action` are both given; keep the one that says the action")
        if self.timezone not in available_timezones():
            raise ValueError(f"unknown timezone {self.timezone!r}; {closest(self.timezone, sorted(available_timezones()))[:200]}")
        return self


class Action(Strict):
    """A kind of event that counts."""

    values: tuple[str, ...] = Field(default=(), description="As the log writes it; default: the action's own name")
    label: float = Field(default=0.0, ge=0, description="Gain of a candidate that got this action; 0: not a label")
    item: bool = Field(default=True, description="false where the event is about no single item (a search, a filter)")


class Impressions(Strict):
    """Candidates are the rows of one action that share a request."""

    origin: Literal["impressions"] = Field(alias="from", description="Where candidates come from")
    action: str = Field(default="impression", description="The action of the rows that show a candidate")


class ListRows(Strict):
    """Candidates stand in one row, as parallel columns joined by a separator; the row's own item is the one chosen."""

    origin: Literal["list"] = Field(alias="from", description="Where candidates come from")
    action: str = Field(description="The action whose rows carry the list")
    items: str = Field(description="Column with the item ids, in the order shown")
    separator: str = Field(default="|", min_length=1, description="Between the items, and between the values of the parallel columns")
    columns: dict[str, str] = Field(default_factory=dict, description="Name of a shown value to its parallel column")


class Sampling(Strict):
    """No impressions: a request is what was taken together, and what wasn't is sampled from the past."""

    origin: Literal["sampling"] = Field(alias="from", description="Where candidates come from")
    group: Literal["request", "event"] = Field(
        default="request", description="Taken together: rows that share user and request, or each row alone"
    )
    negatives: int = Field(default=4, ge=1, le=1000, description="Sampled candidates per positive one")
    weight: Literal["popularity", "uniform"] = Field(
        default="popularity", description="popularity: by how often it was taken in the window"
    )
    window: Duration = Field(
        default=30 * 86400.0, description="Sampled among items taken in the trailing window, by whole days before the request's day"
    )


class Rows(Strict):
    """A row is a request with one candidate, and its label stands in it."""

    origin: Literal["rows"] = Field(alias="from", description="Where candidates come from")


Candidates = Annotated[Impressions | ListRows | Sampling | Rows, Field(discriminator="origin")]
