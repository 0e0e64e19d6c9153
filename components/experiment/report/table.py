"""Print an experiment's report on the terminal: the decision, the checks and the metrics."""

from rich.console import Console
from rich.table import Table

from components.experiment.report.html_page import figure_text, headline, p_text, percent_text
from components.experiment.report_schema import ExperimentReport
from components.experiment.results import judged_rows

_STYLES = {"ship": "green", "stop": "red", "go on": "yellow", "pass": "green", "fault": "red", "warning": "yellow"}


def print_report(report: ExperimentReport, console: Console) -> None:
    """Print the report."""
    decision = report.decision
    console.print(f"{report.experiment}: {headline(report)}.", style=f"bold {_STYLES[decision.action]}", highlight=False, markup=False)
    for reason in decision.reasons:
        console.print(f"  {reason}", style=_STYLES[decision.action], highlight=False, markup=False)
    console.print(f"  {report.rule}", highlight=False, markup=False)
    console.print()
    for arm in report.arms:
        what = " (control)" if arm.name == report.control != "control" else ""
        text = f"{arm.shoppers:>10,} shoppers  {arm.sessions:>10,} sessions  {arm.lists:>11,} lists  {arm.bots:>6,} bots"
        console.print(f"{arm.name + what:24} {text}", highlight=False, markup=False)
    console.print(f"{report.first_day} to {report.last_day}, {report.days} days. {report.outliers}", highlight=False, markup=False)
    console.print()
    for check in report.checks:
        console.print(f"{check.severity:8} {check.name}: {check.text}", style=_STYLES[check.severity], highlight=False, markup=False)
    console.print()
    console.print(metrics_table(report))
    for name, why in report.left_out.items():
        console.print(f"left out: {name}: {why}", highlight=False, markup=False)


def metrics_table(report: ExperimentReport) -> Table:
    """Tabulate the metrics of all shoppers, bots left out; significant ones stand out."""
    title = f"Metrics with intervals of {report.confidence:.0%}; p corrected over metrics and arms"
    table = Table(title=title, title_justify="left", header_style="bold")
    for name in ("metric", "arm", report.control, "effect", "interval", "relative", "p"):
        table.add_column(name, justify="left" if name in ("metric", "arm") else "right")
    for row in judged_rows(report.results):
        good = (row.effect > 0) == row.higher_is_better
        table.add_row(
            row.metric + ("" if row.role == "secondary" else f" ({row.role})"),
            row.arm,
            figure_text(row.control),
            f"{row.effect:+.4g}",
            f"{row.lower:+.4g} to {row.upper:+.4g}",
            percent_text(row.relative),
            p_text(row.p_adjusted),
            style=("green" if good else "red") if row.significant else None,
        )
    return table
