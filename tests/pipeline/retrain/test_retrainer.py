"""The loop, with a training that takes no time: what it records, what it does to labels, and when it does nothing."""

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from components.contract.errors import DataFrozen, InputError, KubeflowError, RunError
from components.contract.storage.json_lines import append_json_line
from components.drift.decision import Action, Reason
from components.release.labels import read_labels
from components.release.publish import versions
from pipeline.ops.releases import Deployment, promote, rollback
from pipeline.retrain import retrainer
from pipeline.retrain.cycle import Cycle, Outcome, Step
from pipeline.retrain.ledger import History, Ledger
from pipeline.retrain.retrainer import RetrainConfig, Retrainer, lift
from pipeline.retrain.schedule import Every
from pipeline.retrain.triggers import DriftTrigger, ScheduleTrigger
from tests.pipeline.retrain.standin import T0, Clock, StandIn, drift_report

DAY = 86_400.0


class Loop:
    """A retrainer of a shop in a folder, by a daily schedule and by drift."""

    def __init__(self, root: Path, *, canary: bool = False) -> None:
        self.root, self.clock, self.trainer = root, Clock(), StandIn(root / "releases")
        self.said: list[str] = []
        self.config = RetrainConfig(
            folder=root / "retrain", deployment=Deployment(root / "releases"), canary=canary, patience_s=7 * DAY, clock=self.clock
        )
        triggers = [ScheduleTrigger(Every(DAY), Action.RETRAIN_WARM), DriftTrigger(root / "drift.json")]
        self.retrainer = Retrainer(self.config, self.trainer, triggers, self.said.append)
        self.retrainer.start()

    def look(self) -> Cycle | None:
        return self.retrainer.look()

    def drift(self, action: Action, text: str = "It drifted.") -> None:
        reason = Reason(action=action, kind="drift", subject="price", text=text)
        drift_report(self.root / "drift.json", reason, made_at=self.clock())

    @property
    def history(self) -> History:
        return Ledger(self.config.folder).history()

    @property
    def labels(self) -> dict[str, int]:
        labels = read_labels(self.config.deployment.releases)
        return {} if labels is None else labels.now


@pytest.fixture
def loop(tmp_path: Path) -> Loop:
    return Loop(tmp_path)


@pytest.fixture
def guarded(tmp_path: Path) -> Loop:
    """Retrained once: release 1 is stable, and the next one is to be tried."""
    made = Loop(tmp_path, canary=True)
    first = made.look()
    assert first is not None
    assert first.outcome == Outcome.PROMOTED  # nothing to compare it with
    made.clock.go(days=1)
    return made


def test_the_first_cycle_is_due_at_once_and_promotes_its_release(loop: Loop) -> None:
    cycle = loop.look()
    assert cycle is not None
    assert (cycle.outcome, cycle.release, cycle.parent, cycle.attempts) == (Outcome.PROMOTED, 1, None, 1)
    assert loop.labels == {"stable": 1}
    assert loop.trainer.trained == ["warm 2026-03-01T03:00:00+00:00"]
    assert loop.look() is None
    assert loop.said[0] == "cycle 1: retrain warm: The schedule's time 2026-03-01T03:00:00+00:00 has come."
    assert loop.said[-1] == "cycle 1: release 1 is promoted"


def test_missed_times_are_caught_up_exactly_once(loop: Loop) -> None:
    loop.look()
    loop.clock.go(days=4, hours=5)
    cycle = loop.look()
    assert cycle is not None
    assert cycle.triggers == {"schedule": "2026-03-05T03:00:00+00:00"}
    assert loop.look() is None
    loop.clock.go(hours=18)
    assert loop.look() is None
    loop.clock.go(hours=1)
    assert loop.look() is not None
    assert versions(loop.root / "releases") == (1, 2, 3)


def test_all_that_asks_is_one_cycle_with_the_most_urgent_action(loop: Loop) -> None:
    loop.drift(Action.RETRAIN_FULL)
    cycle = loop.look()
    assert cycle is not None
    assert set(cycle.triggers) == {"schedule", "drift"}
    assert [reason.text for reason in cycle.decision.reasons] == [
        "It drifted.",
        "The schedule's time 2026-03-01T03:00:00+00:00 has come.",
    ]
    assert loop.trainer.trained == ["full 2026-03-01T03:00:00+00:00"]
    assert loop.look() is None


def test_a_report_from_before_the_last_promotion_asks_for_no_training(loop: Loop) -> None:
    loop.look()
    loop.clock.go(minutes=-1)
    loop.drift(Action.RETRAIN_FULL)
    loop.clock.go(minutes=2)
    assert loop.look() is None
    loop.clock.go(minutes=-2)
    loop.drift(Action.FREEZE)
    frozen = loop.look()
    assert frozen is not None
    assert frozen.outcome == Outcome.FROZEN


def test_a_decision_to_do_nothing_is_in_the_ledger_too(loop: Loop) -> None:
    loop.look()
    loop.drift(Action.NOTHING, "All is well.")
    cycle = loop.look()
    assert cycle is not None
    assert (cycle.outcome, loop.look(), len(loop.trainer.trained)) == (Outcome.NOTHING, None, 1)


