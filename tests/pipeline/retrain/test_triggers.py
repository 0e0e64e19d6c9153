"""What asks for retraining, and that it asks once."""

from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from components.contract.errors import InputError, SourceUnavailable
from components.contract.values.cron import parse_cron
from components.drift.decision import Action, Decision, Reason
from pipeline.retrain.cycle import Cycle, Outcome
from pipeline.retrain.ledger import History
from pipeline.retrain.schedule import ByCron, Every
from pipeline.retrain.threshold import parse_threshold, read_samples
from pipeline.retrain.triggers import DriftTrigger, FollowUpTrigger, MetricTrigger, ScheduleTrigger
from tests.pipeline.retrain.standin import T0, drift_report

PAGE = """
# TYPE shelfrank_figures_open_requests gauge
shelfrank_figures_open_requests{by="all",value=""} 400
shelfrank_figures_open_requests{by="version",value="1"} 300
# TYPE shelfrank_figures_open_requests_with gauge
shelfrank_figures_open_requests_with{by="all",action="click"} 20
shelfrank_figures_open_requests_with{by="all",action="cart"} 4
# TYPE shelfrank_ranked_total counter
shelfrank_ranked_total 7
"""
CTR = 'shelfrank_figures_open_requests_with{by="all",action="click"} / shelfrank_figures_open_requests{by="all"}'


def at(hour: float) -> datetime:
    return T0 + timedelta(hours=hour)


@pytest.mark.parametrize(
    ("last", "now", "due"),
    [(None, 0, 0), (None, 30, 0), (0, 11.9, None), (0, 12, 12), (0, 47, 36), (36, 47, None)],
)
def test_every_so_often_is_counted_from_the_last_time(last: float | None, now: float, due: float | None) -> None:
    every = Every(12 * 3600)
    assert every.due(T0, None if last is None else at(last), at(now)) == (None if due is None else at(due))


def test_every_so_often_counts_from_the_last_training_and_cron_doesnt() -> None:
    nothing = Decision(action=Action.RETRAIN_WARM, reasons=())
    by_drift = Cycle(number=1, began=at(10), triggers={"drift": "k"}, decision=nothing, data_until="", parent=1, trained=at(11))
    history = History(T0, (replace(by_drift, triggers={"schedule": T0.isoformat()}, began=T0), by_drift))
    every = ScheduleTrigger(Every(12 * 3600), Action.RETRAIN_WARM)
    assert every.call(history, at(21.9)) is None
    call = every.call(history, at(22))
    assert call is not None
    assert call.key == at(22).isoformat()
    refused = History(T0, (history.cycles[0], replace(by_drift, trained=None)))
    assert every.call(refused, at(12)) is not None
    daily = ScheduleTrigger(ByCron(parse_cron("0 0 12 * * *"), ZoneInfo("UTC")), Action.RETRAIN_WARM)  # T0 is 03:00
    call = daily.call(history, at(10.5))
    assert call is not None
    assert call.key == at(9).isoformat()


def test_cron_is_due_once_for_all_the_times_that_were_missed() -> None:
    nightly = ByCron(parse_cron("0 30 3 * * *"), ZoneInfo("Europe/Berlin"))  # 02:30 UTC; T0 is 03:00
    assert nightly.due(T0, None, at(1)) is None
    assert nightly.due(T0, None, at(23.5)) == at(23.5)
    assert nightly.due(T0, at(23.5), at(24)) is None
    assert nightly.due(T0, at(23.5), at(80)) == at(71.5)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (f"{CTR} < 0.06", 0.05),
        (f"{CTR} < 0.05", None),
        (f"{CTR} <= 0.05", 0.05),
        ("shelfrank_figures_open_requests > 699", 700.0),
        ("shelfrank_ranked_total >= 7", 7.0),
        ("shelfrank_ranked_total > 7", None),
        ("shelfrank_absent < 1", None),
        ("shelfrank_ranked_total / shelfrank_absent < 100", None),
        ('shelfrank_figures_open_requests{by="arm"} < 1', None),
    ],
)
def test_a_figure_or_a_ratio_is_compared_with_its_limit(text: str, value: float | None, tmp_path: Path) -> None:
    (tmp_path / "page").write_text(PAGE)
    assert parse_threshold(text).crossed(read_samples(str(tmp_path / "page"))) == value


