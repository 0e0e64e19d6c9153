"""Draw the return as inline SVG, styled by the page's classes: the same bytes for the same numbers."""

from collections.abc import Callable, Sequence

from markupsafe import Markup, escape

from components.evaluation.report.charts import WIDTH, axis_ticks, svg
from components.experiment.roi.report.sentences import rounded, short_labels
from components.experiment.roi.roi_report import ArmRow, Cumulative
from components.experiment.roi.sensitivity import Swing

_ROW = 26
_LABELS = 300


def short_amount(value: float) -> str:
    """Format an amount for an axis: `1.2M`, `350k`."""
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:g}{unit}"
    return f"{value:g}"


def cumulative_chart(cumulative: Cumulative, *, payback: str | None, currency: str) -> Markup:
    """Draw cumulated margin with its range, cumulated cost, and the day on which they cross."""
    left, right, top, bottom = 60, WIDTH - 16, 12, 262
    y_ticks = axis_ticks(min(0.0, *cumulative.lower), max(*cumulative.upper, *cumulative.cost))
    days = len(cumulative.days)

    def x_at(i: float) -> str:
        return f"{left + (right - left) * i / max(days - 1, 1):.1f}"

    def y_at(value: float) -> str:
        return f"{bottom - (bottom - top) * (value - y_ticks[0]) / (y_ticks[-1] - y_ticks[0]):.1f}"

    parts = []
    for tick in y_ticks:
        css = "zero" if tick == 0 else "grid"
        parts.append(f'<line class="{css}" x1="{left}" x2="{right}" y1="{y_at(tick)}" y2="{y_at(tick)}"/>')
        parts.append(f'<text class="axis" x="{left - 6}" y="{float(y_at(tick)) + 4:.1f}" text-anchor="end">{short_amount(tick)}</text>')
    parts += [
        f'<text class="axis" x="{x_at(i)}" y="{bottom + 18}" text-anchor="middle">{name}</text>'
        for i, name in short_labels(cumulative.days)
    ]
    upper = " ".join(f"{x_at(i)},{y_at(value)}" for i, value in enumerate(cumulative.upper))
    lower = " ".join(f"{x_at(i)},{y_at(value)}" for i, value in reversed(list(enumerate(cumulative.lower))))
    parts.append(f'<polygon class="band" points="{upper} {lower}"/>')
    for css, values in (("line", cumulative.gain), ("line champion", cumulative.cost)):
        path = " ".join(f"{x_at(i)},{y_at(value)}" for i, value in enumerate(values))
        parts.append(f'<polyline class="{css}" points="{path}"/>')
    if payback is not None:
        position = next((i for i, each in enumerate(cumulative.days) if each >= payback), days - 1)
        x, y = x_at(position), y_at(cumulative.cost[position])
        parts.append(f'<circle class="dot" cx="{x}" cy="{y}" r="6"><title>paid back on {payback}</title></circle>')
    return svg(parts, height=bottom + 28, title=f"Additional margin and costs up to each day, {currency}")


def effects_chart(rows: Sequence[ArmRow]) -> Markup:
    """Draw each variant's effect on revenue: as measured (hollow), and corrected with its range; in percent."""
    ends = [100 * end for row in rows for end in (row.effect.lower, row.effect.upper, row.effect.measured)]
    x_ticks = axis_ticks(min(0.0, *ends), max(0.0, *ends))
    at, parts, bottom = _axis(x_ticks, len(rows), lambda tick: f"{tick:g} %")
    for i, row in enumerate(rows):
        y = i * _ROW + _ROW // 2
        value = row.effect
        css = "" if row.shipped_from else " champion"
        name = f"{row.experiment} ({row.arm}){', shipped' if row.shipped_from else ''}"
        parts += [
            _label(name, y),
            f'<line class="whisker{css}" x1="{at(100 * value.lower)}" x2="{at(100 * value.upper)}" y1="{y}" y2="{y}"/>',
            f'<circle class="dot{css}" cx="{at(100 * value.shrunk)}" cy="{y}" r="5"/>',
            f'<circle class="hollow" cx="{at(100 * value.measured)}" cy="{y}" r="4.5"/>',
        ]
    return svg(parts, height=bottom + 24, title="Effect of each variant on revenue per shopper")


def tornado_chart(swings: Sequence[Swing], net: float, *, currency: str) -> Markup:
    """Draw how far each assumption moves the net return, from its value at the assumptions as they are."""
    ends = [end for swing in swings for end in (swing.at_low, swing.at_high)]
    x_ticks = axis_ticks(min(0.0, net, *ends), max(0.0, net, *ends))
    at, parts, bottom = _axis(x_ticks, len(swings), short_amount)
    for i, swing in enumerate(swings):
        y = i * _ROW + _ROW // 2
        parts.append(_label(swing.name, y))
        for end, css, text in ((swing.at_low, "bar champion", swing.low), (swing.at_high, "bar", swing.high)):
            x, width = min(float(at(end)), float(at(net))), abs(float(at(end)) - float(at(net)))
            title = escape(f"{text}: {currency} {rounded(end):,.0f}")
            parts.append(f'<rect class="{css}" x="{x:.1f}" y="{y - 8}" width="{width:.1f}" height="16"><title>{title}</title></rect>')
    parts.append(f'<line class="tick" x1="{at(net)}" x2="{at(net)}" y1="0" y2="{bottom}"/>')
    return svg(parts, height=bottom + 24, title=f"Left after costs when one assumption changes, {currency}")


def _axis(x_ticks: Sequence[float], rows: int, text: Callable[[float], str]) -> tuple[Callable[[float], str], list[str], int]:
    """Return the position of a value on the x axis, the axis' parts, and its height."""
    bottom, scale = rows * _ROW, (WIDTH - _LABELS - 24) / (x_ticks[-1] - x_ticks[0])

    def at(value: float) -> str:
        return f"{_LABELS + (value - x_ticks[0]) * scale:.1f}"

    parts = []
    for tick in x_ticks:
        parts.append(f'<line class="{"zero" if tick == 0 else "grid"}" x1="{at(tick)}" x2="{at(tick)}" y1="0" y2="{bottom}"/>')
        parts.append(f'<text class="axis" x="{at(tick)}" y="{bottom + 16}" text-anchor="middle">{text(tick)}</text>')
    return at, parts, bottom


def _label(text: str, y: int) -> str:
    shown = text if len(text) <= 40 else f"{text[:39]}…"
    return f'<text x="{_LABELS - 10}" y="{y + 4}" text-anchor="end">{escape(shown)}<title>{escape(text)}</title></text>'
