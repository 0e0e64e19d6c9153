"""Render a drift report as one self-contained HTML page that can be mailed, in the style of the evaluation's page."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from jinja2 import PackageLoader, PrefixLoader
from markupsafe import Markup

from components.drift.decision import Action
from components.drift.report.drift_report import ColumnRow, DriftReport, Span
from components.evaluation.report.charts import WIDTH, Series, curve_chart, pair_chart
from components.evaluation.report.page_environment import page_environment

PLOTTED = 12
"""Columns at most that are plotted; the table has them all."""
_NAMED_DAYS = 8

HEADLINES = {
    Action.NOTHING: "Nothing to do",
    Action.RETRAIN_WARM: "Retrain, from the weights that are there",
    Action.RETRAIN_FULL: "Retrain in full, from the beginning",
    Action.FREEZE: "Freeze: train on none of this, and look at it",
}
MEANINGS = {
    Action.NOTHING: "The window is like the data that the release was made from, as far as it can be told.",
    Action.RETRAIN_WARM: "What shoppers do or see has moved; a few epochs on recent data bring the model along.",
    Action.RETRAIN_FULL: "What shoppers do or see has changed so much that old weights are no good start.",
    Action.FREEZE: "What the model is sent, or what it would learn from, is broken. A model trained on it learns the fault.",
}


@dataclass(frozen=True)
class Figure:
    """A plot with its caption."""

    plot: Markup
    caption: str


def render(report: DriftReport) -> str:
    """Render the page."""
    environment = page_environment(
        PrefixLoader(
            {"drift": PackageLoader("components.drift.report", "."), "evaluation": PackageLoader("components.evaluation.report", ".")}
        )
    )
    environment.filters |= {"percent": percent_text, "figure": figure_text}
    subjects = {reason.subject for reason in report.decision.reasons}
    headline, meaning = HEADLINES[report.decision.action], MEANINGS[report.decision.action]
    if not report.enough:
        headline, meaning = "Too little to judge", "The window has too few requests or shoppers; take a longer one."
    return environment.get_template("drift/drift.html.j2").render(
        report=report,
        headline=headline,
        meaning=meaning,
        refused=report.decision.action is Action.FREEZE,
        figures=[_figure(row) for row in report.columns if row.cells and (row.name in subjects or row.changed)][:PLOTTED],
        per_day=_per_day(report.reference, report.window),
        subjects=subjects,
        quality=sorted(report.quality, key=lambda row: (not row.changed, row.slice != "all requests", -abs(row.window - row.reference))),
    )


def percent_text(share: float) -> str:
    """Format a share: `12.3 %`, a dash where it isn't defined; a line that is continued may lead out of what a share can be."""
    return "-" if not math.isfinite(share) else f"{min(max(share, 0.0), 1.0):.1%}".replace("%", " %")


def figure_text(value: float) -> str:
    """Format a number with three digits, a dash where it isn't defined."""
    return "-" if not math.isfinite(value) else f"{value:.3g}"


def _figure(row: ColumnRow) -> Figure:
    old, new = row.shares
    return Figure(pair_chart(list(zip(row.cells, old, new, strict=True)), title=f"{row.name}: share of each value"), row.name)


def _per_day(reference: Span, window: Span) -> Markup:
    """Draw the requests of each day of both windows; a day that both have stands in both lines."""
    ends = [date.fromisoformat(day) for day, _ in (*reference.by_day, *window.by_day)]
    if not ends:
        return Markup("")
    days = [(min(ends) + timedelta(i)).isoformat() for i in range((max(ends) - min(ends)).days + 1)]
    at = {day: i for i, day in enumerate(days)}
    step = max(1, -(-len(days) // _NAMED_DAYS))
    names = [day[5:] if i % step == 0 else "" for i, day in enumerate(days)]
    series = [Series(css, _points(span, at)) for css, span in (("champion", reference), ("challenger", window)) if span.by_day]
    return curve_chart(series, title="Requests per day", x_names=names, from_zero=True, width=WIDTH)


def _points(span: Span, at: dict[str, int]) -> Sequence[tuple[float, float, float]]:
    return [(float(at[day]), float(requests), math.nan) for day, requests in span.by_day]
