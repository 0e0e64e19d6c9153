"""The dataset file as one frozen value."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from components.contract.base_model import Boundary, Duration, Share, Start, Strict
from components.contract.features import NAME, OWN, Feature, GivenFeature, History, StateFeature
from components.contract.sources import (
    AMOUNTS,
    Action,
    Amount,
    Candidates,
    EventSource,
    Identities,
    Impressions,
    ListRows,
    Rows,
    Sampling,
    Table,
)
from components.contract.tuning import Tuning

LONGEST_NAME = 63
"""Of a dataset: TFX's limit for a pipeline's name, and Kubernetes' for the label that Argo puts on each of its pods."""

NonNegative = Annotated[float, Field(ge=0)]


class Windows(Strict):
    """Which requests train, which choose the best epoch, which judge.

    Shares are of the time span, from its end: `eval: 15%, test: 15%` trains on the first 70 %. Dates say where a window starts.
    """

    by: Literal["time", "hash"] = Field(default="time", description="hash: by the request's hash, for data without time")
    train: Start | None = Field(
        default=None,
        description="Start of training: a date, or how long before the end of the test window, moving with it; default: the first event",
    )
    eval: Boundary = Field(default=0.15, description="The window that chooses the best epoch: its share, or its first day")
    test: Boundary = Field(default=0.15, description="The window that judges: its share, or its first day")
    until: Boundary | None = Field(default=None, description="End of the test window, a date; default: the last event")
    gap: Duration | None = Field(default=None, description="Left out before a boundary; default: the attribution window")

    @model_validator(mode="after")
    def _in_order(self) -> "Windows":
        if isinstance(self.until, float):
            raise ValueError("`until` is a date, not a share")
        dates = [value for value in (self.train, self.eval, self.test, self.until) if isinstance(value, datetime)]
        if dates != sorted(set(dates)):
            raise ValueError("expected train < eval < test < until")
        shares = [value for value in (self.eval, self.test) if isinstance(value, float)]
        if sum(shares) >= 1:
            raise ValueError(f"eval and test together take {sum(shares):.0%} of the time; leave some for training")
        if self.by == "hash" and (len(shares) < 2 or self.train or self.until or self.gap is not None):
            raise ValueError("windows by hash are shares: give `eval` and `test` as such, without `train`, `until` and `gap`")
        return self


class Gates(Strict):
    """What a model must reach to be released; metric names as in the report."""

    floor: dict[str, float] = Field(default_factory=dict, description="Least value over the whole test window")
    drop: dict[str, NonNegative] = Field(
        default_factory=lambda: {"auc": 0.005, "ndcg_at_10": 0.007},
        description="How far it may fall below the champion, over the whole test window: refused if the fall is surely greater",
    )
    slice_drop: dict[str, NonNegative] = Field(
        default_factory=lambda: {"auc": 0.03}, description="How far it may fall in a slice: refused likewise"
    )
    min_shoppers: int = Field(default=50, ge=10, description="Slices with fewer shoppers who have a positive are shown, not judged")


class Serving(Strict):
    """How the model is asked, and how fast it must answer to be released."""

    list_lengths: tuple[Annotated[int, Field(ge=1, le=100_000)], ...] = Field(
        default=(10, 20, 50, 100, 200),
        min_length=1,
        max_length=100,
        description="Lengths that lists of candidates are filled up to, ascending; a longer list, to a multiple of the last",
    )
    latency_ms: Annotated[float, Field(gt=0)] = Field(
        default=500.0, description="Within which the model server must answer 99 % of recorded requests in the rehearsal"
    )
    segment: tuple[str, ...] = Field(
        default=(),
        description="Features of the context or the shopper by whose values popularity is counted apart, for when the model is down",
    )

    @model_validator(mode="before")
    @classmethod
    def _one_or_many(cls, value: Any) -> Any:
        return {**value, "segment": [value["segment"]]} if isinstance(value, dict) and isinstance(value.get("segment"), str) else value

    @model_validator(mode="after")
    def _ascending(self) -> "Serving":
        if list(self.list_lengths) != sorted(set(self.list_lengths)):
            raise ValueError(f"expected `list_lengths` in ascending order, each once, got {list(self.list_lengths)}")
        return self


class Drift(Strict):
    """When a window's examples differ so much from those that the champion was made from that somebody must look."""

    false_discovery_rate: float = Field(
        default=0.05, gt=0, lt=1, description="Share of false ones among the changes that are called significant, over all columns"
    )
    freeze: bool = Field(default=True, description="A decision to freeze ends a run before training; false: it is only reported")
    horizons: tuple[Annotated[int, Field(ge=1)], ...] = Field(
        default=(1, 3, 7),
        min_length=1,
        description="So many days at the end of the service's log are each judged as a window, in ascending order",
    )

    @model_validator(mode="after")
    def _ascending(self) -> "Drift":
        if list(self.horizons) != sorted(set(self.horizons)):
            raise ValueError(f"expected `horizons` in ascending order, each once, got {list(self.horizons)}")
        return self


