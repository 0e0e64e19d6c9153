"""Write the return as a PDF: the page's sentences, plots and tables, for whoever wants paper."""

import io
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.backends.backend_pdf import FigureCanvasPdf, PdfPages
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from components.contract.storage.atomic_files import write_whole
from components.experiment.roi.report import sentences
from components.experiment.roi.report.charts import short_amount
from components.experiment.roi.roi_report import RoiReport
from components.experiment.roi.sensitivity import Swing

INK, SOFT, BAR, OTHER = "#1d2329", "#66717d", "#2f6fae", "#9a8f7d"
_A4 = (8.27, 11.69)
_LEFT, _RIGHT = 0.08, 0.94
_LINE = 0.0155  # of the page's height
_PLOTTED = 14


def write_pdf(report: RoiReport, name: str, file: Path) -> None:
    """Write the PDF; the same report gives the same bytes. `name` is the shop's."""
    content = io.BytesIO()
    metadata = {"Title": f"{name}: what better ranking returned", "Creator": "ShelfRank", "Producer": "ShelfRank", "CreationDate": None}
    with PdfPages(content, metadata=metadata) as pages:
        for figure in (_summary(report, name), _tests(report), _costs(report), *_assumptions(report)):
            FigureCanvasPdf(figure)
            pages.savefig(figure)
    file.parent.mkdir(parents=True, exist_ok=True)
    write_whole(file, content.getvalue())


class _Page:
    """A page of text that is written from the top down."""

    def __init__(self) -> None:
        self.figure = Figure(figsize=_A4)
        self.y = 0.95

    def text(self, text: str, *, size: float = 9.5, weight: str = "normal", color: str = INK, space: float = 0.4) -> None:
        width = int((82 if weight == "bold" else 98) * 9.5 / size)
        for line in textwrap.wrap(_printable(text), width):
            self.figure.text(_LEFT, self.y, line, size=size, weight=weight, color=color, va="top", parse_math=False)
            self.y -= _LINE * size / 9.5
        self.y -= _LINE * space

    def axes(self, height: float, *, left: float = 0.14) -> Any:
        self.y -= 0.012
        axes = self.figure.add_axes((left, self.y - height, _RIGHT - left, height))
        self.y -= height + 0.045
        axes.spines[["top", "right"]].set_visible(False)
        axes.tick_params(labelsize=8, colors=SOFT)
        return axes

    def row(self, cells: Sequence[str], columns: Sequence[float], widths: Sequence[int], *, weight: str = "normal") -> None:
        """Write cells beside each other, each from its column on; of a negative width: up to its column."""
        lines = [textwrap.wrap(_printable(cell), abs(width)) or [""] for cell, width in zip(cells, widths, strict=True)]
        for cell, column, width in zip(lines, columns, widths, strict=True):
            for i, line in enumerate(cell):
                side = "right" if width < 0 else "left"
                y = self.y - i * _LINE * 0.84
                self.figure.text(column, y, line, size=8, weight=weight, color=INK, va="top", ha=side, parse_math=False)
        self.y -= _LINE * (0.84 * max(map(len, lines)) + 0.3)


def _summary(report: RoiReport, name: str) -> Figure:
    page = _Page()
    page.text(f"{name}: what better ranking returned", size=17, weight="bold")
    period = f"{sentences.day(report.start)} to {sentences.last_day(report.until)}; all amounts in {report.currency}"
    page.text(period, color=SOFT, space=1.2)
    page.text(sentences.headline(report), size=13, weight="bold")
    for line in sentences.summary(report):
        page.text(line)
    for line in report.cautions:
        page.text(f"The test itself reports a fault. {line}", weight="bold")
    page.text(sentences.LIKELY, color=SOFT)
    for figure in sentences.figures(report):
        page.row((figure.name, figure.value, figure.interval), (_LEFT, 0.56, _RIGHT), (30, -34, -46), weight="bold")
        page.y += _LINE * 0.2
        page.row((figure.meaning,), (_LEFT,), (115,))
    page.text("Earned and spent, day by day", size=11, weight="bold", space=0.2)
    _plot_cumulative(page.axes(max(0.14, min(0.26, page.y - 0.1))), report)
    return page.figure


def _plot_cumulative(axes: Any, report: RoiReport) -> None:
    series = report.cumulative
    days = range(len(series.days))
    axes.fill_between(days, series.lower, series.upper, color=BAR, alpha=0.18, linewidth=0, label="where it likely lies")
    axes.plot(days, series.gain, color=BAR, label="additional margin up to each day")
    axes.plot(days, series.cost, color=OTHER, linestyle="--", label="costs up to each day")
    labels = sentences.short_labels(series.days)
    axes.set_xticks([i for i, _ in labels], [label for _, label in labels])
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: short_amount(value)))
    axes.set_ylabel(report.currency, size=8, color=SOFT)
    axes.axhline(0, color=SOFT, linewidth=0.6)
    axes.legend(fontsize=8, frameon=False, loc="upper left")


