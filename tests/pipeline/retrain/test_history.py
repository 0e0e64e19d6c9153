"""The ledger as rows, as a page and as metrics."""

import json
import re
from datetime import timedelta

from prometheus_client import CollectorRegistry, generate_latest

from components.drift.decision import Action, Decision, Reason
from pipeline.retrain.cycle import Cycle, Outcome
from pipeline.retrain.history import history_rows, history_table
from pipeline.retrain.history_page import render_history
from pipeline.retrain.ledger import History
from pipeline.retrain.metrics import STATES, RetrainCollector, state_of
from pipeline.retrain.timeline import in_force
from pipeline.terminal.console import console
from tests.pipeline.retrain.standin import T0


def cycle(number: int, outcome: Outcome | None, *, action: Action = Action.RETRAIN_WARM, **fields: object) -> Cycle:
    began = T0 + timedelta(days=number)
    reason = Reason(action=action, kind="schedule", subject="time", text=f"It is day {number} <of> many.")
    values = {
        "attempts": 1,
        "parent": number - 1 or None,
        "release": number if outcome != Outcome.FROZEN else None,
        "ended": began + timedelta(hours=2) if outcome else None,
        "trained": began + timedelta(hours=1),
        "seconds": 3600.0,
        "processor_seconds": 5400.0,
        "metrics": {"auc": 0.7123},
    }
    return Cycle(
        number=number,
        began=began,
        triggers={"schedule": began.isoformat()},
        decision=Decision(action=action, reasons=(reason,)),
        data_until=began.isoformat(),
        outcome=outcome,
        **{**values, **fields},  # type: ignore[arg-type]
    )


HISTORY = History(
    T0,
    (
        cycle(1, Outcome.PROMOTED),
        cycle(2, Outcome.ROLLED_BACK, reason="48 of 1,200 requests clicked", on_trial=T0 + timedelta(days=2, hours=1)),
        cycle(3, Outcome.FROZEN, action=Action.FREEZE, parent=1, attempts=0, trained=None, reason="Prices are in cents."),
    ),
)


def test_rows_have_all_that_is_known_the_newest_first() -> None:
    rows = json.loads(json.dumps(history_rows(HISTORY)))
    assert [row["number"] for row in rows] == [3, 2, 1]
    assert (rows[1]["outcome"], rows[1]["release"], rows[1]["reason"]) == ("rolled back", 2, "48 of 1,200 requests clicked")
    assert (rows[2]["began"], rows[2]["run_id"], rows[2]["start"]) == ("2026-03-02T03:00:00+00:00", "retrain-1-20260302t030000", "warm")
    assert rows[2]["decision"]["reasons"][0]["text"] == "It is day 1 <of> many."


def test_the_table_says_who_asked_what_was_done_and_what_it_cost(capsys) -> None:
    console(200).print(history_table(HISTORY))
    lines = [re.split(r"\s*│\s*", line.strip("│ ")) for line in capsys.readouterr().out.splitlines() if "│" in line]
    first = lines[-1]
    assert first == [
        *("1", "2026-03-02 03:00", "schedule", "retrain warm", "", "1", "0.7123", "promoted", "60.0", "90.0", "It is day 1 <of> many."),
    ]


def test_the_page_stands_alone_and_has_each_cycle_with_its_reasons() -> None:
    page = render_history(HISTORY, "shop", T0 + timedelta(days=4))
    assert not re.search(r"<(script|link|img|iframe)", page)
    assert page.count("<details") == 3
    assert "It is day 1 &lt;of&gt; many." in page
    assert "<of>" not in page
    assert 'class="state frozen"' in page
    assert "Retraining is frozen since 2026-03-04T03:00:00+00:00: Prices are in cents." in page
    assert "48 of 1,200 requests clicked" in page
    assert page.count('class="warm"') == 2  # bars of trainings
    assert page.count('class="trial"') == 1


def test_a_page_without_cycles_has_no_plot() -> None:
    assert "<svg" not in render_history(History(), "shop", T0)


def test_the_release_in_force_changes_with_promotions_and_by_hand() -> None:
    first, second = cycle(1, Outcome.PROMOTED), cycle(5, Outcome.REFUSED, parent=3, release=None)
    assert first.ended is not None
    now = T0 + timedelta(days=9)
    refused = cycle(2, Outcome.REFUSED, parent=1, release=None)
    assert in_force([first, refused, second], now) == [(first.ended, second.began, 1), (second.began, now, 3)]


def test_metrics_say_where_it_stands() -> None:
    registry = CollectorRegistry()
    registry.register(RetrainCollector(lambda: HISTORY))
    lines = generate_latest(registry).decode().splitlines()
    assert 'shelfrank_retrain_state{state="frozen"} 1.0' in lines
    assert sum(line.endswith(" 1.0") for line in lines if line.startswith("shelfrank_retrain_state")) == 1
    assert 'shelfrank_retrain_cycles_total{outcome="rolled back"} 1.0' in lines
    assert 'shelfrank_retrain_cycles_total{outcome="refused"} 0.0' in lines
    (success,) = [line for line in lines if line.startswith("shelfrank_retrain_last_success_timestamp_seconds ")]
    assert float(success.split()[1]) == (T0 + timedelta(days=1, hours=2)).timestamp()
    assert "shelfrank_retrain_processor_seconds_total 16200.0" in lines


def test_each_state_is_one_of_those_that_are_exported() -> None:
    trained, failed = {"ended": None, "trained": T0}, {"trained": None, "failures": ("x",), "failed_at": T0}
    states = [
        state_of(History()),
        state_of(History(None, (cycle(1, None, trained=None),))),
        state_of(History(None, (cycle(1, None, **failed),))),
        state_of(History(None, (cycle(1, None, **trained, on_trial=T0),))),
        state_of(HISTORY),
    ]
    assert states == ["idle", "training", "waiting", "on trial", "frozen"]
    assert set(states) == set(STATES)
