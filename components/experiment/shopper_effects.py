"""The effects of an experiment per shopper: what a forecast of earnings starts from."""

from collections.abc import Sequence
from datetime import date

import polars as pl

from components.experiment.checks import Assigned
from components.experiment.experiment_file import ExperimentFile
from components.experiment.metrics import BY_NAME
from components.experiment.report_schema import MetricResult, ShopperEffect


def shopper_effects(
    chosen: Sequence[MetricResult], people: pl.DataFrame, assigned: Assigned, file: ExperimentFile, *, first_day: date, last_day: date
) -> list[ShopperEffect]:
    """Return the effects of the results whose metric is a mean over shoppers."""
    size = dict(people.group_by("arm").len().iter_rows())
    rows = []
    for row in chosen:
        if BY_NAME[row.metric].per is None:
            treated = size[assigned.arms.index(row.arm)]
            rows.append(
                ShopperEffect(
                    metric=row.metric,
                    unit=row.unit,
                    arm=row.arm,
                    effect=row.effect,
                    std_error=row.std_error,
                    shoppers=treated + size[assigned.index_of_control],
                    treated=treated,
                    days=(last_day - first_day).days + 1,
                    first_day=first_day,
                    last_day=last_day,
                    shipped=file.shipped == row.arm,
                )
            )
    return rows
