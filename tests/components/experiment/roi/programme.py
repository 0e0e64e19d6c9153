"""A small programme that is easily worked by hand, and its price file."""

from datetime import date

from benchmarks.roi.programmes import report
from components.experiment.report_schema import ExperimentReport
from components.experiment.roi.price_file import PriceFile, parse_price_file
from components.experiment.roi.programme import MARGIN, REVENUE

PRICES = """
currency: EUR
from: 2026-01-01
until: 2026-04-11
prices:
  core_hour: {value: 0.05, source: "price list <of> March"}
  gpu_hour: 1
  gb_month: 0.02
  person_hour: 80
people: {hours_once: 100, hours_a_month: 10}
serving: {replicas: 2, cores: 3, gpus: 0.5}
"""


def price_file(extra: str = "") -> PriceFile:
    """100 days from 1 January 2026."""
    return parse_price_file(PRICES + extra)


def shop(name: str, first_day: str = "2026-01-01", *, effect: float = 0.05, shipped: bool = True, margin: bool = True) -> ExperimentReport:
    """28,000 shoppers over 14 days, so 2,000 a day; a shopper spends 12 EUR, of which 4 EUR are margin."""
    effects = {REVENUE: (effect, 0.01)} | ({MARGIN: (effect, 0.01)} if margin else {})
    return report(name, effects, first_day=date.fromisoformat(first_day), shoppers=28_000, shipped=shipped)


REPORTS = (shop("one"), shop("two", "2026-01-20", effect=0.03), shop("three", "2026-02-10", effect=-0.01, shipped=False))
