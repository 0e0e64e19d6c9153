"""Show metrics by slice, challenger beside champion: on a terminal, and as JSON."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table
from rich.text import Text

from components.contract.sources import AMOUNTS
from components.evaluation.display_names import metric_caption, slice_caption
from components.evaluation.importance.feature_importance import METRICS as DROPPED
from components.evaluation.importance.feature_importance import Drop, Importance
from components.evaluation.metrics.metric_accumulator import COUNTS, ITEM_METRICS, METRICS, SHOPPER_METRICS
from components.evaluation.results import CHALLENGER, CHAMPION, Comparison, SliceMetrics, compared, margin

LOWER_IS_BETTER = ("log_loss", "ece")
NEITHER = ("calibration", *ITEM_METRICS)  # calibration is best at 1; whether more coverage is better is the shop's choice

_CHIEF = 8
_SLICE = 24  # width to which the captions of slices are folded before metrics go to a further table
_BORDER = 3  # characters between two columns

COLUMNS = ("auc", "gauc", "precision_at_1", "precision_at_5", "ndcg_at_10")


def slice_columns(comparisons: Sequence[Comparison]) -> tuple[str, ...]:
    """List the metrics to show of each slice: `COLUMNS`, and of each known amount its share among the first five."""
    there = comparisons[0].challenger if comparisons else {}
    return (*COLUMNS, *(metric for amount in AMOUNTS if (metric := f"{amount}_at_5") in there))


def overall_table(metrics: Iterable[SliceMetrics]) -> Table:
    """Make a row for each metric over all requests: both models and the change, with 95 % intervals."""
    table = Table(title="All requests (± 95 % interval)", title_justify="left", header_style="bold")
    table.add_column("metric")
    for column in (CHALLENGER, CHAMPION, "change"):
        table.add_column(column, justify="right")
    for each in compared(metrics)[:1]:
        counts = f"{int(each.challenger['requests']):,}, {each.judged_requests:,} judged"
        table.title = f"All requests: {counts} (± 95 % interval)"
        for name in overall_metrics(each):
            change = Text(f"{change_text(each.change(name))}{margin_text(each.change_margin(name))}", style=_style(each, name))
            values = (f"{value_text(values[name])}{margin_text(margin(values, name))}" for values in (each.challenger, each.champion))
            table.add_row(metric_caption(name), *values, change)
    return table


def overall_metrics(each: Comparison) -> list[str]:
    """List the metrics to show of a slice: those of both models that are defined for either, without counts."""
    uncompared = (*COUNTS, *SHOPPER_METRICS, "auc_error")
    names = [name for name in METRICS if name not in uncompared and name in each.challenger and name in each.champion]
    return [name for name in names if not (math.isnan(each.challenger[name]) and math.isnan(each.champion[name]))]


def importance_table(importance: Importance) -> Table:
    """Make a row for each of the most important features: the drop of each metric with its 95 % interval."""
    shown = importance.ranked(DROPPED[0])[:_CHIEF]
    title = f"Without a feature ({len(shown)} of {len(importance.features)}, {importance.requests:,} requests)"
    table = Table(title=title, title_justify="left", header_style="bold")
    table.add_column("feature", overflow="fold")
    for metric in DROPPED:
        table.add_column(metric_caption(metric), justify="right", no_wrap=True)
    for each in shown:
        table.add_row(each.feature, *(_fall(each.drops[metric]) for metric in DROPPED))
    return table


def surely(each: Comparison, metric: str) -> str:
    """Return `better` or `worse` where the change's interval excludes 0, else ""."""
    if metric in NEITHER or not abs(each.change(metric)) > each.change_margin(metric):
        return ""
    return "better" if (each.change(metric) < 0) == (metric in LOWER_IS_BETTER) else "worse"


@dataclass(frozen=True)
class SliceTables:
    """A row for each slice: requests, and metrics with the difference to the champion, coloured if significant.

    One table where the console is wide enough; else further tables below it have the other metrics.
    """

    comparisons: Sequence[Comparison]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Lay out the tables for the console's width."""
        cells = {metric: [_cell(each, metric) for each in self.comparisons] for metric in slice_columns(self.comparisons)}
        widths = [max([cell_len(metric_caption(metric)), *(cell.cell_len for cell in column)]) for metric, column in cells.items()]
        leading = min(_SLICE, max([len("slice"), *map(cell_len, self._slices())])) + max(len("requests"), *map(len, self._requests()))
        parts = _fitting(widths, options.max_width - leading - 2 * _BORDER - 1)
        metrics = list(cells)
        for index, (first, end) in enumerate(parts, 1):
            title = "Metrics by slice (difference to the champion)"
            title += f", part {index} of {len(parts)}" if len(parts) > 1 else ""
            yield self._table(title, {metric: cells[metric] for metric in metrics[first:end]})

    def _table(self, title: str, cells: Mapping[str, Sequence[Text]]) -> Table:
        table = Table(title=title, title_justify="left", header_style="bold")
        table.add_column("slice", overflow="fold")
        for name in ("requests", *map(metric_caption, cells)):
            table.add_column(name, justify="right", no_wrap=True)
        for row, (where, requests) in enumerate(zip(self._slices(), self._requests(), strict=True)):
            values = (column[row] for column in cells.values())
            table.add_row(where, requests, *values, end_section=not self.comparisons[row].slice)
        return table

    def _slices(self) -> list[str]:
        return [slice_caption(each.slice) for each in self.comparisons]

    def _requests(self) -> list[str]:
        return [f"{int(each.challenger['requests']):,}" for each in self.comparisons]


def _fitting(widths: Sequence[int], room: int) -> list[tuple[int, int]]:
    """Split columns of these widths into runs that fit into `room`, at least one column each: start and end of each."""
    starts, left = [0], room
    for index, width in enumerate(widths):
        if left < width + _BORDER and index > starts[-1]:
            starts.append(index)
            left = room
        left -= width + _BORDER
    return list(pairwise([*starts, len(widths)]))


def metrics_table(metrics: Iterable[SliceMetrics]) -> SliceTables:
    """Make the table of each slice's metrics, all requests first, for a console of any width."""
    return SliceTables(compared(metrics))


def metrics_rows(metrics: Iterable[SliceMetrics]) -> list[dict[str, Any]]:
    """Make the rows for `--json`: challenger, champion and change of every metric, with half-widths of 95 % intervals.

    A value or an interval that isn't defined is null.
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
    """Format a change: `+0.012`, `-0.003`, `0.000`; "" for NaN. A minus sign stays even where rounding leaves 0."""
    if math.isnan(change):
        return ""
    return "0.000" if change == 0 else f"{change:+.3f}"


def value_text(value: float) -> str:
    """Format a value with three digits, NaN as a dash."""
    return "-" if math.isnan(value) else f"{value:.3f}"


def margin_text(margin: float) -> str:
    """Format a margin: ` ± 0.012`; "" for NaN."""
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
