"""Define the price file of `shelfrank roi`: what an hour costs, what was shipped when, and everything else that is assumed."""

from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, WithJsonSchema

from components.contract.base_model import Fault, Share, Strict
from components.contract.errors import InputError
from components.contract.yaml_loader import parse_strict, read_text
from components.experiment.currencies import CURRENCIES

NO_SOURCE = "price file, which names no source"


class Sourced(Strict):
    """A number and where it comes from; a bare number is one without a source."""

    value: float = Field(ge=0, allow_inf_nan=False, description="The number")
    source: str = Field(default=NO_SOURCE, description="Where it comes from, for the page")


def _sourced(value: Any) -> Any:
    return {"value": value} if isinstance(value, int | float) and not isinstance(value, bool) else value


_SCHEMA = {
    "anyOf": [
        {"type": "number", "minimum": 0},
        {"type": "object", "properties": {"value": {"type": "number"}, "source": {"type": "string"}}, "required": ["value"]},
    ]
}
Number = Annotated[Sourced, BeforeValidator(_sourced), WithJsonSchema(_SCHEMA)]


class Prices(Strict):
    """What a unit costs, in the file's currency."""

    core_hour: Number = Field(description="An hour of one processor core")
    gpu_hour: Number = Field(default=Sourced(value=0.0, source="none is used"), description="An hour of one GPU; default: 0")
    gb_month: Number = Field(description="A gigabyte (10^9 bytes) stored for a month")
    person_hour: Number = Field(description="An hour of a person, with all that an employer pays")


class People(Strict):
    """Hours of people."""

    hours_once: Number = Field(description="To build and introduce it, once, before the first day")
    hours_a_month: Number = Field(description="To run it: retraining, experiments, on-call")


class Training(Strict):
    """What a training takes where the ledger doesn't say."""

    cores: Number = Field(
        default=Sourced(value=1.0, source="default: one core"),
        description="Cores of a training whose processor time isn't recorded; default: 1",
    )
    gpus: Number = Field(default=Sourced(value=0.0, source="default: no GPU"), description="GPUs of each training; default: 0")


class Serving(Strict):
    """What answers shoppers."""

    replicas: Number = Field(description="Replicas that run all the time: ranking service and model server together")
    cores: Number = Field(description="Cores of each")
    gpus: Number = Field(default=Sourced(value=0.0, source="default: no GPU"), description="GPUs of each; default: 0")


class Shipped(Strict):
    """What became of an experiment's arm that was shipped."""

    start: date | None = Field(
        default=None, alias="from", description="First day on which all shoppers had it; default: the day after the experiment"
    )
    until: date | None = Field(default=None, description="First day on which they no longer had it; default: they still have it")
    traffic: Share = Field(
        default=1.0, gt=0, description="Share of the shop's shoppers that the experiment took, all arms together; default: all"
    )


class Effects(Strict):
    """How a measured effect is carried forward."""

    traffic: Number = Field(
        default=Sourced(value=1.0, source="default: as during the experiments"),
        description="Shoppers a day since shipping, over those during the experiment; default: 1",
    )
    half_life_days: Number | None = Field(
        default=None, description="After so many days half of an effect is left; default: effects last, as long as they are shipped"
    )
    margin: Number | None = Field(
        default=None, description="Margin over revenue; only used where the reports have no metric `margin_per_shopper`"
    )


class Rollbacks(Strict):
    """What a release that was rolled back would have cost."""

    days_unnoticed: Number = Field(
        default=Sourced(value=7.0, source="default: a weekly look at figures"),
        description="For so long it would have served everybody, had nothing rolled it back; default: 7",
    )
    revenue_of_clicks: Number = Field(
        default=Sourced(value=1.0, source="default: revenue falls as clicks do"),
        description="Share of revenue lost for each share of clicks lost; default: 1",
    )


class PriceFile(Strict):
    """Prices, hours and assumptions of a shop's return."""

    currency: str = Field(description="ISO 4217 code, such as EUR; all reports must have the same")
    start: date = Field(alias="from", description="First day that counts: from then on it costs")
    until: date | None = Field(default=None, description="First day that no longer counts; default: today")
    prices: Prices = Field(description="What a unit costs")
    people: People = Field(description="Hours of people")
    serving: Serving = Field(description="What answers shoppers")
    training: Training = Field(default=Training(), description="What a training takes where the ledger doesn't say")
    effects: Effects = Field(default=Effects(), description="How effects are carried forward")
    rollbacks: Rollbacks = Field(default=Rollbacks(), description="What a rolled back release would have cost")
    experiments: dict[str, Shipped] = Field(default_factory=dict, description="By name; those that the file doesn't name have defaults")
    concurrent: tuple[tuple[str, ...], ...] = Field(
        default=(), description="Groups of experiments that may have run at once: in independent layers, or on different shoppers"
    )
    holdout: str | None = Field(
        default=None, description="Name of the experiment whose control never has any of the improvements, such as 5% of all shoppers"
    )


def load_price_file(path: str | Path) -> PriceFile:
    """Read and check a price file.

    Raises:
        InputError: it is missing, isn't YAML, or is invalid; every fault is listed with its line.
    """
    remedy = "`docs/how-to/roi.md` has one to start from"
    text = read_text(path, what="a price file", remedy=remedy, error=InputError)
    return parse_price_file(text, str(path))


def parse_price_file(text: str, name: str = "price file") -> PriceFile:
    """Parse a price file as `load_price_file` does; `name` is the file's name in errors."""
    return parse_strict(text, name, model=PriceFile, check=lambda parsed: list(_faults(parsed)), error=InputError, example="currency: EUR")


def _faults(file: PriceFile) -> Iterator[Fault]:
    if file.currency not in CURRENCIES:
        yield ("currency",), f"unknown currency {file.currency!r}; expected a code of ISO 4217, such as EUR or USD"
    if file.until is not None and file.until <= file.start:
        yield ("until",), f"expected a day after {file.start}, got {file.until}"
    for name, shipped in file.experiments.items():
        if shipped.start is not None and shipped.until is not None and shipped.until <= shipped.start:
            yield ("experiments", name, "until"), f"expected a day after {shipped.start}, on which it was shipped, got {shipped.until}"
    if file.effects.half_life_days is not None and file.effects.half_life_days.value == 0:
        yield ("effects", "half_life_days"), "expected days above 0; leave it out where effects last"
    if file.effects.margin is not None and file.effects.margin.value > 1:
        yield ("effects", "margin"), f"expected margin over revenue, from 0 to 1, got {file.effects.margin.value:g}"
