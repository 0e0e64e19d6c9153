"""Print the return on the terminal: the outcome, the figures, and the variants."""

from rich.console import Console
from rich.table import Table

from components.experiment.roi.report.sentences import avoided_sentence, figures, headline, interval, money, percent, summary
from components.experiment.roi.roi_report import RoiReport


def print_roi(report: RoiReport, console: Console) -> None:
    """Print the report."""
    style = "green" if report.net.lower > 0 else "red" if report.net.upper < 0 else "yellow"
    console.print(headline(report), style=f"bold {style}", highlight=False, markup=False)
    for line in (*summary(report), *report.cautions):
        console.print(line, highlight=False, markup=False)
    console.print()
    table = Table(header_style="bold")
    for name in ("figure", "value", "range, 95 %"):
        table.add_column(name, justify="left" if name == "figure" else "right")
    for figure in figures(report):
        table.add_row(figure.name, figure.value, figure.interval)
    console.print(table)
    console.print(arms_table(report))
    for row in report.avoided.rows:
        line = f"taken back: version {row.rollback.release}, {row.rollback.day}: {avoided_sentence(row, report.currency)}"
        console.print(line, highlight=False, markup=False)
    for metric, why in report.left_out.items():
        console.print(f"not shown as measured: {metric}; {why}", highlight=False, markup=False)


def arms_table(report: RoiReport) -> Table:
    """Tabulate the variants that were tried."""
    table = Table(title="Change of revenue per shopper", title_justify="left", header_style="bold")
    for name in ("test", "variant", "shipped", "measured", "corrected", "James-Stein", "margin", "range"):
        table.add_column(name, justify="left" if name in ("test", "variant", "shipped") else "right")
    for row in report.arms:
        table.add_row(
            row.experiment,
            row.arm,
            row.shipped_from or "no",
            percent(row.effect.measured, 2),
            percent(row.effect.shrunk, 2),
            "-" if row.james_stein is None else percent(row.james_stein, 2),
            money(row.margin.shrunk, report.currency) if row.margin else "-",
            interval(row.margin, report.currency) if row.margin else "-",
        )
    return table
