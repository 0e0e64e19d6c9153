"""Render the return as one self-contained HTML page that can be mailed, in the style of the evaluation's page."""

from jinja2 import PackageLoader, PrefixLoader

from components.evaluation.report.page_environment import page_environment
from components.experiment.roi.report import sentences
from components.experiment.roi.report.charts import cumulative_chart, effects_chart, tornado_chart
from components.experiment.roi.roi_report import RoiReport

PLOTTED = 12
"""Assumptions at most in the plot; the table has them all."""


def render(report: RoiReport, name: str) -> str:
    """Render the page; `name` is the shop's."""
    environment = page_environment(
        PrefixLoader(
            {
                "roi": PackageLoader("components.experiment.roi.report", "."),
                "evaluation": PackageLoader("components.evaluation.report", "."),
            }
        )
    )
    environment.filters |= {
        "money": lambda value: sentences.money(value, report.currency),
        "interval": lambda value: sentences.interval(value, report.currency),
        "percent": sentences.percent,
        "interval_percent": sentences.interval_percent,
        "day": sentences.day,
        "avoided": lambda row: sentences.avoided_sentence(row, report.currency),
    }
    within = report.payback.day is not None and report.payback.within_period
    return environment.get_template("roi/roi.html.j2").render(
        report=report,
        name=name,
        headline=sentences.headline(report),
        summary=sentences.summary(report),
        figures=sentences.figures(report),
        likely=sentences.LIKELY,
        winners=sentences.WINNERS,
        last_day=sentences.last_day(report.until),
        cumulative=cumulative_chart(
            report.cumulative,
            payback=report.payback.day.isoformat() if report.payback.day and within else None,
            currency=report.currency,
        ),
        effects=effects_chart(report.arms),
        tornado=tornado_chart(
            [swing for swing in report.sensitivity if swing.figure == "net return"][:PLOTTED], report.net.shrunk, currency=report.currency
        ),
    )
