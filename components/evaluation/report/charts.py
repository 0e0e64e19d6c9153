"""Draw small charts as inline SVG: no script, styled by the page's classes, the same bytes for the same numbers."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

WIDTH = 720
HALF = WIDTH // 2 - 10
_ROW_HEIGHT = 24
_BAR_HEIGHT = 20
_LABEL_WIDTH = 190
_VALUE_WIDTH = 60


@dataclass(frozen=True, slots=True)
class Interval:
    """A value with its margin, and a reference to compare it with; NaN is not drawn."""

    label: str
    value: float
    margin: float
    reference: float


@dataclass(frozen=True, slots=True)
class Series:
    """Points (x, y, margin) under a class of the page's style; a margin that is NaN is not drawn."""

    css: str
    points: Sequence[tuple[float, float, float]]


def interval_chart(intervals: Sequence[Interval], *, title: str) -> Markup:
    """Draw a dot with its interval on each row, and a tick at its reference."""
    ends = [end for each in intervals for end in (each.value, each.value - each.margin, each.value + each.margin, each.reference)]
    known = [end for end in ends if math.isfinite(end)]
    if not known:
        return Markup("")
    ticks = axis_ticks(min(known), max(known))
    scale = (WIDTH - _LABEL_WIDTH - _VALUE_WIDTH - 16) / (ticks[-1] - ticks[0])
    bottom = len(intervals) * _ROW_HEIGHT

    def at(value: float) -> str:
        return f"{_LABEL_WIDTH + 8 + (value - ticks[0]) * scale:.1f}"

    parts = []
    for tick in ticks:
        parts.append(f'<line class="grid" x1="{at(tick)}" x2="{at(tick)}" y1="0" y2="{bottom}"/>')
        parts.append(f'<text class="axis" x="{at(tick)}" y="{bottom + 16}" text-anchor="middle">{tick:g}</text>')
    for i, each in enumerate(intervals):
        y = i * _ROW_HEIGHT + _ROW_HEIGHT // 2
        parts.append(f'<text x="{_LABEL_WIDTH - 8}" y="{y + 4}" text-anchor="end">{escape(_shortened(each.label))}</text>')
        if math.isfinite(each.value):
            if math.isfinite(each.margin):
                low, high = at(each.value - each.margin), at(each.value + each.margin)
                parts.append(f'<line class="whisker" x1="{low}" x2="{high}" y1="{y}" y2="{y}"/>')
            parts.append(f'<circle class="dot" cx="{at(each.value)}" cy="{y}" r="4"/>')
            parts.append(f'<text class="value" x="{WIDTH - 4}" y="{y + 4}" text-anchor="end">{each.value:.3f}</text>')
        if math.isfinite(each.reference):
            x = at(each.reference)
            parts.append(f'<line class="tick" x1="{x}" x2="{x}" y1="{y - 8}" y2="{y + 8}"/>')
    return svg(parts, height=bottom + 22, title=title)


