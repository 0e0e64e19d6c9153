"""Where a shop's logs lie and which column plays which role."""

import codecs
import math
import re
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from components.contract.base_model import Duration, Strict
from components.contract.values.local_time import zone_fault

Format = Literal["parquet", "csv", "jsonl"]
Unit = Literal["auto", "d", "h", "m", "s", "ms", "us", "ns"]

DEFAULT_WORDS = ("NULL", "null", "\\N", "NaN", "nan", "None", "undefined", "NA", "N/A", "-")
_DATE_CODES = ("%Y", "%y", "%F", "%D", "%x", "%c", "%G", "%g")
# What YAML makes of words that aren't quoted.
_YAML_NULLS = ("NULL", "null", "Null")

Amount = Literal["revenue", "quantity", "margin"]
AMOUNTS: tuple[Amount, ...] = ("revenue", "quantity", "margin")
EVENT_ROLES = ("time", "user", "item", "action", "request", "session", "position", "order", "label", *AMOUNTS)


class Columns(Strict):
    """Which column of the event rows plays which role; a role that isn't named isn't there."""

    time: str | tuple[str, ...] | None = Field(
        default=None, description="When it happened; a list where it takes several columns: a date, then what is joined or added to it"
    )
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
    revenue: str | None = Field(default=None, description="What the row brought in, all its pieces together")
    quantity: str | None = Field(default=None, description="How many pieces were bought or returned")
    margin: str | None = Field(default=None, description="What was earned by it; may be below 0")

    def named(self) -> dict[str, str]:
        """Return the column of each assigned role; of several columns the first."""
        named = {role: getattr(self, role) for role in EVENT_ROLES if getattr(self, role) is not None}
        return {role: column if isinstance(column, str) else column[0] for role, column in named.items()}

    @property
    def time_columns(self) -> tuple[str, ...]:
        """The columns that make up the time; empty where the log has no time."""
        return () if self.time is None else (self.time,) if isinstance(self.time, str) else self.time

    @field_validator("time")
    @classmethod
    def _some_columns(cls, time: Any) -> Any:
        if isinstance(time, tuple) and len(set(time)) != max(len(time), 1):
            raise ValueError(f"expected one or more columns, each once, got {list(time)}")
        return time


class FillDown(Strict):
    """Columns whose value stands on the first of several rows that belong together, such as the lines of an order."""

    within: str = Field(description="The column that says which rows belong together: consecutive rows of one value")
    columns: tuple[str, ...] = Field(min_length=1, description="Columns whose empty values take the last one above, among those rows")

    @model_validator(mode="after")
    def _others(self) -> "FillDown":
        if self.within in self.columns:
            raise ValueError(f"`within` is {self.within!r}, which `columns` fills; name the column that stands in every row")
        return self


