"""Define the file of an experiment that `shelfrank experiment report` reads."""

from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Annotated

from pydantic import BeforeValidator, Field, WithJsonSchema

from components.contract.base_model import Duration, Fault, Share, Strict, closest
from components.contract.dataset import Dataset
from components.contract.errors import InputError
from components.contract.features import NAME
from components.contract.yaml_loader import parse_strict, read_text
from components.experiment.currencies import CURRENCIES
from components.experiment.metrics import BY_NAME, METRICS
from components.experiment.report_schema import Looks

ROUNDING = 1e-9
Name = Annotated[str, Field(pattern=NAME, max_length=60)]


def _many(value: object) -> object:
    return (value,) if isinstance(value, str) else value


Names = Annotated[tuple[Name, ...], BeforeValidator(_many), WithJsonSchema({"type": ["string", "array"], "items": {"type": "string"}})]


class Bots(Strict):
    """Shoppers that no person is: counted and left out, with the results beside those of all."""

    lists_a_day: int = Field(default=300, ge=1, description="More lists on one day than so many")
    clicks_a_day: int = Field(default=300, ge=1, description="Or more clicks on one day")


class Planned(Strict):
    """What `shelfrank experiment plan` asked for."""

    shoppers: int | None = Field(default=None, ge=2, description="In all arms together")
    days: int | None = Field(default=None, ge=1, description="From the first day of exposures")
    effect: Share | None = Field(
        default=None, gt=0, description="Relative effect that the size is for: without a chance to prove it any more, the experiment stops"
    )

    @property
    def is_sized(self) -> bool:
        """Whether there is a size."""
        return self.shoppers is not None or self.days is not None


class Segments(Strict):
    """A table of shoppers by whose columns results are split."""

    file: str = Field(description="Parquet, CSV or JSON Lines, relative to this file")
    id: str = Field(description="Column with the shopper's id, as the log has it")
    columns: Names = Field(min_length=1, description="Columns with the segments, known before the experiment")


class OffPolicy(Strict):
    """What offline evaluation says of arms, to set beside what was measured."""

    shadows: dict[Name, Name] = Field(min_length=1, description="Arm to the label whose shadow scores the log has for the control's lists")
    examination: tuple[Annotated[float, Field(gt=0, le=1)], ...] = Field(
        min_length=1, description="Probability that a place is looked at, from the first; places beyond count as the last"
    )


class ExperimentFile(Strict):
    """An experiment of the ranking service, and how it is to be judged."""

    experiment: Name = Field(description="Its name in the service's experiments file, and so in the exposure log")
    dataset: str = Field(description="The dataset file, relative to this file")
    log: str = Field(default="log", description="Folder of the service's exposure log, relative to this file")
    control: Name = Field(description="The arm that the others are compared with")
    arms: dict[Name, Share] = Field(min_length=2, description="Each arm's share of the experiment's shoppers, as in the experiments file")
    start: date = Field(alias="from", description="First day of the experiment")
    until: date | None = Field(default=None, description="The day after its last; default: all that the log holds")
    pre_period: Duration = Field(default=14 * 86400.0, description="How long before the first day shoppers are compared, and CUPED learns")
    currency: str | None = Field(default=None, description="Of revenue and margin, a code of ISO 4217 such as EUR")
    primary: Names = Field(default=("revenue_per_shopper",), min_length=1, description="Metrics that decide")
    guardrails: Names = Field(default=("latency_ms", "degraded_share"), description="Metrics that must not get worse")
    metrics: Names = Field(default=tuple(metric.name for metric in METRICS), description="Further metrics to show; default: all there are")
    margins: dict[Name, Share] = Field(
        default_factory=dict, description="How much worse a guardrail may be, as a share of the control's; default: 5%"
    )
    click: str | None = Field(default=None, description="The dataset file's action that is a click; default: `click`")
    purchase: str | None = Field(default=None, description="And that is a purchase; default: `purchase`, or the only one with amounts")
    excludes: Names = Field(default=(), description="Other experiments of its layer: a shopper in two of them is an error of assignment")
    guests: bool = Field(default=False, description="Whether guests are assigned by session (`guests: session`) and count by it")
    segments: Segments | None = Field(default=None, description="Segments of shoppers; new and known shoppers are always split")
    off_policy: OffPolicy | None = Field(default=None, description="Arms whose versions were shadows on the control's lists")
    cap: Share | None = Field(
        default=0.999, description="Amounts of a shopper above this quantile over all arms count as the quantile; null: as they are"
    )
    bots: Bots = Field(default=Bots(), description="Who is left out as a bot")
    alpha: Share = Field(default=0.05, gt=0, lt=0.5, description="Error rate of the primary metrics together; intervals have 1 - alpha")
    planned: Planned = Field(default=Planned(), description="Planned size; default: the days before `until`, where there is one")
    looks: Looks | None = Field(
        default=None,
        description="When the result may be looked at: `planned`, after each whole day until the planned size; `any`, whenever and as long"
        " as one likes; `end`, once. Default: `planned` with a planned size or `until`, else `any`",
    )
    shipped: Name | None = Field(default=None, description="The arm that was shipped, once one was")

    @property
    def rule(self) -> Looks:
        """When the result may be looked at."""
        return self.looks or ("planned" if self.is_planned else "any")

    @property
    def is_planned(self) -> bool:
        """Whether a size is planned, or else a last day, which is as good as one."""
        return self.planned.is_sized or self.until is not None

    @property
    def has_end(self) -> bool:
        """Whether nothing counts after the planned size."""
        return self.rule != "any" and self.is_planned


