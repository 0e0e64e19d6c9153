"""The state machine of a cycle: what comes next, worked out from its lines and the releases' labels."""

from dataclasses import replace
from datetime import timedelta

import pytest

from components.contract.errors import ShelfRankError
from components.contract.storage.labels import Labels
from components.drift.decision import Action, Decision, Reason
from pipeline.retrain.cycle import Cycle, End, Outcome, Standing, Step, next_step, standing
from pipeline.retrain.ledger import decided, parse_history
from tests.pipeline.retrain.standin import T0

STABLE_1 = Labels("shop", "").promoted(1, "stable")


def cycle(action: Action = Action.RETRAIN_FULL, **fields: object) -> Cycle:
    reason = Reason(action=action, kind="hand", subject="me", text="So it is.")
    made = Cycle(
        number=1, began=T0, triggers={"drift": "k"}, decision=Decision(action=action, reasons=(reason,)), data_until="2026-03-01", parent=1
    )
    return replace(made, **fields)  # type: ignore[arg-type]


TRAINED = cycle(attempts=1, trained=T0, release=2, sentences=("Passed.",))


def after(one: Cycle, labels: Labels | None = STABLE_1, *, canary: bool = True, later_s: float = 0) -> Step | End:
    return next_step(one, labels, now=T0 + timedelta(seconds=later_s), canary=canary, patience_s=3600)


def test_nothing_is_trained_where_nothing_is_decided_or_everything_is_frozen() -> None:
    assert after(cycle(Action.NOTHING)) == End(Outcome.NOTHING)
    assert after(cycle(Action.FREEZE)) == End(Outcome.FROZEN, "So it is.")


def test_a_decided_cycle_is_trained_and_again_after_a_kill() -> None:
    assert after(cycle()) == Step.TRAIN
    assert after(cycle(attempts=3)) == Step.TRAIN


def test_a_failed_training_is_tried_three_times_each_time_later() -> None:
    once = cycle(attempts=1, failures=("disk full",), failed_at=T0)
    assert (after(once, later_s=59), after(once, later_s=60)) == (Step.WAIT, Step.TRAIN)
    twice = replace(once, failures=("disk full", "disk full"))
    assert (after(twice, later_s=239), after(twice, later_s=240)) == (Step.WAIT, Step.TRAIN)
    assert after(replace(once, failures=("a", "b", "c"))) == End(Outcome.FAILED, "c")


def test_bad_data_and_what_somebody_waits_for_fail_at_once() -> None:
    assert after(cycle(failures=("no column",), failed_at=T0, hopeless=True)) == End(Outcome.FAILED, "no column")
    assert after(cycle(failures=("disk full",), failed_at=T0, triggers={"hand": ""})) == End(Outcome.FAILED, "disk full")


def test_a_refused_model_ends_the_cycle_with_the_gates_sentences() -> None:
    refused = cycle(trained=T0, release=None, sentences=("AUC fell.", "Too slow."))
    assert after(refused) == End(Outcome.REFUSED, "AUC fell. Too slow.")


def test_a_model_that_is_the_one_in_force_is_no_release() -> None:
    end = after(replace(TRAINED, release=1))
    assert isinstance(end, End)
    assert end.outcome == Outcome.UNCHANGED


def test_a_release_is_tried_where_there_is_something_to_compare_it_with_else_promoted() -> None:
    assert after(TRAINED) == Step.TRY
    assert after(TRAINED, None) == Step.TRY
    assert after(TRAINED, canary=False) == Step.PROMOTE
    assert after(replace(TRAINED, parent=None, release=1), None) == Step.PROMOTE


def test_a_trial_is_waited_for_until_the_patience_is_over() -> None:
    tried, trial = STABLE_1.promoted(2, "canary"), replace(TRAINED, on_trial=T0)
    assert (after(trial, tried, later_s=3600), after(trial, tried, later_s=3601)) == (Step.WAIT, Step.WITHDRAW)


def test_another_release_on_trial_is_waited_for() -> None:
    assert after(replace(TRAINED, release=3), STABLE_1.promoted(2, "canary")) == Step.WAIT


def test_the_labels_history_says_what_became_of_a_release() -> None:
    tried = STABLE_1.promoted(2, "canary")
    assert standing(None, 2, 1) == Standing.UNLABELLED
    assert standing(STABLE_1, 2, 1) == Standing.UNLABELLED
    assert standing(tried, 2, 1) == Standing.ON_TRIAL
    assert standing(tried.promoted(2, "stable"), 2, 1) == Standing.PROMOTED
    assert standing(tried.rolled_back("canary"), 2, 1) == Standing.ROLLED_BACK
    assert standing(STABLE_1.promoted(7, "stable"), 2, 1) == Standing.OVERTAKEN


def test_a_label_that_somebody_moved_meanwhile_stays_where_it_is() -> None:
    end = after(TRAINED, STABLE_1.promoted(7, "stable"))
    assert isinstance(end, End)
    assert (end.outcome, end.reason) == (Outcome.OVERTAKEN, "stable was release 1, and somebody has moved it to 7 meanwhile")


def test_a_ledger_read_again_gives_the_same_cycle() -> None:
    one = cycle()
    begun = {"time": T0.isoformat(), "cycle": 1, "event": "decided", **decided(one)}
    at = (T0 + timedelta(minutes=1)).isoformat()
    failed = {
        "time": at,
        "cycle": 1,
        "event": "failed",
        "reason": "disk full",
        "hopeless": False,
        "seconds": 3.0,
        "processor_seconds": None,
    }
    trained = {"release": 2, "sentences": ["Passed."], "window": {}, "metrics": {"auc": 0.7}, "run": "", "seconds": 4.0}
    lines = [
        {"time": at, "cycle": 0, "event": "started"},
        begun,
        {"time": at, "cycle": 1, "event": "training"},
        failed,
        {"time": at, "cycle": 1, "event": "training"},
        {"time": at, "cycle": 1, "event": "trained", **trained, "processor_seconds": 9.5},
    ]
    history = parse_history(lines)
    minute = T0 + timedelta(minutes=1)
    assert history.started == minute
    assert history.open == history.cycles[0] == replace(
        one,
        attempts=2,
        failures=("disk full",),
        failed_at=minute,
        trained=minute,
        release=2,
        sentences=("Passed.",),
        metrics={"auc": 0.7},
        seconds=7.0,
        processor_seconds=9.5,
    )  # fmt: skip
    ended = parse_history([*lines, {"time": at, "cycle": 1, "event": "ended", "outcome": "promoted", "reason": ""}])
    assert (ended.open, ended.keys("drift")) == (None, ("k",))


def test_a_line_that_isnt_of_a_ledger_is_named() -> None:
    with pytest.raises(ShelfRankError, match=r"ledger.jsonl:2: expected a line of the ledger"):
        parse_history([{"time": T0.isoformat(), "cycle": 0, "event": "started"}, {"event": "ended", "cycle": 4}], "ledger.jsonl")
