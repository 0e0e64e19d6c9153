"""Say what the return is in plain sentences, for readers who know neither statistics nor ranking."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from components.experiment.roi.avoided_losses import AvoidedLoss
from components.experiment.roi.gains import Estimate
from components.experiment.roi.holdout import HoldoutCheck
from components.experiment.roi.payback import Payback
from components.experiment.roi.roi_report import RoiReport

LIKELY = "A range such as “1,000 to 2,000” is where the true figure most likely lies: of a hundred such ranges about 95 hold the truth."
WINNERS = (
    "Each test has some luck in it. What gets shipped is what looked best, and what looked best was partly lucky, so the measured"
    " effects of shipped improvements add up to too much. The corrected figures take that luck out: how much to take is learned from how"
    " effects vary over all tests, also those that led to nothing."
)


@dataclass(frozen=True, kw_only=True)
class Figure:
    """A figure of the summary: its name, value, range ("" without one), and what it means."""

    name: str
    value: str
    interval: str
    meaning: str


def headline(report: RoiReport) -> str:
    """Return the outcome in one sentence."""
    if not any(row.shipped_from for row in report.arms):
        return f"Nothing was shipped, so nothing was earned; it cost {money(report.cost, report.currency)}."
    low, high = report.net.lower, report.net.upper
    if low > 0:
        return f"It paid: about {money(report.net.shrunk, report.currency)} are left after all costs."
    if high < 0:
        return f"It hasn't paid so far: {money(-report.net.shrunk, report.currency)} more were spent than earned."
    outcome = "more was probably earned than spent" if report.net.shrunk > 0 else "more was probably spent than earned"
    return f"Not certain yet: {outcome}, but the range holds both."


def summary(report: RoiReport) -> list[str]:
    """Return the paragraphs below the headline."""
    currency, margin = report.currency, report.margin
    shipped = sum(row.shipped_from is not None for row in report.arms)
    experiments = len({row.experiment for row in report.arms})
    lines = [
        f"From {day(report.start)} to {last_day(report.until)} {count(experiments, 'test')} of improvements to the order of products ended,"
        f" and {count(shipped, 'improvement')} {'was' if shipped == 1 else 'were'} given to all shoppers."
    ]
    if shipped:
        lines.append(
            f"They brought about {money(margin.shrunk, currency)} of additional margin ({interval(margin, currency)}),"
            f" and everything together cost {money(report.cost, currency)}."
        )
        lines.append(payback_sentence(report.payback, report.until))
        if margin.measured > 0:
            lines.append(
                f"Simply adding up what the tests measured would have given {money(margin.measured, currency)};"
                f" {percent(max(0.0, 1 - margin.shrunk / margin.measured))} of that was luck, most likely, and isn't counted."
            )
    if report.holdout is not None:
        lines.append(holdout_sentence(report.holdout, report.currency))
    return lines


def figures(report: RoiReport) -> list[Figure]:
    """Return the summary's figures."""
    currency = report.currency
    rows = [
        Figure(
            name="Additional revenue",
            value=money(report.revenue.shrunk, currency),
            interval=interval(report.revenue, currency),
            meaning="What shoppers spent more than they would have with the order of products as it was.",
        ),
        Figure(
            name="Additional margin",
            value=money(report.margin.shrunk, currency),
            interval=interval(report.margin, currency),
            meaning=f"What is left of revenue once the goods are paid: {report.margin_source}.",
        ),
    ]
    if report.basket is not None and report.basket_control is not None:
        value, base = report.basket, report.basket_control
        rows.append(
            Figure(
                name="Basket",
                value=f"{value.shrunk:+.3f} pieces",
                interval=f"{value.lower:+.3f} to {value.upper:+.3f}",
                meaning=f"Pieces more in an order, of about {base:.2f}, with the improvements in force on the last day.",
            )
        )
    if report.retention is not None and report.retention_control is not None:
        value, base = report.retention, report.retention_control
        rows.append(
            Figure(
                name="Shoppers who return",
                value=f"{100 * value.shrunk:+.2f} points",
                interval=f"{100 * value.lower:+.2f} to {100 * value.upper:+.2f}",
                meaning=f"Of a hundred shoppers so many more come back within a week; about {100 * base:.1f} of a hundred did.",
            )
        )
    rows += [
        Figure(name="Costs", value=money(report.cost, currency), interval="", meaning="Training, serving, storage and people."),
        Figure(
            name="Left after costs",
            value=money(report.net.shrunk, currency),
            interval=interval(report.net, currency),
            meaning="Additional margin less costs."
            + (f" Each {currency} spent brought {report.per_unit.shrunk:.2f} back." if report.per_unit else ""),
        ),
        Figure(
            name="Paid back",
            value=payback_day(report.payback, report.until),
            interval=_payback_interval(report.payback),
            meaning="The day on which the margin has paid all costs up to then.",
        ),
    ]
    if report.avoided.rows:
        rows.append(
            Figure(
                name="Losses avoided",
                value=money(report.avoided.total.shrunk, currency),
                interval=interval(report.avoided.total, currency),
                meaning="What new versions that were taken back at once would have cost. Not a part of what is left after costs.",
            )
        )
    return rows


