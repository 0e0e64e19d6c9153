"""The schema of `experiment_report.json`, which `shelfrank experiment report` writes.

Numbers that can't be computed are null. An effect is the treatment's mean minus the control's, in the metric's unit.
"""

from datetime import date, datetime
from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError

from components.contract.base_model import Strict
from components.contract.errors import InputError

VERSION = 1
FILE = "experiment_report.json"

Role = Literal["primary", "secondary", "guardrail"]
Adjustment = Literal["none", "cuped"]
Population = Literal["all", "without bots"]
Action = Literal["ship", "stop", "go on"]
Severity = Literal["pass", "warning", "fault"]
Looks = Literal["planned", "any", "end"]


class ShopperEffect(Strict):
    """The effect of an arm on the mean of a shopper's total over the experiment: what a forecast of earnings starts from."""

    metric: str = Field(description="Such as revenue_per_shopper, margin_per_shopper, orders_per_shopper, conversion")
    unit: str = Field(description="Of the effect, such as `EUR per shopper`, `orders per shopper`, `share of shoppers`")
    arm: str = Field(description="The treatment")
    effect: float = Field(description="Absolute difference to the control, per shopper over the whole experiment, outliers as stated")
    std_error: float = Field(description="Standard error of `effect`, over shoppers")
    shoppers: int = Field(description="Shoppers of the treatment and the control together")
    treated: int = Field(description="Of these, in the treatment")
    days: int = Field(description="Days with exposures from the first to the last, both included")
    first_day: date = Field(description="Of exposures, in the dataset file's time zone")
    last_day: date = Field(description="Of exposures")
    shipped: bool = Field(description="Whether the experiment's file says that this arm was shipped")


class ArmSummary(Strict):
    """What an arm had."""

    name: str
    share: float = Field(description="Of the experiment's shoppers, as declared")
    shoppers: int = Field(description="Exposed at least once, in this arm alone; bots left out")
    sessions: int
    lists: int = Field(description="Requests that a list was shown for")
    bots: int = Field(description="Shoppers left out as bots")


class MetricResult(Strict):
    """A metric of a treatment beside the control."""

    metric: str
    unit: str
    role: Role
    higher_is_better: bool
    arm: str = Field(description="The treatment")
    segment: str = Field(default="", description="Such as `device=app`; empty: all shoppers")
    population: Population = "without bots"
    adjustment: Adjustment = Field(description="cuped: adjusted by the same metric before the experiment")
    control: float
    treatment: float
    effect: float = Field(description="Treatment minus control, of the adjusted means where adjusted")
    std_error: float
    lower: float = Field(description="Of the interval of `effect`, at `confidence`, not corrected for the number of metrics")
    upper: float
    relative: float | None = Field(description="Effect over the control's mean")
    relative_lower: float | None = None
    relative_upper: float | None = None
    p: float = Field(description="For all looks that `looks` allows: at most alpha exactly where the interval excludes 0")
    p_adjusted: float | None = Field(default=None, description="Holm over arms and primary metrics, Benjamini-Hochberg over the others")
    significant: bool = Field(default=False, description="By the adjusted p")
    control_shoppers: int
    treatment_shoppers: int
    variance_reduction: float | None = Field(default=None, description="Share of the variance that the adjustment took away")


class DayEffect(Strict):
    """The effect on a metric by days since a shopper's first exposure: what is a novelty wears off."""

    metric: str
    arm: str
    day: int = Field(description="Days since the shopper's first exposure, from 0")
    effect: float
    std_error: float
    shoppers: int


class NoveltyTrend(Strict):
    """Whether an effect changes with the days since a shopper's first exposure: the slope of `DayEffect` by day."""

    metric: str
    arm: str
    slope: float = Field(description="Change of the effect a day")
    std_error: float
    p: float


class Check(Strict):
    """A check of assignment or logging."""

    name: str = Field(description="Such as `sample ratio`, `one arm a shopper`, `pre-exposure`, `logging`, `bots`")
    severity: Severity
    arm: str = ""
    text: str = Field(description="What was seen, with figures, and what to do")
    p: float | None = None


class OffPolicyEstimate(Strict):
    """What offline evaluation says of an arm's ranking from the control's lists, beside what the experiment measured."""

    arm: str
    estimator: Literal["ips"]
    estimate: float = Field(description="Clicks a list of the arm's order over those of the control's, minus 1")
    lower: float
    upper: float
    measured: float | None = Field(default=None, description="The relative effect on the click rate, from the experiment")
    measured_lower: float | None = None
    measured_upper: float | None = None
    lists: int = Field(description="Of the control, with scores of the arm's version")


class MetricDecision(Strict):
    """What a metric says of an arm today."""

    metric: str
    arm: str
    role: Role
    verdict: Literal["better", "worse", "no worse", "undecided", "no effect"]
    z: float
    critical: float = Field(description="Two-sided critical value of |z| today")
    information: float = Field(description="Share of the planned information that is reached")


class Decision(Strict):
    """What to do today."""

    action: Action
    arm: str | None = Field(description="Which to ship")
    until: date | None = Field(description="Where it goes on: the day on which the planned information is expected")
    reasons: tuple[str, ...]
    metrics: tuple[MetricDecision, ...]


class ExperimentReport(Strict):
    """The whole document."""

    version: int = VERSION
    experiment: str = Field(description="Its name in the exposure log")
    dataset: str
    created: datetime = Field(description="UTC")
    currency: str | None = Field(description="ISO 4217 code of revenue and margin; null where there are none")
    control: str
    arms: tuple[ArmSummary, ...]
    first_day: date
    last_day: date
    days: int
    planned_days: int | None = None
    planned_shoppers: int | None = None
    looks: Looks = Field(default="end", description="planned: after each whole day until the planned size; any: whenever; end: once")
    looks_used: int = Field(default=1, description="Looks that alpha was spent on, today's the last; 1 where looks aren't counted")
    rule: str = Field(default="", description="When the result may be looked at, and what intervals and p hold for, as a sentence")
    confidence: float = Field(description="Of all intervals, such as 0.95: at once for all looks that `looks` allows")
    outliers: str = Field(description="The outlier policy, as a sentence")
    shipped: str | None = Field(default=None, description="The arm that the experiment's file says was shipped")
    decision: Decision
    effects: tuple[ShopperEffect, ...] = Field(description="Per-shopper effects, the most precise of each metric and arm")
    results: tuple[MetricResult, ...]
    checks: tuple[Check, ...]
    novelty: tuple[DayEffect, ...] = ()
    trends: tuple[NoveltyTrend, ...] = ()
    off_policy: tuple[OffPolicyEstimate, ...] = ()
    counts: dict[str, int] = Field(default_factory=dict, description="What was read, and what was left out")
    left_out: dict[str, str] = Field(default_factory=dict, description="Metric or check to why it isn't there")


def read_report(file: Path) -> ExperimentReport:
    """Read a report.

    Raises:
        InputError: there is none, or it isn't one of this version.
    """
    try:
        report = ExperimentReport.model_validate_json(file.read_bytes())
    except FileNotFoundError:
        raise InputError(f"{file}: expected a report of `shelfrank experiment report`, there is none") from None
    except ValidationError as error:
        first = error.errors()[0]
        path = ".".join(str(part) for part in first["loc"])
        raise InputError(
            f"{file}: expected a report of `shelfrank experiment report`, got at `{path}`: {first['msg']}; make it anew"
        ) from None
    if report.version != VERSION:
        raise InputError(f"{file}: expected version {VERSION} of the report, got {report.version}; make it anew")
    return report