class Files(Strict):
    """One file or many of the same columns, and how their rows are written."""

    path: str = Field(description="File or glob, relative to the data folder; any file system that Beam opens")
    format: Format | None = Field(default=None, description="Default: by the file's ending")
    separator: str = Field(
        default=",", min_length=1, max_length=10, description="Between the columns of a CSV file, one or more characters; a `.tsv` has tabs"
    )
    encoding: str | None = Field(
        default=None, description="Of a text file: any codec of Python; default: UTF-8, or what a byte-order mark says (UTF-8, UTF-16)"
    )
    header: tuple[str, ...] = Field(default=(), description="The names of the columns of a CSV file that has no line with them")
    quote: str = Field(
        default='"', max_length=1, pattern=r"^[!-~]?$", description='Around CSV values that hold the separator; `""`: quotes are text'
    )
    escape: str = Field(
        default="",
        max_length=1,
        pattern=r"^[!-~]?$",
        description="Before quotes and separators within CSV values, such as a backslash; default: a quote is doubled",
    )
    fill_down: FillDown | None = Field(default=None, description="Columns whose value stands on the first of the rows that belong together")
    null_values: tuple[str, ...] | dict[str, tuple[str, ...]] = Field(
        default=DEFAULT_WORDS,
        description="Words that mean a missing value, in all columns, or {COLUMN: [words]}, where other columns keep the default."
        " Blanks do always; by default a lone 0 as user too",
    )

    unnest: str | None = Field(
        default=None, min_length=1, description="Path of an array, in JSON Lines or Parquet, whose elements become the rows"
    )

    @field_validator("null_values", mode="before")
    @classmethod
    def _as_words(cls, value: Any) -> Any:
        if isinstance(value, dict):
            return {column: _words(words) for column, words in value.items()}
        return _words(value)

    @model_validator(mode="after")
    def _one_grammar(self) -> "Files":
        if set(self.separator) & set("\r\n\0"):
            raise ValueError("`separator` can't hold a line end or a zero byte: these end a row")
        for name, mark in (("quote", self.quote), ("escape", self.escape)):
            if mark and mark in self.separator:
                raise ValueError(f"`{name}` and `separator` share {mark!r}; each needs a character of its own")
        if self.quote and self.quote == self.escape:
            raise ValueError(f"`quote` and `escape` are both {self.quote!r}; leave `escape` out: a doubled quote is read so anyway")
        if self.header and self.format not in (None, "csv"):
            raise ValueError(f"`header` names the columns of CSV files, and `format` is {self.format!r}, which names its own; leave it out")
        if self.encoding is not None and not _is_text_codec(self.encoding):
            raise ValueError(f"unknown encoding {self.encoding!r}; expected a codec of Python such as latin-1, cp1252, utf-16 or shift_jis")
        return self

    @property
    def declares_separator(self) -> bool:
        """Whether the dataset file sets the separator."""
        return "separator" in self.model_fields_set

    def is_csv(self) -> bool:
        """Whether the files are CSV, by `format` or by their extension."""
        return self.format == "csv" or (self.format is None and re.search(r"\.[ct]sv(\.\w+)?$", self.path.lower()) is not None)


class TimeNotation(Strict):
    """How a file writes its times."""

    time_unit: Unit | tuple[Unit, ...] = Field(
        default="auto", description="Unit of numeric times; `auto` goes by the size of each. A list where `time` is several columns"
    )
    time_format: str | tuple[str, ...] = Field(
        default=(), description='How text is read, such as "%d/%m/%Y %H:%M"; a list is tried in order. Default: ISO 8601'
    )
    timezone: str = Field(default="UTC", description="Zone of times that name none")

    @property
    def formats(self) -> tuple[str, ...]:
        """The strptime formats to try; empty: ISO 8601."""
        return (self.time_format,) if isinstance(self.time_format, str) else self.time_format

    @field_validator("time_format")
    @classmethod
    def _a_format(cls, value: str | tuple[str, ...]) -> str | tuple[str, ...]:
        for each in (value,) if isinstance(value, str) else value:
            if not any(code in each for code in _DATE_CODES):
                raise ValueError(f"expected a format with a date, such as '%d/%m/%Y %H:%M', got {each!r}")
            if "%s" in each or "%Z" in each:
                raise ValueError(f"{each!r}: %s is `time_unit: s`, and a zone's name (%Z) is `timezone`; offsets (%z) can be read")
        return value

    @field_validator("timezone")
    @classmethod
    def _a_zone(cls, zone: str) -> str:
        if fault := zone_fault(zone):
            raise ValueError(fault)
        return zone


def _is_text_codec(name: str) -> bool:
    try:
        codec = codecs.lookup(name)
        codecs.getincrementaldecoder(name)
    except LookupError:
        return False
    return bool(codec._is_text_encoding)


