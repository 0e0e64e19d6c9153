"""Compute metrics with their standard errors, and the paired standard error of a change between two models."""

from collections.abc import Mapping, Sequence

from components.evaluation.metrics.bootstrap import standard_error
from components.evaluation.metrics.item_coverage import jackknife_error
from components.evaluation.metrics.metric_accumulator import ESTIMATED, LISTWISE, METRICS, RankingSums


def error_of(metric: str) -> str:
    """Name the value that is a metric's standard error."""
    return f"{metric}_se"


def change_error_of(metric: str) -> str:
    """Name the value that is the standard error of a metric's change against the champion."""
    return f"{metric}_change_se"


ESTIMATES = (*METRICS, *map(error_of, ESTIMATED), *map(change_error_of, ESTIMATED))
"""Names of all values of a model; the change of the champion against itself isn't among its own."""


def estimates(sums: Mapping[str, RankingSums], *, baseline: str | None, listwise: Sequence[str] = LISTWISE) -> dict[str, dict[str, float]]:
    """Compute for each model its metrics, their standard errors, and those of the change against the baseline.

    The change is computed replicate by replicate, and without each group of shoppers. Both models score the same
    requests of the same shoppers, so their errors are correlated, and that of the change is much smaller.
    """
    drawn = {
        model: [(standard_error, each.replicated(listwise)), (jackknife_error, each.without_each_group())] for model, each in sums.items()
    }
    estimated = {}
    for model, each in sums.items():
        values = each.values(listwise)
        for i, (error, own) in enumerate(drawn[model]):
            values |= {error_of(name): error(terms) for name, terms in own.items()}
            if baseline is not None and model != baseline:
                _, others = drawn[baseline][i]
                values |= {change_error_of(name): error(terms - others[name]) for name, terms in own.items()}
        estimated[model] = values
    return estimated
