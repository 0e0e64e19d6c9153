"""Print a drift report on the terminal: the decision, the reasons, and the columns that changed most."""

from rich.console import Console
from rich.table import Table

from components.drift.decision import Action
from components.drift.report.drift_report import DriftReport
from components.drift.report.html_page import HEADLINES, figure_text, percent_text

SHOWN = 10

_STYLES = {Action.NOTHING: "green", Action.RETRAIN_WARM: "yellow", Action.RETRAIN_FULL: "yellow", Action.FREEZE: "red"}


def print_drift(report: DriftReport, console: Console) -> None:
    """Print the report."""
    action = report.decision.action
    headline = HEADLINES[action] if report.enough else "Too little to judge: take a longer window"
    console.print(f"{headline}.", style=f"bold {_STYLES[action]}", highlight=False)
    for reason in report.decision.reasons:
        console.print(f"  {reason.kind} ({reason.action}): {reason.text}", style=_STYLES[reason.action], highlight=False, markup=False)
    console.print()
    console.print(f"reference  {report.release}: {_window(report.reference.start, report.reference.end, report.reference.requests)}")
    console.print(f"window     {_window(report.window.start, report.window.end, report.window.requests)}")
    for each in report.windows if len(report.windows) > 1 else ():
        judged = each.action if each.enough else "too little to judge"
        console.print(f"judged     from {each.start[:16]}, {each.requests:,} requests: {judged}", highlight=False)
    console.print()
    console.print(columns_table(report))
    for name, count in report.counts.items():
        console.print(f"{name:44} {count:>12,}", highlight=False)
    for name, why in report.left_out.items():
        console.print(f"not compared: {name}: {why}", highlight=False, markup=False)


def columns_table(report: DriftReport) -> Table:
    """Tabulate the columns that changed most."""
    table = Table(title="Columns, most changed first", title_justify="left", header_style="bold")
    for name in ("column", "changed", "p", "effect", "missing", "new values", "median"):
        table.add_column(name, justify="left" if name in ("column", "changed") else "right")
    for row in report.columns[:SHOWN]:
        table.add_row(
            row.name,
            ", ".join(row.changed) or "-",
            figure_text(row.p),
            figure_text(row.effect),
            " > ".join(map(percent_text, row.missing)),
            "-" if row.unseen is None else percent_text(row.unseen),
            "-" if row.median is None else " > ".join(map(figure_text, row.median)),
        )
    return table


def _window(start: str, end: str, requests: int) -> str:
    return f"{start[:16]} to {end[:16]} UTC, {requests:,} requests" if start else "no requests"