class Table(TimeNotation, Files):
    """A table of things with an id: the catalogue or the shoppers."""

    id: str = Field(description="The column that holds the id")
    valid_from: str | None = Field(
        default=None, description="Column with the time from which a row holds, until the id's next one; default: a row always holds"
    )
    property: str | None = Field(
        default=None, description="Of a table with a row for each property: the column that names it; a feature's `column` is its name"
    )
    value: str | None = Field(default=None, description="And the column that holds its value")
    number_prefix: str = Field(default="", description="What stands before numbers in `value`, such as the n of `n12.500`")

    @model_validator(mode="after")
    def _whole(self) -> "Table":
        if (self.property is None) != (self.value is None):
            raise ValueError("`property` and `value` go together: a row names a property and holds its value; give both or neither")
        if self.number_prefix and self.property is None:
            raise ValueError("`number_prefix` goes with `property` and `value`; leave it out")
        _times_used(self, self.valid_from)
        return self


class Identities(TimeNotation, Files):
    """A table that says which shopper a second id, such as a device's, stands for."""

    id: str = Field(description="Column with the second id, as the events have it in the role `user`")
    user: str = Field(description="Column with the shopper's id that takes its place")
    valid_from: str | None = Field(
        default=None, description="Column with the time from which it does, until the id's next row; default: always"
    )

    @model_validator(mode="after")
    def _whole(self) -> "Identities":
        if self.id == self.user:
            raise ValueError(f"`id` and `user` are both the column {self.id!r}; name the column of the shopper's id under `user`")
        _times_used(self, self.valid_from)
        return self


def _times_used(files: TimeNotation, valid_from: str | None) -> None:
    unused = sorted(files.model_fields_set & set(TimeNotation.model_fields))
    if unused and valid_from is None:
        raise ValueError(f"`{unused[0]}` says how times are written, and no column holds any; give `valid_from`, or leave it out")
    if not isinstance(files.time_unit, str):
        raise ValueError("`time_unit` lists units, and `valid_from` is one column; give one unit")


class EventSource(TimeNotation, Files):
    """Event rows, in one file or many."""

    columns: Columns = Field(description="Which column plays which role")
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
        units, columns = self.time_unit, self.columns.time_columns
        if not isinstance(units, str) and len(units) != len(columns):
            raise ValueError(f"`time_unit` lists {len(units)} units for {len(columns)} columns of `time`; say one for each")
        return self


class Action(Strict):
    """A kind of event that counts."""

    values: tuple[str, ...] = Field(default=(), description="As the log writes it; default: the action's own name")
    label: float = Field(default=0.0, ge=0, description="Gain of a candidate that got this action; 0: not a label")
    item: bool = Field(default=True, description="false where the event is about no single item (a search, a filter)")
    amount: Amount | None = Field(
        default=None, description="The gain is `label` times this role of the candidate's events; without it, `label` alone"
    )
    takes_back: str | None = Field(default=None, description="A return or cancellation: the action whose label and amounts it takes back")


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
    """No impressions: a request is what was taken together, and what wasn't is sampled from what others took next."""

    origin: Literal["sampling"] = Field(alias="from", description="Where candidates come from")
    group: Literal["request", "event"] = Field(
        default="request", description="Taken together: rows that share user and request, or each row alone"
    )
    negatives: int = Field(default=4, ge=1, le=1000, description="Sampled candidates per positive one")
    weight: Literal["popularity", "uniform"] = Field(
        default="popularity", description="popularity: by how often it was taken in `window`; uniform: each item taken then alike"
    )
    window: Duration = Field(
        default=30 * 86400.0,
        description="Sampled among what anybody takes in so long a time after the request, never beyond its window of the split",
    )


class Rows(Strict):
    """A row is a request with one candidate, and its label stands in it."""

    origin: Literal["rows"] = Field(alias="from", description="Where candidates come from")


Candidates = Annotated[Impressions | ListRows | Sampling | Rows, Field(discriminator="origin")]


def _words(value: Any) -> Any:
    """Convert YAML's values back to words: `NULL` and `-1` needn't be quoted."""
    if isinstance(value, str):
        return (value,)
    if not isinstance(value, list | tuple):
        return value
    words: list[Any] = []
    for word in value:
        if word is None:
            words += _YAML_NULLS
        elif isinstance(word, float) and math.isnan(word):
            words += ("NaN", "nan")
        else:
            words.append(str(word) if isinstance(word, int | float) and not isinstance(word, bool) else word)
    return words
