"""Draw cycles along time as inline SVG: when each trained and was tried, how it ended, and which release was in force."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from markupsafe import Markup, escape

from pipeline.retrain.cycle import Cycle, Outcome

WIDTH = 1040
_LEFT, _RIGHT, _TOP = 110, WIDTH - 20, 8
_ROWS = ("in force", "trained", "on trial", "ended")
_ROW = 34
_SHORTEST = 3.0  # pixels of a bar
_TICKS = 6
# Marks beside colours: the page may be printed grey, and read by those who tell no red from green.
MARKS = {
    Outcome.PROMOTED: "▲",
    Outcome.ROLLED_BACK: "▼",
    Outcome.REFUSED: "✕",
    Outcome.UNCHANGED: "=",
    Outcome.OVERTAKEN: "»",
    Outcome.FAILED: "!",
    Outcome.NOTHING: "·",
    Outcome.FROZEN: "❄",
}


def timeline(cycles: Sequence[Cycle], now: datetime) -> Markup:
    """Draw the cycles up to `now`; nothing where there are none."""
    if not cycles:
        return Markup("")
    first = cycles[0].began
    span = max((now - first).total_seconds(), 60.0)

    def x_at(moment: datetime) -> float:
        return round(_LEFT + (_RIGHT - _LEFT) * (moment - first).total_seconds() / span, 1)

    bottom = _TOP + _ROW * len(_ROWS)
    parts = [f'<text class="axis" x="{_LEFT - 10}" y="{_y(row) + 5}" text-anchor="end">{name}</text>' for row, name in enumerate(_ROWS)]
    parts += [f'<line class="grid" x1="{_LEFT}" x2="{_RIGHT}" y1="{_y(row)}" y2="{_y(row)}"/>' for row in range(len(_ROWS))]
    for tick in range(_TICKS + 1):
        moment = first + timedelta(seconds=span * tick / _TICKS)
        parts.append(f'<text class="axis" x="{x_at(moment)}" y="{bottom + 16}" text-anchor="middle">{_time_text(moment, span)}</text>')
    for since, until, release in in_force(cycles, now):
        parts.append(_bar("force", x_at(since), x_at(until), 0, f"release {release} in force"))
        if x_at(until) - x_at(since) > 10 * len(str(release)):
            parts.append(f'<text class="inside" x="{x_at(since) + 5}" y="{_y(0) + 5}">{release}</text>')
    for cycle in cycles:
        if cycle.attempts:
            start = escape(f"cycle {cycle.number}: {cycle.decision.action}")
            parts.append(_bar(cycle.start, x_at(cycle.began), x_at(cycle.trained or cycle.ended or now), 1, start))
        if cycle.on_trial:
            parts.append(_bar("trial", x_at(cycle.on_trial), x_at(cycle.ended or now), 2, f"release {cycle.release} on trial"))
        if cycle.ended and cycle.outcome:
            title = escape(f"cycle {cycle.number}: {cycle.outcome} {cycle.reason}")
            css = cycle.outcome.replace(" ", "-")
            mark = MARKS[cycle.outcome]
            parts.append(
                f'<text class="mark {css}" x="{x_at(cycle.ended)}" y="{_y(3) + 5}" text-anchor="middle">{mark}<title>{title}</title></text>'
            )
    body = "".join(parts)
    return Markup(f'<svg viewBox="0 0 {WIDTH} {bottom + 24}" role="img" aria-label="Cycles along time">{body}</svg>')


def in_force(cycles: Sequence[Cycle], now: datetime) -> list[tuple[datetime, datetime, int]]:
    """Return since when and until when each release was in force, as far as the cycles say."""
    changes: list[tuple[datetime, int]] = []
    for cycle in cycles:
        changes += [(cycle.began, cycle.parent)] if cycle.parent is not None else []
        changes += [(cycle.ended, cycle.release)] if cycle.ended and cycle.release and cycle.outcome == Outcome.PROMOTED else []
    spans: list[tuple[datetime, datetime, int]] = []
    for moment, release in changes:
        if spans and spans[-1][2] == release:
            continue
        if spans:
            spans[-1] = (spans[-1][0], moment, spans[-1][2])
        spans.append((moment, now, release))
    return spans


def _y(row: int) -> int:
    return _TOP + _ROW * row + _ROW // 2


def _bar(css: str, left: float, right: float, row: int, title: str) -> str:
    width = max(right - left, _SHORTEST)
    return f'<rect class="{css}" x="{left}" y="{_y(row) - 10}" width="{width:.1f}" height="20" rx="2"><title>{title}</title></rect>'


def _time_text(moment: datetime, span_s: float) -> str:
    return moment.astimezone(UTC).strftime("%H:%M" if span_s < 86_400 else "%d %b" if span_s > 6 * 86_400 else "%d %b %H:%M")
