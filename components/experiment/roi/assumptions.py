"""List every assumption behind the return with its value and source, for the page."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from components.experiment.roi.costs import GB, Usage
from components.experiment.roi.price_file import PriceFile, Sourced
from components.experiment.roi.programme import MARGIN, Arm, Programme

Key = tuple[str, str]
"""Section and key of the price file."""


@dataclass(frozen=True, kw_only=True)
class Assumption:
    """An assumption: `key` is where the price file has its number, None where it has none."""

    name: str
    value: str
    source: str
    key: Key | None = None


NUMBERS: tuple[tuple[Key, str, str], ...] = (
    (("prices", "core_hour"), "Price of a core hour", "{currency}"),
    (("prices", "gpu_hour"), "Price of a GPU hour", "{currency}"),
    (("prices", "gb_month"), "Price of a gigabyte for a month", "{currency}"),
    (("prices", "person_hour"), "Price of a person's hour", "{currency}"),
    (("people", "hours_once"), "People's hours to introduce it, once", "hours"),
    (("people", "hours_a_month"), "People's hours to run it, each month", "hours"),
    (("serving", "replicas"), "Servers that run all the time", "servers"),
    (("serving", "cores"), "Cores of each server", "cores"),
    (("serving", "gpus"), "GPUs of each server", "GPUs"),
    (("training", "cores"), "Cores of a training without a record", "cores"),
    (("training", "gpus"), "GPUs of each training", "GPUs"),
    (("effects", "traffic"), "Shoppers since, over those during the test", "(ratio)"),
    (("effects", "half_life_days"), "Days until half of an effect is left", "days"),
    (("effects", "margin"), "Margin over revenue", "of revenue"),
    (("rollbacks", "days_unnoticed"), "Days a bad version would have served", "days"),
    (("rollbacks", "revenue_of_clicks"), "Revenue lost for each click lost", "(ratio)"),
)


def number(file: PriceFile, key: Key) -> Sourced | None:
    """Return a number of the price file; None where it was left out and has no default."""
    value = getattr(getattr(file, key[0]), key[1])
    assert value is None or isinstance(value, Sourced)
    return value


def with_number(file: PriceFile, key: Key, value: float) -> PriceFile:
    """Return the price file with another number."""
    section = getattr(file, key[0]).model_copy(update={key[1]: Sourced(value=value)})
    return file.model_copy(update={key[0]: section})


def list_assumptions(programme: Programme, file: PriceFile, usage: Usage, until: date) -> tuple[Assumption, ...]:
    """Return the numbers of the price file, then what was read or is taken for granted."""
    return (*_numbers(programme, file), *_shipped(programme.shipped, file), *_read(file, usage, until), *_general(programme, file))


def _numbers(programme: Programme, file: PriceFile) -> list[Assumption]:
    rows = []
    for key, name, unit in NUMBERS:
        sourced = number(file, key)
        if sourced is not None:
            rows.append(
                Assumption(name=name, value=f"{sourced.value:,.6g} {unit.format(currency=file.currency)}", source=sourced.source, key=key)
            )
        elif key[1] == "half_life_days":
            rows.append(Assumption(name=name, value="effects last", source="default: no wearing off", key=key))
        else:
            measured = MARGIN not in programme.left_out
            rows.append(Assumption(name=name, value="measured" if measured else "unknown", source="experiment reports"))
    return rows


def _shipped(arms: Sequence[Arm], file: PriceFile) -> list[Assumption]:
    rows = []
    for arm in arms:
        entry = file.experiments.get(arm.experiment)
        end = f" until {arm.shipped_until}" if arm.shipped_until else ""
        share = f"{100 * (entry.traffic if entry else 1.0):.4g} % of the traffic"
        rows.append(
            Assumption(
                name=f"{arm.experiment}: when all shoppers had it, and its share of the shop's traffic while it was tested",
                value=f"from {arm.shipped_from}{end}; {share}, so {arm.shoppers_a_day:,.0f} shoppers a day",
                source="experiment report and price file" if entry else "experiment report; default: the day after it, and all traffic",
            )
        )
    return rows


def _read(file: PriceFile, usage: Usage, until: date) -> list[Assumption]:
    return [
        Assumption(name="Period that is counted", value=f"{file.start} to {until}, without the last", source="price file"),
        Assumption(
            name="Trainings",
            value=f"{usage.trainings:,}, {usage.core_seconds / 3600:,.1f} core hours recorded;"
            f" {usage.unrecorded_seconds / 3600:,.1f} hours without a record of their cores",
            source=usage.source,
        ),
        Assumption(
            name="Storage",
            value=f"{usage.stored_bytes / GB:,.2f} GB, taken to have been that large all the time",
            source=usage.source,
        ),
    ]


def _general(programme: Programme, file: PriceFile) -> list[Assumption]:
    shipped, tried = len(programme.shipped), len(programme.arms)
    rows = [
        Assumption(
            name="All experiments are in",
            value=f"{programme.experiments} experiments with {tried} variants, of which {shipped} were shipped. One that is kept back"
            " because it failed makes the gains look greater than they are",
            source="the reports that were given",
        ),
        Assumption(
            name="How big effects usually are",
            value="learned from all variants together; a lone big winner among small effects is trusted less than it looks",
            source="statistical model (docs: explanation, return)",
        ),
        Assumption(
            name="Effects add up", value="each improvement brings what it brought when it was tested alone", source="taken for granted"
        ),
        Assumption(
            name="Gains during the tests",
            value="not counted, although half of the shoppers had the better variant by then",
            source="taken for granted",
        ),
        Assumption(name="Costs of running", value="spread evenly over the days of the period", source="taken for granted"),
    ]
    if file.concurrent:
        groups = "; ".join(", ".join(group) for group in file.concurrent)
        rows.append(Assumption(name="Experiments that ran at once don't influence each other", value=groups, source="price file"))
    return rows
