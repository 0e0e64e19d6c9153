"""Metrics by slice, challenger beside champion: on a terminal, and as JSON."""

import math
from collections.abc import Iterable, Sequence
from typing import Any

from rich.table import Table
from rich.text import Text

from components.contract.sources import AMOUNTS
from components.evaluation.captions import metric_caption, slice_caption
from components.evaluation.importance import METRICS as DROPPED
from components.evaluation.importance import Drop, Importance
from components.evaluation.results import CHALLENGER, CHAMPION, Comparison, SliceMetrics, compared, margin
from components.evaluation.sums import COUNTS, METRICS, OF_ITEMS, OF_SHOPPERS

LOWER_IS_BETTER = ("log_loss", "ece")
NEITHER = ("calibration", *OF_ITEMS)  # best at 1; more of the catalogue, or more of a shopper's own, is a taste

_CHIEF = 8

COLUMNS = ("auc", "gauc", "precision_at_1", "precision_at_5", "ndcg_at_10")


def slice_columns(comparisons: Sequence[Comparison]) -> tuple[str, ...]:
    """The metrics to show of each slice: `COLUMNS`, and of each amount that there is its share among the first five places."""
    there = comparisons[0].challenger if comparisons else {}
    return (*COLUMNS, *(metric for amount in AMOUNTS if (metric := f"{amount}_at_5") in there))


def overall_table(metrics: Iterable[SliceMetrics]) -> Table:
    """A row for each metric over all requests: both models and the change, with 95 % intervals."""
    table = Table(title="All requests (± 95 % interval)", title_justify="left", header_style="bold")
    table.add_column("metric")
    for column in (CHALLENGER, CHAMPION, "change"):
        table.add_column(column, justify="right", no_wrap=True)
    for each in compared(metrics)[:1]:
        for name in overall_metrics(each):
            change = Text(f"{change_text(each.change(name))}{margin_text(each.change_margin(name))}", style=_style(each, name))
            values = (f"{value_text(values[name])}{margin_text(margin(values, name))}" for values in (each.challenger, each.champion))
            table.add_row(metric_caption(name), *values, change)
    return table


def overall_metrics(each: Comparison) -> list[str]:
    """The metrics to show of a slice: those that both models have and either defines, without counts."""
    names = [
        name for name in METRICS if name not in (*COUNTS, *OF_SHOPPERS, "auc_error") and name in each.challenger and name in each.champion
    ]
    return [name for name in names if not (math.isnan(each.challenger[name]) and math.isnan(each.champion[name]))]


def importance_table(importance: Importance) -> Table:
    """The features whose loss costs most AUC, with what each metric falls by and its 95 % interval."""
    shown = importance.ranked(DROPPED[0])[:_CHIEF]
    title = f"Without a feature ({len(shown)} of {len(importance.features)}, {importance.requests:,} requests)"
    table = Table(title=title, title_justify="left", header_style="bold")
    table.add_column("feature")
    for metric in DROPPED:
        table.add_column(metric_caption(metric), justify="right", no_wrap=True)
    for each in shown:
        table.add_row(each.feature, *(_fall(each.drops[metric]) for metric in DROPPED))
    return table


def surely(each: Comparison, metric: str) -> str:
    """`better` or `worse` where the change's interval is clear of 0, else ""."""
    if metric in NEITHER or not abs(each.change(metric)) > each.change_margin(metric):
        return ""
    return "better" if (each.change(metric) < 0) == (metric in LOWER_IS_BETTER) else "worse"


def metrics_table(metrics: Iterable[SliceMetrics]) -> Table:
    """A row for each slice: requests, and each metric with its difference to the champion, in colour where the interval is clear of 0."""
    table = Table(title="Metrics by slice (difference to the champion)", title_justify="left", header_style="bold")
    table.add_column("slice", overflow="fold")
    table.add_column("requests", justify="right")
    comparisons = compared(metrics)
    columns = slice_columns(comparisons)
    for metric in columns:
        table.add_column(metric_caption(metric), justify="right", no_wrap=True)
    for each in comparisons:
        cells = [_cell(each, metric) for metric in columns]
        table.add_row(slice_caption(each.slice), f"{int(each.challenger['requests']):,}", *cells, end_section=not each.slice)
    return table


def metrics_rows(metrics: Iterable[SliceMetrics]) -> list[dict[str, Any]]:
    """The same for `--json`, with every metric: challenger, champion and change, and half the widths of their 95 % intervals.

    What a slice doesn't define, or what has no interval, is null.
    """
    return [
        {
            "slice": dict(each.slice),
            "metrics": {
                name: {
                    "challenger": _or_none(each.challenger[name]),
                    "champion": _or_none(each.champion[name]),
                    "change": _or_none(each.change(name)),
                    "challenger_margin": _or_none(margin(each.challenger, name)),
                    "champion_margin": _or_none(margin(each.champion, name)),
                    "change_margin": _or_none(each.change_margin(name)),
                }
                for name in each.champion
                if name in METRICS
            },
        }
        for each in compared(metrics)
    ]


def change_text(change: float) -> str:
    """`+0.012`, `-0.003`, `0.000`; nothing for NaN. A minus sign stays even where rounding leaves 0."""
    if math.isnan(change):
        return ""
    return "0.000" if change == 0 else f"{change:+.3f}"


def value_text(value: float) -> str:
    """Three digits, or a dash where there is no value."""
    return "-" if math.isnan(value) else f"{value:.3f}"


def margin_text(margin: float) -> str:
    """` ± 0.012`, or nothing where there is no interval."""
    return "" if math.isnan(margin) else f" ± {margin:.3f}"


def _fall(drop: Drop) -> str:
    if drop.value is None:
        return value_text(math.nan)
    return f"{change_text(-drop.value)}{margin_text(math.nan if drop.margin is None else drop.margin)}"


def _cell(each: Comparison, metric: str) -> Text:
    return Text.assemble(value_text(each.challenger[metric]), " ", (f"{change_text(each.change(metric)):>6}", _style(each, metric)))


def _style(each: Comparison, metric: str) -> str:
    return {"better": "green", "worse": "red", "": "dim"}[surely(each, metric)]


def _or_none(value: float) -> float | None:
    return None if math.isnan(value) else value
