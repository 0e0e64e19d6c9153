"""Render the ledger as one self-contained HTML page that can be mailed: no script, no external font or image."""

from collections import Counter
from datetime import UTC, datetime

from jinja2 import PackageLoader

from components.evaluation.report.page_environment import page_environment
from pipeline.retrain.cycle import Outcome
from pipeline.retrain.history import outcome_of, reason_of
from pipeline.retrain.ledger import History
from pipeline.retrain.metrics import state_of
from pipeline.retrain.retrainer import frozen_text
from pipeline.retrain.timeline import MARKS, timeline

DRAWN = 200  # the latest cycles; more can't be told apart


def render_history(history: History, name: str, now: datetime) -> str:
    """Render the page.

    Args:
        history: the ledger's content.
        name: of the shop.
        now: the present.
    """
    environment = page_environment(PackageLoader("pipeline.retrain", "."))
    environment.filters |= {"time": _time, "minutes": lambda seconds: f"{seconds / 60:.1f}"}
    cycles, frozen = history.cycles, history.frozen
    return environment.get_template("history.html.j2").render(
        name=name,
        now=now,
        cycles=[(cycle, outcome_of(cycle), reason_of(cycle)) for cycle in reversed(cycles)],
        state=state_of(history),
        frozen=frozen_text(frozen) if frozen else "",
        counts=[(outcome, MARKS[outcome], number) for outcome, number in _counts(history) if number],
        plot=timeline(cycles[-DRAWN:], now),
        left_out=max(0, len(cycles) - DRAWN),
        hours=sum(cycle.seconds for cycle in cycles) / 3600,
        processor_hours=sum(cycle.processor_seconds or 0.0 for cycle in cycles) / 3600,
    )


def _counts(history: History) -> list[tuple[Outcome, int]]:
    outcomes = Counter(cycle.outcome for cycle in history.cycles)
    return [(outcome, outcomes[outcome]) for outcome in Outcome]


def _time(moment: datetime | None) -> str:
    return "" if moment is None else moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M")
