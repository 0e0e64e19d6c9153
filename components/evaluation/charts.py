"""Two small plots as inline SVG: no script, no style of their own beyond the page's classes, the same bytes for the same numbers."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

WIDTH = 720
_ROW_HEIGHT = 24
_LABEL_WIDTH = 190
_VALUE_WIDTH = 60


@dataclass(frozen=True, slots=True)
class Bar:
    """A value and, as a tick, what it is compared with; NaN is not drawn."""

    label: str
    value: float
    reference: float


def bar_chart(bars: Sequence[Bar], *, title: str) -> Markup:
    """Horizontal bars with a tick at each reference, over the range that the values span, widened to tenths."""
    known = [number for bar in bars for number in (bar.value, bar.reference) if not math.isnan(number)]
    if not known:
        return Markup("")
    low, high = math.floor(min(known) * 10 - 1e-9) / 10, math.ceil(max(known) * 10 + 1e-9) / 10
    scale = (WIDTH - _LABEL_WIDTH - _VALUE_WIDTH) / (high - low)
    bottom = len(bars) * _ROW_HEIGHT
    parts = []
    for i in range(round((high - low) * 10) + 1):
        x = _LABEL_WIDTH + i / 10 * scale
        parts.append(f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="0" y2="{bottom}"/>')
        parts.append(f'<text class="axis" x="{x:.1f}" y="{bottom + 16}" text-anchor="middle">{low + i / 10:.1f}</text>')
    for i, bar in enumerate(bars):
        y = i * _ROW_HEIGHT
        parts.append(f'<text x="{_LABEL_WIDTH - 8}" y="{y + 16}" text-anchor="end">{escape(_shortened(bar.label))}</text>')
        if not math.isnan(bar.value):
            length = (bar.value - low) * scale
            parts.append(f'<rect class="bar" x="{_LABEL_WIDTH}" y="{y + 5}" width="{length:.1f}" height="{_ROW_HEIGHT - 10}" rx="2"/>')
            parts.append(f'<text class="value" x="{WIDTH - 4}" y="{y + 16}" text-anchor="end">{bar.value:.3f}</text>')
        if not math.isnan(bar.reference):
            x = _LABEL_WIDTH + (bar.reference - low) * scale
            parts.append(f'<line class="tick" x1="{x:.1f}" x2="{x:.1f}" y1="{y + 2}" y2="{y + _ROW_HEIGHT - 2}"/>')
    return _svg(parts, height=bottom + 22, title=title)


def line_chart(values: Sequence[float], *, title: str, best: int | None = None, width: int = WIDTH // 2 - 10, height: int = 180) -> Markup:
    """A line over 1, 2, ... with the range of the values at the side and a dot at index `best`."""
    known = [value for value in values if math.isfinite(value)]
    if not known:
        return Markup("")
    low, high = min(known), max(known)
    span = high - low or 1.0
    left, right, top, bottom = 56, width - 12, 12, height - 26

    def at(i: int) -> tuple[float, float]:
        x = left + (right - left) * (i / (len(values) - 1) if len(values) > 1 else 0.5)
        return x, bottom - (bottom - top) * (values[i] - low) / span

    points = [at(i) for i in range(len(values)) if math.isfinite(values[i])]
    parts = [
        f'<line class="grid" x1="{left}" x2="{right}" y1="{y}" y2="{y}"/>'
        f'<text class="axis" x="{left - 6}" y="{y + 4}" text-anchor="end">{number:.4f}</text>'
        for y, number in ((bottom, low), (top, high))
    ]
    parts.append(f'<polyline class="line" points="{" ".join(f"{x:.1f},{y:.1f}" for x, y in points)}"/>')
    parts += [f'<circle class="point" cx="{x:.1f}" cy="{y:.1f}" r="2.5"/>' for x, y in points]
    if best is not None and math.isfinite(values[best]):
        x, y = at(best)
        parts.append(f'<circle class="best" cx="{x:.1f}" cy="{y:.1f}" r="5"/>')
    parts += [
        f'<text class="axis" x="{at(i)[0]:.1f}" y="{height - 8}" text-anchor="middle">{i + 1}</text>' for i in sorted({0, len(values) - 1})
    ]
    return _svg(parts, height=height, title=title, width=width)


def _svg(parts: Sequence[str], *, height: int, title: str, width: int = WIDTH) -> Markup:
    body = "".join(parts)
    return Markup(f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="{escape(title)}"><title>{escape(title)}</title>{body}</svg>')


def _shortened(label: str, longest: int = 24) -> str:
    return label if len(label) <= longest else label[: longest - 1] + "…"
