"""Metrics by slice, challenger beside champion: on a terminal, and as JSON."""

import math
from collections.abc import Iterable
from typing import Any

from rich.table import Table
from rich.text import Text

from components.evaluation.captions import metric_caption, slice_caption
from components.evaluation.results import Comparison, SliceMetrics, compared, margin
from components.evaluation.sums import METRICS

COLUMNS = ("auc", "gauc", "precision_at_1", "precision_at_5", "ndcg_at_10")


def metrics_table(metrics: Iterable[SliceMetrics]) -> Table:
    """A row for each slice: requests, and each metric with its difference to the champion."""
    table = Table(title="Metrics by slice (difference to the champion)", title_justify="left", header_style="bold")
    table.add_column("slice", overflow="fold")
    table.add_column("requests", justify="right")
    for metric in COLUMNS:
        table.add_column(metric_caption(metric), justify="right", no_wrap=True)
    for each in compared(metrics):
        cells = [_cell(each, metric) for metric in COLUMNS]
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


def _cell(each: Comparison, metric: str) -> Text:
    change = each.change(metric)
    style = "green" if change > 0 else "red" if change < 0 else "dim"
    return Text.assemble(value_text(each.challenger[metric]), " ", (f"{change_text(change):>6}", style))


def _or_none(value: float) -> float | None:
    return None if math.isnan(value) else value