def load_experiment_file(path: str | Path) -> ExperimentFile:
    """Read and check an experiment's file.

    Raises:
        InputError: it is missing, isn't YAML, or is invalid; every fault is listed with its line.
    """
    remedy = "`docs/how-to/experiment-reports.md` has one to start from"
    text = read_text(path, what="an experiment's file", remedy=remedy, error=InputError)
    return parse_strict(
        text,
        str(path),
        model=ExperimentFile,
        check=lambda parsed: list(_faults(parsed)),
        error=InputError,
        example="experiment: canary_9",
    )


def check_against_dataset(file: ExperimentFile, dataset: Dataset) -> None:
    """Check what an experiment's file names of a dataset.

    Raises:
        InputError: an action isn't there, or amounts have no currency.
    """
    for key, action in (("click", file.click), ("purchase", file.purchase)):
        if action is not None and action not in dataset.actions:
            raise InputError(f"`{key}`: the dataset file has no action {action!r}; {closest(action, list(dataset.actions))}")
    if file.currency is None and {"revenue", "margin"} & set(dataset.amounts):
        raise InputError("expected `currency`, the code of ISO 4217 that revenue and margin are in, such as EUR; the dataset has amounts")


def _faults(file: ExperimentFile) -> Iterator[Fault]:
    if file.control not in file.arms:
        yield ("control",), f"no arm is called {file.control!r}; {closest(file.control, list(file.arms))}"
    if file.shipped is not None and file.shipped not in file.arms:
        yield ("shipped",), f"no arm is called {file.shipped!r}; {closest(file.shipped, list(file.arms))}"
    if abs(sum(file.arms.values()) - 1) > ROUNDING:
        yield ("arms",), f"the shares of its arms make {100 * sum(file.arms.values()):.6g}%; expected 100%"
    if empty := [name for name, share in file.arms.items() if share == 0]:
        yield ("arms", empty[0]), f"the arm {empty[0]!r} has a share of 0%; leave it out"
    if file.until is not None and file.until <= file.start:
        yield ("until",), f"expected a day after {file.start}, got {file.until}"
    if file.currency is not None and file.currency not in CURRENCIES:
        yield (
            ("currency",),
            f"unknown currency {file.currency!r}; expected a code of ISO 4217, such as EUR or USD",
        )
    if file.looks == "planned" and not file.is_planned:
        yield ("looks",), "planned looks need a plan: give `planned` (days or shoppers) or `until`; or take `looks: any`"
    for key in ("primary", "guardrails", "metrics"):
        for name in getattr(file, key):
            if name not in BY_NAME:
                yield (key,), f"there is no metric {name!r}; {closest(name, list(BY_NAME))}"
    if both := set(file.primary) & set(file.guardrails):
        yield ("guardrails",), f"{sorted(both)[0]!r} is primary too; keep it in one"
    for name in file.margins:
        if name not in file.guardrails:
            yield ("margins", name), f"{name!r} is no guardrail; {closest(name, list(file.guardrails))}"
    treatments = [arm for arm in file.arms if arm != file.control]
    for name in file.off_policy.shadows if file.off_policy else ():
        if name not in treatments:
            yield ("off_policy", "shadows", name), f"{name!r} is no treatment; {closest(name, treatments)}"
    if file.experiment in file.excludes:
        yield ("excludes",), f"{file.experiment!r} is this experiment; name the others of its layer"