def test_a_freeze_trains_nothing_and_moves_no_label_until_a_person_lifts_it(loop: Loop) -> None:
    loop.look()
    loop.clock.go(days=1)
    loop.drift(Action.FREEZE, "Prices are in cents since 12:00.")
    for _ in range(3):
        frozen = loop.look()
        assert frozen is not None
        assert frozen.outcome == Outcome.FROZEN
    assert (loop.labels, len(loop.trainer.trained), len(loop.history.cycles)) == ({"stable": 1}, 1, 2)
    assert sum("retraining is frozen since 2026-03-02T03:00:00+00:00: Prices are in cents since 12:00." in each for each in loop.said) == 1
    loop.clock.go(days=2)
    lift(loop.config, "the feed is mended")
    assert loop.history.cycles[1].lifted == "the feed is mended"
    cycle = loop.look()
    assert cycle is not None
    assert (set(cycle.triggers), cycle.outcome) == ({"schedule"}, Outcome.PROMOTED)
    with pytest.raises(InputError, match="nothing is frozen"):
        lift(loop.config, "again")


def test_a_refused_model_leaves_labels_alone_and_the_ledger_has_why(loop: Loop) -> None:
    loop.look()
    loop.clock.go(days=1)
    loop.trainer.refused = True
    cycle = loop.look()
    assert cycle is not None
    assert (cycle.outcome, cycle.reason, loop.labels) == (Outcome.REFUSED, "AUC 0.412 is below 0.500.", {"stable": 1})


def test_a_model_that_came_out_the_same_isnt_released_again(loop: Loop) -> None:
    loop.trainer.content = "weights"
    loop.look()
    loop.clock.go(days=1)
    cycle = loop.look()
    assert cycle is not None
    assert (cycle.outcome, cycle.release, versions(loop.root / "releases")) == (Outcome.UNCHANGED, 1, (1,))


def test_a_training_that_fails_is_tried_again_a_minute_later(loop: Loop) -> None:
    loop.trainer.errors.append(RunError("no space left"))
    waiting = loop.look()
    assert waiting is not None
    assert (waiting.outcome, waiting.failures) == (None, ("no space left",))
    loop.look()
    assert len(loop.trainer.trained) == 1
    loop.clock.go(minutes=1)
    cycle = loop.look()
    assert cycle is not None
    assert (cycle.outcome, cycle.attempts, cycle.began) == (Outcome.PROMOTED, 2, T0)


def test_a_cluster_that_doesnt_answer_is_no_failed_training(loop: Loop) -> None:
    for _ in range(2):
        loop.trainer.errors.append(KubeflowError("no answer", status=503))
        with pytest.raises(KubeflowError):
            loop.look()
    cycle = loop.look()
    assert cycle is not None
    assert (cycle.outcome, cycle.attempts, cycle.failures) == (Outcome.PROMOTED, 1, ())


def test_bad_data_isnt_tried_again(loop: Loop) -> None:
    loop.trainer.errors.append(InputError("no column price"))
    cycle = loop.look()
    assert cycle is not None
    assert (cycle.outcome, cycle.reason, len(loop.trainer.trained)) == (Outcome.FAILED, "no column price", 1)


def test_data_that_points_to_a_fault_freeze_retraining_until_a_person_lifts_it(loop: Loop) -> None:
    loop.trainer.errors.append(DataFrozen("broken feature: price: nearly all values are 0"))
    cycle = loop.look()
    assert cycle is not None
    assert (cycle.outcome, cycle.reason) == (Outcome.FROZEN, "broken feature: price: nearly all values are 0")
    assert loop.look() == cycle
    assert len(loop.trainer.trained) == 1


def test_a_release_is_tried_and_the_guards_promotion_ends_the_cycle(guarded: Loop) -> None:
    trial = guarded.look()
    assert trial is not None
    assert (trial.outcome, trial.on_trial, guarded.labels) == (None, guarded.clock(), {"canary": 2, "stable": 1})
    assert guarded.look() == trial
    assert guarded.said[-1] == "cycle 2: release 2 is on trial; `shelfrank guard` decides on it"
    promote(guarded.config.deployment, 2, "stable")
    entry = {"canary": 2, "stable": 1, "decision": "promote", "reason": "as good as stable", "done": True}
    (guarded.root / "releases" / "guard.jsonl").write_text(json.dumps(entry) + "\n")
    cycle = guarded.look()
    assert cycle is not None
    assert (cycle.outcome, cycle.reason) == (Outcome.PROMOTED, "as good as stable")


def test_a_rolled_back_canary_ends_the_cycle_and_the_next_one_stands_on_stable(guarded: Loop) -> None:
    guarded.look()
    rollback(guarded.config.deployment, "canary")
    cycle = guarded.look()
    assert cycle is not None
    assert (cycle.outcome, cycle.reason) == (Outcome.ROLLED_BACK, "somebody moved the label")
    guarded.clock.go(days=1)
    third = guarded.look()
    assert third is not None
    assert (third.release, third.parent, guarded.labels) == (3, 1, {"canary": 3, "stable": 1})


