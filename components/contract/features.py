"""The feature table: one entry names a feature, its kind and its side; every stage loops over it."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from components.contract.base_model import Duration, Strict

Side = Literal["context", "user", "item"]
NAME = r"^[a-z][a-z0-9_]*$"
TEXT_LIMIT = 65_536  # characters kept of any text: a title of ten megabytes would be multiplied by every list that shows it


class _Feature(Strict):
    name: str = Field(pattern=NAME, max_length=60, description="In the examples, the model's request and the report")
    side: Side = Field(description="context: of the request; user: of the shopper; item: of each candidate")


class _Given(_Feature):
    """A value that stands in a table."""

    column: str | None = Field(
        default=None,
        description="Default: the feature's name. `time.hour` and `time.weekday` come from the request's time, in the file's `timezone`",
    )
    source: Literal["events", "items", "users"] | None = Field(
        default=None, description="Default: context from events, user from users, item from items. item from events: as shown in the list"
    )

    @model_validator(mode="after")
    def _sources_fit(self) -> "_Given":
        allowed = {"context": ("events",), "user": ("users", "events"), "item": ("items", "events")}[self.side]
        if self.source is not None and self.source not in allowed:
            raise ValueError(f"a feature on the side {self.side!r} comes from {' or '.join(allowed)}, not from {self.source!r}")
        return self

    @property
    def table(self) -> str:
        """The table it is read from."""
        return self.source or {"context": "events", "user": "users", "item": "items"}[self.side]

    @property
    def key(self) -> str:
        """The column it is read from."""
        return self.column or self.name


class Id(_Given):
    """Many values, of which new ones come: hashed, or a vocabulary with buckets for the rest."""

    kind: Literal["id"]
    buckets: int | None = Field(default=None, ge=2, description="Hash buckets; default without `vocabulary`: 20,000")
    vocabulary: int | None = Field(default=None, ge=1, description="Keep this many most frequent values")
    min_count: int = Field(default=2, ge=1, description="Values seen less often in the training window share the buckets for the rest")
    oov_buckets: int = Field(default=16, ge=1, description="Buckets for values outside the vocabulary")
    dim: int = Field(default=16, ge=1, le=1024, description="Width of the embedding")

    @model_validator(mode="after")
    def _one_way(self) -> "Id":
        if self.buckets is not None and self.vocabulary is not None:
            raise ValueError("`buckets` and `vocabulary` exclude each other; keep one")
        if self.vocabulary is None and "min_count" in self.model_fields_set:
            raise ValueError("`min_count` goes with `vocabulary`, and only with it: a hash bucket counts nothing")
        return self

    @property
    def hashed(self) -> int | None:
        """Number of hash buckets, or None where a vocabulary is kept."""
        return None if self.vocabulary else (self.buckets or 20_000)


class Category(_Given):
    """A few values: a vocabulary of those in the training window and buckets for new ones."""

    kind: Literal["category"]
    oov_buckets: int = Field(default=2, ge=1, description="Buckets for values not seen in training")
    dim: int = Field(default=16, ge=1, le=1024, description="Width of the embedding")


class Number(_Given):
    """A number; missing is NaN."""

    kind: Literal["number"]
    log: bool = Field(default=False, description="Take sign(x)·log(1+|x|) before scaling, for prices and counts")
    minimum: float | None = Field(
        default=None, description="An event row below it is a counted reject; in a table or a list the value is missing"
    )


class Text(_Given):
    """Words, hashed into a trained embedding inside the graph and averaged."""

    kind: Literal["text"]
    buckets: int = Field(default=20_000, ge=2, description="Hash buckets of the words")
    dim: int = Field(default=32, ge=1, le=1024, description="Width of the embedding")


class Multi(_Given):
    """Several values in one, joined by a separator."""

    kind: Literal["multi"]
    separator: str = Field(default="|", min_length=1, description="Between the values")
    buckets: int = Field(default=5_000, ge=2, description="Hash buckets of the values")
    dim: int = Field(default=8, ge=1, le=1024, description="Width of the embedding")


class Vector(_Given):
    """A given embedding of fixed length."""

    kind: Literal["vector"]
    size: int = Field(ge=1, le=4096, description="How many numbers")


class ListRelative(_Feature):
    """Rank and ratio of a number among the request's candidates: two numbers."""

    kind: Literal["list"]
    side: Literal["item"] = Field(default="item", description="Always the item's")
    of: str = Field(description="The number feature it compares")


class History(_Feature):
    """The shopper's last events, oldest first, each with fields of its item, its action and its age."""

    kind: Literal["history"]
    side: Literal["user"] = Field(default="user", description="Always the shopper's")
    fields: tuple[str, ...] = Field(
        min_length=1, description="Item features to carry for each event: id, category or number of the catalogue, or the item's id"
    )
    actions: tuple[str, ...] = Field(min_length=1, description="Which actions enter it")
    length: int = Field(default=30, ge=1, le=1000, description="How many events at most")


class StateFeature(_Feature):
    """What the past says of a key at a moment: counts decayed by a half-life, smoothed rates, recency, the running session."""

    kind: Literal["state"]
    measure: Literal["count", "total", "rate", "recency", "session_events", "session_age"] = Field(
        description="count: decayed by each half-life; total: since ever; rate: decayed, per another action; "
        "recency: seconds since the last; session_events, session_age: of the running session"
    )
    action: str | None = Field(default=None, description="The action counted")
    per: str | None = Field(default=None, description="For a rate: the action divided by")
    prior: float = Field(default=0.1, gt=0, description="For a rate: its value without evidence")
    strength: float = Field(default=20.0, gt=0, description="For a rate: how many events the prior weighs")
    half_lives: tuple[Duration, ...] | None = Field(default=None, description="Default: the dataset's")

    @model_validator(mode="after")
    def _complete(self) -> "StateFeature":
        session = self.measure.startswith("session")
        if session != (self.side == "context"):
            raise ValueError(
                f"measure {self.measure!r} doesn't go with side {self.side!r}: session_* is of the context, the rest of user or item"
            )
        if session == (self.action is not None):
            raise ValueError(f"measure {self.measure!r} takes {'no' if session else 'an'} `action`")
        if (self.measure == "rate") != (self.per is not None):
            raise ValueError("`per` goes with measure 'rate', and only with it")
        if self.measure != "rate" and self.model_fields_set & {"prior", "strength"}:
            raise ValueError("`prior` and `strength` go with measure 'rate', and only with it")
        if self.half_lives is not None and self.measure not in ("count", "rate"):
            raise ValueError(f"measure {self.measure!r} has no half-life")
        return self


GivenFeature = Id | Category | Number | Text | Multi | Vector

# Names that a feature shares with an event's role because it is that very thing, with its kind and side.
OWN: dict[str, tuple[type[GivenFeature], str, Side]] = {
    "item": (Id, "id", "item"),
    "user": (Id, "id", "user"),
    "position": (Number, "number", "item"),
}
Feature = Annotated[Id | Category | Number | Text | Multi | Vector | ListRelative | History | StateFeature, Field(discriminator="kind")]