def bar_chart(bars: Sequence[Interval], *, title: str, width: int = HALF) -> Markup:
    """Draw a bar from 0 to each value with its interval, one on each row; the reference isn't drawn."""
    drawn = [each for each in bars if math.isfinite(each.value)]
    ends = [end for each in drawn for end in (each.value, each.value - each.margin, each.value + each.margin) if math.isfinite(end)]
    if not ends:
        return Markup("")
    ticks = axis_ticks(min(0.0, *ends), max(0.0, *ends))
    left, bottom = _LABEL_WIDTH * width // WIDTH + 40, len(drawn) * _BAR_HEIGHT
    scale = (width - left - 16) / (ticks[-1] - ticks[0])

    def at(value: float) -> float:
        return round(left + (value - ticks[0]) * scale, 1)

    parts = []
    for tick in ticks:
        parts.append(f'<line class="grid" x1="{at(tick)}" x2="{at(tick)}" y1="0" y2="{bottom}"/>')
        parts.append(f'<text class="axis" x="{at(tick)}" y="{bottom + 16}" text-anchor="middle">{tick:g}</text>')
    for i, each in enumerate(drawn):
        y, x = i * _BAR_HEIGHT, min(at(0.0), at(each.value))
        parts.append(f'<text x="{left - 8}" y="{y + 14}" text-anchor="end">{escape(_shortened(each.label, 18))}</text>')
        parts.append(f'<rect class="bar" x="{x}" y="{y + 4}" width="{abs(at(each.value) - at(0.0)):.1f}" height="{_BAR_HEIGHT - 8}"/>')
        if math.isfinite(each.margin):
            low, high, middle = at(each.value - each.margin), at(each.value + each.margin), y + _BAR_HEIGHT // 2
            parts.append(f'<line class="error" x1="{low}" x2="{high}" y1="{middle}" y2="{middle}"/>')
    parts.append(f'<line class="zero" x1="{at(0.0)}" x2="{at(0.0)}" y1="0" y2="{bottom}"/>')
    return svg(parts, height=bottom + 22, title=title, width=width)


def pair_chart(rows: Sequence[tuple[str, float, float]], *, title: str, width: int = HALF) -> Markup:
    """Draw two bars from 0 on each row, (label, first, second): the first in the champion's colour, the second in the challenger's."""
    ends = [value for _, *values in rows for value in values if math.isfinite(value)]
    if not ends:
        return Markup("")
    ticks = axis_ticks(0.0, max(ends))
    left, bottom = _LABEL_WIDTH * width // WIDTH + 40, len(rows) * _ROW_HEIGHT
    scale = (width - left - 16) / ticks[-1]
    parts = []
    for tick in ticks:
        x = f"{left + tick * scale:.1f}"
        parts.append(f'<line class="grid" x1="{x}" x2="{x}" y1="0" y2="{bottom}"/>')
        parts.append(f'<text class="axis" x="{x}" y="{bottom + 16}" text-anchor="middle">{tick:g}</text>')
    for i, (label, *values) in enumerate(rows):
        y = i * _ROW_HEIGHT
        parts.append(f'<text x="{left - 8}" y="{y + 16}" text-anchor="end">{escape(_shortened(label, 18))}</text>')
        for css, value, top in zip(("champion", "challenger"), values, (3, 12), strict=True):
            parts.append(f'<rect class="bar {css}" x="{left}" y="{y + top}" width="{value * scale:.1f}" height="8"/>')
    return svg(parts, height=bottom + 22, title=title, width=width)