def _tests(report: RoiReport) -> Figure:
    page = _Page()
    page.text("What was tried, and what it brought", size=13, weight="bold")
    page.text(
        "A test shows the new order of products to some shoppers, drawn by lot, and the old one to the others."
        f" The difference in what they spend is the effect. {sentences.WINNERS}"
    )
    rows = report.arms[::-1]
    axes = page.axes(min(0.35, 0.04 + 0.024 * len(rows)), left=0.34)
    for i, row in enumerate(rows):
        color = BAR if row.shipped_from else OTHER
        axes.plot([100 * row.effect.lower, 100 * row.effect.upper], [i, i], color=color, alpha=0.6)
        axes.plot(100 * row.effect.shrunk, i, "o", color=color, markersize=5)
        axes.plot(100 * row.effect.measured, i, "o", markerfacecolor="white", markeredgecolor=INK, markersize=5)
    axes.set_yticks(range(len(rows)), [f"{row.experiment} ({row.arm})"[:38] for row in rows], parse_math=False)
    axes.axvline(0, color=SOFT, linewidth=0.6)
    axes.set_xlabel("change of revenue per shopper, %; hollow: measured; filled: corrected; blue: shipped", size=8, color=SOFT)
    columns, widths = (_LEFT, 0.34, 0.50, 0.60, 0.74, _RIGHT), (34, 14, -10, -10, -18, -28)
    page.row(("test", "shipped", "measured", "corrected", "margin", "range"), columns, widths, weight="bold")
    for row in report.arms:
        page.row(
            (
                f"{row.experiment} ({row.arm})",
                row.shipped_from or "no",
                sentences.percent(row.effect.measured, 2),
                sentences.percent(row.effect.shrunk, 2),
                sentences.money(row.margin.shrunk, report.currency) if row.margin else "-",
                sentences.interval(row.margin, report.currency) if row.margin else "-",
            ),
            columns,
            widths,
        )
    page.y -= _LINE
    page.text("The independent check", size=13, weight="bold")
    page.text(
        sentences.holdout_sentence(report.holdout, report.currency)
        if report.holdout
        else "There is none: no group of shoppers was kept without all improvements. A holdout of 5 % of the shoppers would be one."
    )
    return page.figure


def _costs(report: RoiReport) -> Figure:
    page = _Page()
    page.text("What it cost", size=13, weight="bold")
    columns, widths = (_LEFT, 0.24, 0.62, 0.76, _RIGHT), (18, 30, -24, -14, -18)
    page.row(("for", "what", "amount used", "price each", "cost"), columns, widths, weight="bold")
    for item in report.costs:
        if item.amount or item.price:
            quantity, price = f"{item.quantity:,.1f} {item.unit}", f"{item.price:,.4g}"
            page.row(
                (item.group, item.name + (", once" if item.once else ""), quantity, price, sentences.money(item.amount, report.currency)),
                columns,
                widths,
            )
    page.row(("all", "", "", "", sentences.money(report.cost, report.currency)), columns, widths, weight="bold")
    page.y -= _LINE
    page.text("Losses avoided", size=13, weight="bold")
    page.text("What versions that were taken back would have cost; not a part of what is left after costs.", color=SOFT)
    for loss in report.avoided.rows:
        page.text(f"Version {loss.rollback.release}, {loss.rollback.day}: {sentences.avoided_sentence(loss, report.currency)}.")
    if not report.avoided.rows:
        page.text("No version was taken back in this period, as far as the guard's journal says.")
    page.text("What if an assumption is wrong?", size=13, weight="bold")
    page.text("Each bar is what would be left after costs if that one assumption were different; the upright line is the figure itself.")
    swings = [swing for swing in report.sensitivity if swing.figure == "net return"][:_PLOTTED][::-1]
    _plot_tornado(page.axes(min(0.4, page.y - 0.12), left=0.46), swings, report)
    return page.figure


def _plot_tornado(axes: Any, swings: Sequence[Swing], report: RoiReport) -> None:
    net = report.net.shrunk
    at = np.arange(len(swings))
    axes.barh(at, [swing.at_low - net for swing in swings], left=net, color=OTHER, height=0.6, label="at the lower value")
    axes.barh(at, [swing.at_high - net for swing in swings], left=net, color=BAR, height=0.6, label="at the higher value")
    labels = ["\n".join(textwrap.wrap(swing.name, 44)[:2]) for swing in swings]
    axes.set_yticks(at, labels, size=7, parse_math=False)
    axes.axvline(net, color=INK, linewidth=1)
    axes.axvline(0, color=SOFT, linewidth=0.6)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: short_amount(value)))
    axes.set_xlabel(f"left after costs, {report.currency}", size=8, color=SOFT)
    axes.legend(fontsize=7, frameon=False, loc="lower right")


def _assumptions(report: RoiReport) -> list[Figure]:
    """Return as many pages as the assumptions and the table of what they move take."""
    pages = [_Page()]
    pages[0].text("Every assumption, with its source", size=13, weight="bold")
    columns, widths = (_LEFT, 0.37, 0.70), (38, 42, 30)
    pages[0].row(("assumption", "value", "source"), columns, widths, weight="bold")
    for each in report.assumptions:
        _room(pages).row((each.name, each.value, each.source), columns, widths)
    page = _room(pages, needed=0.2)
    page.y -= _LINE
    page.text("What is left after costs when one of them changes", size=13, weight="bold")
    stops, sizes = (_LEFT, 0.46, 0.62, 0.85, _RIGHT + 0.02), (50, 20, 18, -16, -16)
    page.row(("assumption", "lower", "higher", "at the lower", "at the higher"), stops, sizes, weight="bold")
    for swing in report.sensitivity:
        name = swing.name if swing.figure == "net return" else f"{swing.name} (moves {swing.figure} only)"
        low, high = (sentences.money(value, report.currency) for value in (swing.at_low, swing.at_high))
        _room(pages).row((name, swing.low, swing.high, low, high), stops, sizes)
    return [page.figure for page in pages]


def _room(pages: list[_Page], *, needed: float = 0.08) -> _Page:
    """Return the last page, or a new one where it is full."""
    if pages[-1].y < needed:
        pages.append(_Page())
    return pages[-1]


def _printable(text: str) -> str:
    """Replace what the PDF's font lacks by a question mark."""
    return "".join(char if char.isprintable() and ord(char) < 0x2600 else "?" for char in text)
