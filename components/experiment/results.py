"""Compare every metric, arm, segment and population, and correct for how many there are."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import polars as pl
from statsmodels.stats.multitest import multipletests

from components.experiment.comparison import Difference, compare, digits, widened
from components.experiment.metrics import Metric
from components.experiment.report_schema import Adjustment, MetricResult, Population, Role


@dataclass(frozen=True, kw_only=True)
class Analysis:
    """What is compared.

    Attributes:
        arms: names of the arms, by index in the table.
        control: name of the control.
        metrics: to compare, with their roles in this experiment.
        currency: of amounts.
        alpha: of intervals and tests.
        critical: two-sided critical value of |z| at alpha that allows for other looks; None: there is one look.
    """

    arms: tuple[str, ...]
    control: str
    metrics: tuple[Metric, ...]
    currency: str | None
    alpha: float
    critical: float | None = None


def compare_all(table: pl.DataFrame, everybody: pl.DataFrame, analysis: Analysis, segments: Mapping[str, pl.Expr]) -> list[MetricResult]:
    """Return the results of all metrics and arms.

    Args:
        table: one row a shopper, without bots, amounts capped.
        everybody: the same with bots; their results are shown beside, without CUPED.
        analysis: what is compared.
        segments: name to condition on the table.

    P values of primary metrics are corrected by Holm over primary metrics and arms, those of the others by Benjamini and Hochberg over
    metrics and arms, and those of segments by Benjamini and Hochberg over all segments, metrics and arms.
    """
    main = list(_results(table, analysis))
    chosen = best(main)
    primary = [row for row in chosen if row.role == "primary"]
    rest = [row for row in chosen if row.role != "primary"]
    by_segment = [row for name, where in segments.items() for row in best(list(_results(table.filter(where), analysis, segment=name)))]
    judged = _adjusted(primary, "holm", analysis.alpha) + _adjusted(rest, "fdr_bh", analysis.alpha)
    plain = [row for row in main if row not in chosen]
    with_bots = list(_results(everybody, analysis, population="all")) if len(everybody) > len(table) else []
    return judged + plain + _adjusted(by_segment, "fdr_bh", analysis.alpha) + with_bots


def judged_rows(rows: Sequence[MetricResult]) -> list[MetricResult]:
    """Return the rows to judge of all shoppers together, bots left out."""
    return best([row for row in rows if row.segment == "" and row.population == "without bots"])


def best(rows: Sequence[MetricResult]) -> list[MetricResult]:
    """Return the row to judge of each metric and arm: the adjusted one where there is one."""
    chosen: dict[tuple[str, str], MetricResult] = {}
    for row in rows:
        if (row.metric, row.arm) not in chosen or row.adjustment == "cuped":
            chosen[row.metric, row.arm] = row
    return list(chosen.values())


def _results(
    table: pl.DataFrame, analysis: Analysis, *, segment: str = "", population: Population = "without bots"
) -> Iterator[MetricResult]:
    sides = {name: table.filter(pl.col("arm") == index) for index, name in enumerate(analysis.arms)}
    control = sides[analysis.control]
    for metric in analysis.metrics:
        for arm, treatment in sides.items():
            if arm == analysis.control:
                continue
            plain = compare(control, treatment, metric, alpha=analysis.alpha, cuped=False)
            cuped = None
            if plain is not None and population == "without bots":
                cuped = compare(control, treatment, metric, alpha=analysis.alpha, cuped=True)
            differences: tuple[tuple[Adjustment, Difference | None], ...] = (("none", plain), ("cuped", cuped))
            for adjustment, difference in differences:
                if plain is not None and difference is not None:
                    if analysis.critical is not None:
                        difference = widened(difference, analysis.critical, alpha=analysis.alpha)
                    yield MetricResult(
                        metric=metric.name,
                        unit=metric.unit.format(currency=analysis.currency),
                        role=metric.role,
                        higher_is_better=metric.higher_is_better,
                        arm=arm,
                        segment=segment,
                        population=population,
                        adjustment=adjustment,
                        control_shoppers=len(control),
                        treatment_shoppers=len(treatment),
                        control=digits(difference.control),
                        treatment=digits(difference.treatment),
                        effect=digits(difference.effect),
                        std_error=digits(difference.std_error),
                        lower=digits(difference.lower),
                        upper=digits(difference.upper),
                        relative=_optional(difference.relative),
                        relative_lower=_optional(difference.relative_lower),
                        relative_upper=_optional(difference.relative_upper),
                        p=digits(difference.p),
                        variance_reduction=digits(1 - (difference.std_error / plain.std_error) ** 2) if adjustment == "cuped" else None,
                    )


def _optional(value: float | None) -> float | None:
    return None if value is None else digits(value)


def _adjusted(rows: Sequence[MetricResult], method: str, alpha: float) -> list[MetricResult]:
    if not rows:
        return []
    rejected, adjusted, *_ = multipletests([row.p for row in rows], alpha=alpha, method=method)
    return [
        row.model_copy(update={"p_adjusted": float(p), "significant": bool(reject)})
        for row, p, reject in zip(rows, adjusted.tolist(), rejected.tolist(), strict=True)
    ]


def with_role(metric: Metric, role: Role) -> Metric:
    """Return the metric in another role."""
    return replace(metric, role=role)