def curve_chart(
    series: Sequence[Series],
    *,
    title: str,
    x_names: Sequence[str] | None = None,
    diagonal: bool = False,
    from_zero: bool = False,
    height: int = 220,
    width: int = HALF,
) -> Markup:
    """Draw lines through points with margins. The x axis has numbers, or names at 0, 1, ...; `diagonal` is y = x.

    With `from_zero` the y axis begins at 0 at the latest.
    """
    points = [point for each in series for point in each.points if math.isfinite(point[1])]
    if not points:
        return Markup("")
    ends = [y + side * margin for _, y, margin in points for side in (-1, 1) if math.isfinite(margin)] + [y for _, y, _ in points]
    xs = [x for x, _, _ in points]
    if from_zero:
        ends.append(0.0)
    if diagonal:
        ends = xs = [0.0, *ends, *xs]
    y_ticks = axis_ticks(min(ends), max(ends))
    x_ticks = [float(i) for i in range(len(x_names))] if x_names else axis_ticks(min(xs), max(xs))
    left, right, top, bottom = 46, width - 14, 10, height - 26
    room = 0.4 if x_names else 0.0
    x_low, x_high = x_ticks[0] - room, x_ticks[-1] + room

    def x_at(x: float) -> str:
        return f"{left + (right - left) * (x - x_low) / ((x_high - x_low) or 1.0):.1f}"

    def y_at(y: float) -> str:
        return f"{bottom - (bottom - top) * (y - y_ticks[0]) / (y_ticks[-1] - y_ticks[0]):.1f}"

    parts = []
    for tick in y_ticks:
        parts.append(f'<line class="grid" x1="{left}" x2="{right}" y1="{y_at(tick)}" y2="{y_at(tick)}"/>')
        parts.append(f'<text class="axis" x="{left - 6}" y="{float(y_at(tick)) + 4:.1f}" text-anchor="end">{tick:g}</text>')
    for i, tick in enumerate(x_ticks):
        name = x_names[i] if x_names else f"{tick:g}"
        parts.append(f'<text class="axis" x="{x_at(tick)}" y="{height - 8}" text-anchor="middle">{escape(name)}</text>')
    if diagonal:
        end = min(x_ticks[-1], y_ticks[-1])
        parts.append(f'<line class="diagonal" x1="{x_at(0)}" y1="{y_at(0)}" x2="{x_at(end)}" y2="{y_at(end)}"/>')
    for each in series:
        drawn = [(x, y, margin) for x, y, margin in each.points if math.isfinite(y)]
        path = " ".join(f"{x_at(x)},{y_at(y)}" for x, y, _ in drawn)
        parts.append(f'<polyline class="line {each.css}" points="{path}"/>')
        for x, y, margin in drawn:
            if math.isfinite(margin):
                parts.append(
                    f'<line class="whisker {each.css}" x1="{x_at(x)}" x2="{x_at(x)}" y1="{y_at(y - margin)}" y2="{y_at(y + margin)}"/>'
                )
            parts.append(f'<circle class="dot {each.css}" cx="{x_at(x)}" cy="{y_at(y)}" r="3"/>')
    return svg(parts, height=height, title=title, width=width)


def histogram(groups: Sequence[tuple[str, Sequence[float]]], *, top: float, title: str, height: int = 220, width: int = HALF) -> Markup:
    """Draw the shares of each group (CSS class, counts) over equal bins from 0 to `top`, one over another."""
    shares = [(css, [count / sum(counts) for count in counts]) for css, counts in groups if sum(counts)]
    if not shares:
        return Markup("")
    left, right, top_y, bottom = 14, width - 14, 10, height - 26
    highest = max(max(each) for _, each in shares)
    parts = [f'<line class="grid" x1="{left}" x2="{right}" y1="{bottom}" y2="{bottom}"/>']
    for css, each in shares:
        step = (right - left) / len(each)
        outline = [f"{left},{bottom}"]
        for i, share in enumerate(each):
            y = bottom - (bottom - top_y) * share / highest
            outline += [f"{left + i * step:.1f},{y:.1f}", f"{left + (i + 1) * step:.1f},{y:.1f}"]
        parts.append(f'<polygon class="area {css}" points="{" ".join([*outline, f"{right},{bottom}"])}"/>')
    for tick in axis_ticks(0.0, top):
        if tick <= top:
            x = left + (right - left) * tick / top
            parts.append(f'<text class="axis" x="{x:.1f}" y="{height - 8}" text-anchor="middle">{tick:g}</text>')
    return svg(parts, height=height, title=title, width=width)


def axis_ticks(low: float, high: float) -> list[float]:
    """Choose four to eight round numbers whose ends enclose the range."""
    span = (high - low) or abs(high) or 1.0
    step = 10.0 ** math.floor(math.log10(span / 4))
    step *= next(factor for factor in (1, 2, 5, 10) if span / (step * factor) <= 6)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(i * step, 10) for i in range(first, max(last, first + 1) + 1)]


def svg(parts: Sequence[str], *, height: int, title: str, width: int = WIDTH) -> Markup:
    """Return the drawing of some parts, with a title for who doesn't see it."""
    body = "".join(parts)
    return Markup(f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="{escape(title)}"><title>{escape(title)}</title>{body}</svg>')


def _shortened(label: str, longest: int = 26) -> str:
    return label if len(label) <= longest else label[: longest - 1] + "…"