@pytest.mark.parametrize("text", ["", "a", "a < b", "a == 1", "a{b} < 1", "a / / b < 1", "rate(a[5m]) < 1", "a < 1e"])
def test_what_is_no_limit_is_refused(text: str) -> None:
    with pytest.raises(InputError, match=r"--when: expected NAME"):
        parse_threshold(text)


def test_a_page_that_cant_be_read_is_named(tmp_path: Path) -> None:
    for page in (str(tmp_path / "none"), "http://127.0.0.1:1/metrics"):
        with pytest.raises(SourceUnavailable, match=f"{page}: expected a page of Prometheus' metrics"):
            read_samples(page)


def test_a_figure_asks_again_only_after_a_rest(tmp_path: Path) -> None:
    (tmp_path / "page").write_text(PAGE)
    trigger = MetricTrigger(str(tmp_path / "page"), parse_threshold(f"{CTR} < 0.06"), Action.RETRAIN_FULL, 3600)
    call = trigger.call(History(), T0)
    assert call is not None
    assert call.reasons[0].text == f"{CTR} < 0.06: it is 0.05."
    nothing = Decision(action=Action.RETRAIN_FULL, reasons=())
    ended = Cycle(number=1, began=T0, triggers={}, decision=nothing, data_until="", parent=1, outcome=Outcome.REFUSED, ended=T0)
    assert trigger.call(History(None, (ended,)), at(0.9)) is None
    assert trigger.call(History(None, (ended,)), at(1)) is not None


def test_a_training_for_a_changed_taste_is_followed_up_once_when_its_newest_days_can_be_learnt() -> None:
    def history(kind: str, **values: Any) -> History:
        reason = Reason(action=Action.RETRAIN_FULL, kind=kind, subject="ranking", text="AUC fell.")
        decision = Decision(action=Action.RETRAIN_FULL, reasons=(reason,))
        window = {"eval": at(-48).isoformat(), "until": at(0).isoformat()}
        cycle = Cycle(number=4, began=T0, triggers={"drift": "k"}, decision=decision, data_until="", parent=1, window=window, trained=at(1))
        return History(None, (replace(cycle, **values),))

    trigger, taste = FollowUpTrigger(), history("changed taste")
    assert trigger.call(taste, at(47)) is None
    call = trigger.call(taste, at(48))
    assert call is not None
    assert (call.kind, call.key, call.reasons[0].action) == ("follow-up", "4", Action.RETRAIN_FULL)
    followed = replace(
        taste.cycles[0], number=5, triggers={"follow-up": "4"}, decision=Decision(action=Action.RETRAIN_FULL, reasons=call.reasons)
    )
    assert trigger.call(History(None, (*taste.cycles, followed)), at(96)) is None
    assert trigger.call(history("new categories"), at(96)) is None
    assert trigger.call(history("changed taste", trained=None), at(96)) is None
    assert trigger.call(history("changed taste", window={}), at(96)) is None


def test_a_file_that_is_no_decision_is_refused_and_none_asks_for_nothing(tmp_path: Path) -> None:
    trigger = DriftTrigger(tmp_path / "drift.json")
    assert trigger.call(History(), T0) is None
    panic = '{"made_at": "2026-03-01", "decision": {"action": "panic", "reasons": []}}'
    for text in ("{", "[]", '{"action": "nothing", "reasons": []}', panic):
        (tmp_path / "drift.json").write_text(text)
        with pytest.raises(InputError, match=r"drift.json: expected a report of `shelfrank drift --json`"):
            trigger.call(History(), T0)
    drift_report(tmp_path / "drift.json")
    call = trigger.call(History(), T0)
    assert call is not None
    assert [(reason.action, reason.text) for reason in call.reasons] == [(Action.NOTHING, "No drift was found.")]