class Dataset(Strict):
    """A shop's logs, described once."""

    name: str = Field(
        pattern=NAME,
        max_length=LONGEST_NAME,
        description="What the shop is called in reports, folders and pipelines; at most 63 characters, which is TFX's limit",
    )
    seed: int = Field(default=0, ge=0, description="Of everything drawn: sampled candidates, weights, batches")
    timezone: str | dict[Literal["feature"], str] = Field(
        default="UTC",
        description="Zone of `time.hour` and `time.weekday`: a name such as Europe/Berlin, or {feature: NAME} of the context that names it",
    )
    events: tuple[EventSource, ...] = Field(min_length=1, description="Where the event rows lie: one source, or a list of them")
    items: Table | None = Field(default=None, description="The catalogue")
    users: Table | None = Field(default=None, description="The shoppers")
    identities: Identities | None = Field(default=None, description="Second ids of shoppers, such as devices, and whose they are")
    actions: dict[Annotated[str, Field(pattern=NAME)], Action] = Field(
        min_length=1, description="The kinds of event, each by a name of its own"
    )
    ignore_actions: tuple[str, ...] = Field(default=(), description="Values of the action column that are counted and left out")
    candidates: Candidates = Field(description="Where the candidates of a request come from")
    unknown_items: Literal["keep", "reject"] = Field(
        default="keep", description="An item that the catalogue lacks: kept with missing values, or a counted reject; counted in both cases"
    )
    session_gap: Duration = Field(default=1800.0, description="A longer pause ends a session, also one that a column names")
    attribution: Duration = Field(
        default_factory=lambda values: 3600.0 if isinstance(values.get("candidates"), Impressions) else 0.0,
        description="How long after its request an action still counts for it; default: 1h for candidates from impressions, else 0",
    )
    skew: Duration = Field(
        default=0.0, description="How much earlier than its list an action may be stamped, where clocks differ, such as 2s"
    )
    unattributed: Share = Field(
        default=0.01, description="Share of labelled actions that may belong to no list: above it `validate` fails and a run stops"
    )
    half_lives: tuple[Duration, ...] = Field(
        default=(3600.0, 86400.0, 604800.0), description="Of the decayed counts and rates: a column for each"
    )
    windows: Windows = Field(default=Windows(), description="Which requests train, which choose the best epoch, which judge")
    features: tuple[Feature, ...] = Field(min_length=1, description="The feature table")
    slices: tuple[tuple[str, ...], ...] = Field(
        default=(), description="Columns of requests or candidates, or crosses of them, by which metrics are shown and judged"
    )
    bands: dict[str, tuple[float, ...]] = Field(
        default_factory=dict, description="Where a number is cut to show metrics by it; `interactions` is cut at 1, 3 and 10"
    )
    gates: Gates = Field(default=Gates(), description="What a model must reach to be released")
    drift: Drift = Field(default=Drift(), description="What ends a run whose examples differ from the champion's")
    serving: Serving = Field(default=Serving(), description="How the model is asked, and how fast it must answer to be released")
    model: dict[str, Any] = Field(default_factory=dict, description="Sizes and training settings that differ from the defaults")
    tuning: Tuning | None = Field(default=None, description="A search for better settings of `model`; without it there is none")

    @model_validator(mode="before")
    @classmethod
    def _one_or_many(cls, value: Any) -> Any:
        if isinstance(value, dict) and isinstance(value.get("events"), dict):
            value = {**value, "events": [value["events"]]}
        if isinstance(value, dict) and isinstance(value.get("slices"), list):
            value = {**value, "slices": [[entry] if isinstance(entry, str) else entry for entry in value["slices"]]}
        return value

    @field_validator("timezone")
    @classmethod
    def _one_zone(cls, zone: str | dict[str, str]) -> str | dict[str, str]:
        if isinstance(zone, dict) and not zone:
            raise ValueError("expected a zone such as Europe/Berlin, or {feature: NAME}, got neither")
        return zone

    @property
    def zone_name(self) -> str:
        """The time zone of the clock features, if all requests have the same."""
        return self.timezone if isinstance(self.timezone, str) else "UTC"

    @property
    def zone_feature(self) -> str | None:
        """The feature with each request's time zone; None if all requests have the same."""
        return None if isinstance(self.timezone, str) else self.timezone["feature"]

    @property
    def label_gains(self) -> dict[str, float]:
        """The gain of each labelled action, in the file's order."""
        return {name: action.label for name, action in self.actions.items() if action.label > 0}

    @property
    def amounts(self) -> tuple[Amount, ...]:
        """The amount roles (revenue, quantity, margin) that a source has."""
        return tuple(role for role in AMOUNTS if any(role in source.columns.named() for source in self.events))

    @property
    def amount_actions(self) -> tuple[str, ...]:
        """The labelled actions whose amounts a candidate has: those that name an `amount`, or all where none does."""
        named = tuple(name for name in self.label_gains if self.actions[name].amount)
        return named or tuple(self.label_gains)

    @property
    def takes_back(self) -> dict[str, str]:
        """The action that each return's action cancels."""
        return {name: action.takes_back for name, action in self.actions.items() if action.takes_back is not None}

    @property
    def history(self) -> History | None:
        """The history feature, if there is one."""
        return next((feature for feature in self.features if isinstance(feature, History)), None)

    @property
    def state_features(self) -> tuple[StateFeature, ...]:
        """The state features, in the table's order."""
        return tuple(feature for feature in self.features if isinstance(feature, StateFeature))

    def feature(self, name: str) -> Any:
        """Return the feature of that name."""
        return next(feature for feature in self.features if feature.name == name)

    def input_features(self, table: str, *, side: str | None = None) -> tuple[GivenFeature, ...]:
        """List the features of a side that are read from a table ("events", "items", "users")."""
        read = (feature for feature in self.features if isinstance(feature, GivenFeature) and feature.name not in OWN)
        return tuple(feature for feature in read if feature.table == table and side in (None, feature.side))

    def forms_requests(self, source: EventSource) -> bool:
        """Return whether requests are made from a source's rows."""
        match self.candidates:
            case Impressions(action=action) | ListRows(action=action):
                return source.action in (None, action)
            case Sampling():
                return source.action is None or source.action in self.label_gains
            case Rows():
                return True

    def half_lives_of(self, feature: StateFeature) -> tuple[float, ...]:
        """Return the half-lives of a state feature, in seconds."""
        return feature.half_lives or self.half_lives