def test_a_canary_that_nobody_decides_on_is_withdrawn(guarded: Loop) -> None:
    guarded.look()
    guarded.clock.go(days=7, seconds=1)
    cycle = guarded.look()
    assert cycle is not None
    assert (cycle.outcome, cycle.reason) == (Outcome.ROLLED_BACK, "the guard didn't decide in time")
    assert guarded.labels == {"canary": 1, "stable": 1}


def test_releases_without_labels_get_stable_before_one_is_tried(tmp_path: Path) -> None:
    loop = Loop(tmp_path, canary=True)
    assert loop.look() is not None
    (tmp_path / "releases" / "labels.json").unlink()
    loop.clock.go(days=1)
    loop.look()
    assert loop.labels == {"canary": 2, "stable": 1}


def test_a_label_that_somebody_moved_while_the_model_trained_stays(loop: Loop) -> None:
    for _ in range(2):
        loop.look()
        loop.clock.go(days=1)

    class Meddled(StandIn):
        def train(self, cycle: Cycle):  # type: ignore[no-untyped-def]
            trained = super().train(cycle)
            rollback(loop.config.deployment, "stable")
            return trained

    meddled = Retrainer(loop.config, Meddled(loop.root / "releases"), [ScheduleTrigger(Every(DAY), Action.RETRAIN_FULL)], print)
    cycle = meddled.look()
    assert cycle is not None
    assert (cycle.outcome, loop.labels["stable"]) == (Outcome.OVERTAKEN, 1)


def test_a_label_that_moves_between_the_look_and_the_promotion_stays(loop: Loop, monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(2):
        loop.look()
        loop.clock.go(days=1)

    def moved(*_: object, **__: object) -> Step:
        rollback(loop.config.deployment, "stable")
        return Step.PROMOTE

    loop.trainer.errors.append(KubeflowError("no answer", status=503))
    with pytest.raises(KubeflowError):
        loop.look()
    trained = {"release": 2, "sentences": [], "window": {}, "metrics": {}, "run": "", "seconds": 1.0, "processor_seconds": None}
    append_json_line(Ledger(loop.config.folder).file, {"time": T0.isoformat(), "cycle": 3, "event": "trained", **trained})
    monkeypatch.setattr(retrainer, "next_step", moved)
    with pytest.raises(InputError, match="expected stable to be release 2, somebody has moved it: it is 1; nothing is changed"):
        loop.look()
    assert loop.labels["stable"] == 1


def test_who_lost_the_lease_while_training_records_nothing_and_moves_no_label(loop: Loop) -> None:
    class Overtaken(StandIn):
        def train(self, cycle: Cycle):  # type: ignore[no-untyped-def]
            record = {"host": "elsewhere", "pid": 1, "since": 0.0, "expires": 0.0}
            (loop.config.folder / "lease.json").write_text(json.dumps(record))
            return super().train(cycle)

    overtaken = Retrainer(loop.config, Overtaken(loop.root / "releases"), [ScheduleTrigger(Every(DAY), Action.RETRAIN_FULL)], print)
    with pytest.raises(RunError, match="another process has taken over"):
        overtaken.look()
    assert loop.history.open is not None
    assert (loop.history.open.trained, loop.labels) == (None, {})


def test_a_torn_line_is_as_if_it_was_never_written(loop: Loop) -> None:
    loop.look()
    loop.clock.go(days=1)
    loop.look()
    file = Ledger(loop.config.folder).file
    whole = file.read_bytes()
    last = whole.rfind(b"\n", 0, -1) + 1
    for cut in (last + 1, len(whole) - 10, len(whole) - 1):
        os.truncate(file, len(whole))
        file.write_bytes(whole[:cut])
        cycle = loop.look()
        assert cycle is not None
        assert (cycle.number, cycle.outcome) == (2, Outcome.PROMOTED)
        assert [json.loads(line)["event"] for line in file.read_bytes().splitlines()][-1] == "ended"
    assert versions(loop.root / "releases") == (1, 2)


@pytest.mark.parametrize("lines", range(6, 10))
def test_a_kill_after_any_line_loses_nothing_and_repeats_no_release(guarded: Loop, lines: int) -> None:
    """The ledger as a kill leaves it, with all that could be done without another line done already."""
    guarded.look()
    promote(guarded.config.deployment, 2, "stable")
    done = guarded.look()
    assert done is not None
    file = Ledger(guarded.config.folder).file
    text = file.read_text().splitlines(keepends=True)
    assert len(text) == 10  # one of the start, four of the first cycle, five of this one
    file.write_text("".join(text[:lines]))
    again = guarded.look()
    assert again is not None
    untold = {"attempts": 1, "on_trial": None, "reason": ""}
    assert replace(again, **untold) == replace(done, **untold)
    assert (versions(guarded.root / "releases"), guarded.labels["stable"]) == ((1, 2), 2)
    assert guarded.look() is None