def payback_sentence(value: Payback, until: str) -> str:
    """Return when the costs are paid."""
    if value.day is None:
        return (
            f"At today's pace the costs are not paid back within ten years; the chance that they are paid by now is {chance(value.paid)}."
        )
    if value.within_period:
        return (
            f"The costs were paid back on {day(value.day.isoformat())}; the chance that they really are paid by {last_day(until)}"
            f" is {chance(value.paid)}."
        )
    return (
        f"The costs aren't paid back yet; at the pace of the last day they will be on {day(value.day.isoformat())}."
        f" The chance that they are paid already is {chance(value.paid)}."
    )


def payback_day(value: Payback, until: str) -> str:
    """Return the day as a short text."""
    if value.day is None:
        return "not in sight"
    return day(value.day.isoformat()) if value.within_period else f"{day(value.day.isoformat())} (forecast)"


def holdout_sentence(check: HoldoutCheck, currency: str) -> str:
    """Return whether the holdout agrees."""
    measured, predicted = check.measured, check.predicted
    text = (
        f"A group of shoppers who never got any improvement ({check.name}) is the independent check: from {day(check.first_day)} to"
        f" {day(check.last_day)} everybody else spent {money(measured.shrunk, currency, sign=True)} a shopper compared with them"
        f" ({interval(measured, currency)}); the tests let expect {money(predicted.shrunk, currency, sign=True)}"
        f" ({interval(predicted, currency)})."
    )
    if check.consistent:
        return f"{text} The two agree, within their ranges."
    less = "less" if check.difference.shrunk < 0 else "more"
    return (
        f"{text} The two do not agree: the check shows {less} than the tests let expect. Trust the smaller figure until the cause is"
        " known: effects that wear off, improvements that don't add up, or a faulty split of shoppers."
    )


def avoided_sentence(row: AvoidedLoss, currency: str) -> str:
    """Return what a rollback avoided."""
    if row.loss is None or row.amount is None:
        return "not valued: the journal has no clicks of it, as it was taken back before any could be counted"
    if row.loss.shrunk >= 0:
        return f"it lost {percent(row.loss.shrunk)} of clicks ({interval_percent(row.loss)}): {money(row.amount.shrunk, currency)}"
    return f"it had {percent(-row.loss.shrunk)} more clicks, and was taken back for another reason: {money(row.amount.shrunk, currency)}"


def rounded(value: float) -> float:
    """Round to three significant digits; the rest is noise."""
    return round(value, 2 - math.floor(math.log10(abs(value)))) if value else 0.0


def money(value: float, currency: str, *, sign: bool = False) -> str:
    """Format an amount with three digits that count: `EUR 12,300`."""
    near = rounded(value)
    digits = 0 if abs(near) >= 100 or abs(near) < 5e-5 else 2 if abs(near) >= 0.1 else 4
    mark = "-" if near <= -5e-5 else "+" if sign else ""
    return f"{mark}{currency} {abs(near):,.{digits}f}"


def interval(value: Estimate, currency: str) -> str:
    """Format a range of money."""
    return f"{money(value.lower, currency)} to {money(value.upper, currency)}"


def interval_percent(value: Estimate) -> str:
    """Format a range of shares."""
    return f"{percent(value.lower)} to {percent(value.upper)}"


def percent(value: float, digits: int = 1) -> str:
    """Format a share: `1.2 %`."""
    return f"{100 * value:.{digits}f} %"


def chance(value: float) -> str:
    """Format a probability without false certainty."""
    return "over 99 %" if value > 0.99 else "under 1 %" if value < 0.01 else f"{100 * value:.0f} %"


def count(number: int, noun: str) -> str:
    """Format a number with its noun."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def day(text: str) -> str:
    """Format a day: `3 November 2026`."""
    value = date.fromisoformat(text)
    return f"{value.day} {value:%B} {value.year}"


def last_day(until: str) -> str:
    """Format the last day of a period that ends before `until`."""
    return day((date.fromisoformat(until) - timedelta(1)).isoformat())


def short_labels(days: Sequence[str], most: int = 6) -> list[tuple[int, str]]:
    """Return positions and short names of some days, for an axis."""
    step = max(1, math.ceil(len(days) / most))
    return [(i, f"{date.fromisoformat(days[i]):%d %b %y}") for i in range(0, len(days), step)]


def _payback_interval(value: Payback) -> str:
    if value.early is None:
        return ""
    return f"{day(value.early.isoformat())} to {'never' if value.late is None else day(value.late.isoformat())}"
