"""Add up what the programme cost: training, serving, storage and people."""

from dataclasses import dataclass
from datetime import date

import numpy as np

from components.experiment.roi.price_file import PriceFile
from components.experiment.roi.shrinkage import Floats

DAYS_A_MONTH = 365.25 / 12
GB = 1e9


@dataclass(frozen=True, kw_only=True)
class Usage:
    """What was used, as the ledger of retraining, the last run and the folder say.

    Attributes:
        trainings: how many there were in the period.
        core_seconds: processor time of those where it is recorded.
        seconds: duration of all.
        unrecorded_seconds: duration of those whose processor time isn't recorded, such as on Kubeflow.
        stored_bytes: of the runs' folder today.
        source: files that it was read from, for the page.
    """

    trainings: int = 0
    core_seconds: float = 0.0
    seconds: float = 0.0
    unrecorded_seconds: float = 0.0
    stored_bytes: int = 0
    source: str = "no folder of runs was given"


@dataclass(frozen=True, kw_only=True)
class CostItem:
    """A cost: quantity times price, and whether it was spent once, before the first day."""

    group: str
    name: str
    quantity: float
    unit: str
    price: float
    once: bool = False

    @property
    def amount(self) -> float:
        """In the price file's currency."""
        return self.quantity * self.price


def cost_items(file: PriceFile, usage: Usage, until: date) -> tuple[CostItem, ...]:
    """Return all costs of the period from the file's first day to `until`, which doesn't count."""
    days = (until - file.start).days
    months, hours = days / DAYS_A_MONTH, days * 24.0
    prices, serving, training, people = file.prices, file.serving, file.training, file.people
    core_hours = (usage.core_seconds + usage.unrecorded_seconds * training.cores.value) / 3600
    return (
        CostItem(group="training", name="processors", quantity=core_hours, unit="core hours", price=prices.core_hour.value),
        CostItem(
            group="training",
            name="GPUs",
            quantity=usage.seconds / 3600 * training.gpus.value,
            unit="GPU hours",
            price=prices.gpu_hour.value,
        ),
        CostItem(
            group="serving",
            name="processors",
            quantity=serving.replicas.value * serving.cores.value * hours,
            unit="core hours",
            price=prices.core_hour.value,
        ),
        CostItem(
            group="serving",
            name="GPUs",
            quantity=serving.replicas.value * serving.gpus.value * hours,
            unit="GPU hours",
            price=prices.gpu_hour.value,
        ),
        CostItem(
            group="storage",
            name="runs and releases",
            quantity=usage.stored_bytes / GB * months,
            unit="GB months",
            price=prices.gb_month.value,
        ),
        CostItem(
            group="people",
            name="to introduce it",
            quantity=people.hours_once.value,
            unit="hours",
            price=prices.person_hour.value,
            once=True,
        ),
        CostItem(
            group="people",
            name="to run it",
            quantity=people.hours_a_month.value * months,
            unit="hours",
            price=prices.person_hour.value,
        ),
    )


def total_cost(items: tuple[CostItem, ...]) -> float:
    """Return the sum."""
    return float(sum(item.amount for item in items))


def cumulative_cost(items: tuple[CostItem, ...], days: int) -> Floats:
    """Return the cost up to the end of each day, (days,): what is spent once before the first, the rest evenly."""
    once = sum(item.amount for item in items if item.once)
    running = sum(item.amount for item in items if not item.once)
    return np.asarray(once + running * np.arange(1, days + 1) / days, np.float64)
