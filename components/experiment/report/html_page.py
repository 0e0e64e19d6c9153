"""Render an experiment's report as one self-contained HTML page, and the index of all reports of a folder."""

from collections.abc import Sequence
from dataclasses import dataclass

from jinja2 import Environment, PackageLoader, PrefixLoader
from markupsafe import Markup
from scipy.stats import norm

from components.evaluation.report.charts import WIDTH, Interval, Series, curve_chart, interval_chart
from components.evaluation.report.page_environment import page_environment
from components.experiment.report_schema import ExperimentReport, MetricResult
from components.experiment.results import judged_rows

HEADLINES = {"ship": "Ship it", "stop": "Stop", "go on": "Go on"}


@dataclass(frozen=True)
class Figure:
    """A plot with its caption."""

    plot: Markup
    caption: str


def render(report: ExperimentReport) -> str:
    """Render the page of one experiment."""
    main = judged_rows(report.results)
    return (
        _environment()
        .get_template("experiment/experiment.html.j2")
        .render(
            report=report,
            headline=headline(report),
            main=main,
            unadjusted=[row for row in report.results if row.segment == "" and row.population == "without bots" and row not in main],
            with_bots=[row for row in report.results if row.population == "all"],
            segments=[row for row in report.results if row.segment and row.role != "guardrail"],
            relative=_relative(main),
            novelty=_novelty(report),
        )
    )


def render_index(reports: Sequence[tuple[str, ExperimentReport]]) -> str:
    """Render the index of reports, each with the address of its page, those that began last first."""
    ordered = sorted(reports, key=lambda pair: (pair[1].first_day, pair[1].experiment), reverse=True)
    rows = [(address, report, headline(report), primary_rows(report)) for address, report in ordered]
    return _environment().get_template("experiment/index.html.j2").render(rows=rows)


def headline(report: ExperimentReport) -> str:
    """Return the decision in a few words."""
    decision = report.decision
    text = HEADLINES[decision.action]
    if decision.action == "ship":
        return f"Ship {decision.arm}"
    return f"{text} until {decision.until}" if decision.until else text


def primary_rows(report: ExperimentReport) -> list[MetricResult]:
    """Return the results that decide."""
    return [row for row in judged_rows(report.results) if row.role == "primary"]


def percent_text(share: float | None) -> str:
    """Format a relative change: `+1.2 %`, a dash where there is none."""
    return "-" if share is None else f"{100 * share:+.2f} %"


def figure_text(value: float | None) -> str:
    """Format a number with four digits, a dash where there is none."""
    return "-" if value is None else f"{value:.4g}"


def p_text(p: float | None) -> str:
    """Format a p value; those below 0.0001 as such."""
    return "-" if p is None else "< 0.0001" if p < 1e-4 else f"{p:.4f}"


def _environment() -> Environment:
    loaders = {name: PackageLoader(f"components.{name}.report", ".") for name in ("experiment", "evaluation")}
    environment = page_environment(PrefixLoader(loaders))
    environment.filters |= {"percent": percent_text, "figure": figure_text, "p": p_text}
    return environment


def _relative(rows: Sequence[MetricResult]) -> Markup:
    """Draw the relative effects that are known to within their own control's mean."""
    arms = {row.arm for row in rows}
    drawn = []
    for row in rows:
        if None not in (row.relative, row.relative_lower, row.relative_upper) and row.role != "guardrail":
            label = row.metric.replace("_", " ") + (f", {row.arm}" if len(arms) > 1 else "")
            margin = ((row.relative_upper or 0.0) - (row.relative_lower or 0.0)) / 2
            if margin <= 1:
                drawn.append(Interval(label, row.relative or 0.0, margin, 0.0))
    return interval_chart(drawn, title="Relative effects with their intervals")


def _novelty(report: ExperimentReport) -> list[Figure]:
    half = float(norm.isf((1 - report.confidence) / 2))
    figures = []
    trends = {(trend.metric, trend.arm): trend for trend in report.trends}
    for metric, arm in dict.fromkeys((day.metric, day.arm) for day in report.novelty):
        points = [(float(d.day), d.effect, half * d.std_error) for d in report.novelty if (d.metric, d.arm) == (metric, arm)]
        trend = trends.get((metric, arm))
        slope = "" if trend is None else f": {trend.slope:+.3g} a day, p {p_text(trend.p)}"
        plot = curve_chart([Series("challenger", points)], title=f"{metric} of {arm} by day", from_zero=True, width=WIDTH)
        figures.append(Figure(plot, f"{metric.replace('_', ' ')}, {arm} minus {report.control}{slope}"))
    return figures
