"""Carry cycles of retraining out, each step recorded before it is taken, so that a kill at any moment only delays it."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar, final

from components.contract.errors import DataFrozen, DatasetFileError, InputError, KubeflowError, ShelfRankError, UnknownOutcome
from components.contract.storage.labels import CANARY, STABLE
from components.drift.decision import decide
from components.release.labels import in_force, read_labels
from pipeline.ops.guard_journal import read_entries
from pipeline.ops.releases import Deployment, promote, rollback
from pipeline.retrain.cycle import Cycle, End, Event, Outcome, Step, next_step
from pipeline.retrain.lease import held_lease
from pipeline.retrain.ledger import History, Ledger, decided
from pipeline.retrain.training import Trainer
from pipeline.retrain.triggers import Call, Trigger, calls

Say = Callable[[str], None]
_T = TypeVar("_T")
_REFUSED = 400  # HTTP's status for a request that would be refused again
_WITHDRAWN = "the guard didn't decide in time"


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, kw_only=True)
class RetrainConfig:
    """How a shop retrains.

    Attributes:
        folder: of the ledger and the lease.
        deployment: the releases, and the model server whose labels move with them.
        canary: give a release to `canary` first, and wait for the guard's decision; else promote it at once.
        patience_s: how long the guard may take; then the canary is withdrawn.
        data_until: end of the data of new cycles; None: when they begin; "": as the dataset file says.
        clock: tells the present.
    """

    folder: Path
    deployment: Deployment
    canary: bool = False
    patience_s: float = 7 * 86_400.0
    data_until: str | None = None
    clock: Callable[[], datetime] = field(default=_now)


@final
class Retrainer:
    """Decides and carries out cycles, one at a time.

    Args:
        config: of the shop.
        trainer: trains a cycle's model.
        triggers: what may ask for a cycle.
        say: called with each message.
    """

    def __init__(self, config: RetrainConfig, trainer: Trainer, triggers: Sequence[Trigger], say: Say) -> None:
        self._config, self._trainer, self._triggers, self._say = config, trainer, triggers, say
        self._said = ""

    def look(self) -> Cycle | None:
        """Go on with the cycle at hand as far as possible, or begin one that is asked for; return it, None for none.

        A cycle that is returned without an outcome waits: for the guard, or to be tried again.

        Raises:
            Busy: another process retrains.
            ShelfRankError: a step failed; the next look tries it again.
        """
        with held_lease(self._config.folder, clock=lambda: self._config.clock().timestamp()) as lease:
            ledger = Ledger(self._config.folder, lease)
            history = ledger.history()
            if history.frozen is not None:
                self.say_once(frozen_text(history.frozen))
                return history.frozen
            cycle = history.open or self._begin(ledger, history)
            while cycle is not None and cycle.outcome is None:
                labels = read_labels(self._config.deployment.releases)
                step = next_step(cycle, labels, now=self._config.clock(), canary=self._config.canary, patience_s=self._config.patience_s)
                if step == Step.WAIT:
                    self.say_once(waiting_text(cycle))
                    break
                self._take(step, cycle, ledger)
                cycle = next(each for each in ledger.history().cycles if each.number == cycle.number)
            return cycle

    def start(self) -> None:
        """Record that retraining was put to work, if it never was: a schedule counts from then on.

        Raises:
            Busy: another process retrains.
        """
        with held_lease(self._config.folder) as lease:
            ledger = Ledger(self._config.folder, lease)
            if ledger.history().started is None:
                ledger.append(Event.STARTED, 0, now=self._config.clock())

    def watch(self, every_s: float) -> None:
        """Look again and again, forever; a step that failed is tried again at the next look."""
        self._again(self.start, every_s)
        while True:
            cycle = self._again(self.look, every_s)
            if cycle is None or cycle.outcome in (None, Outcome.FROZEN):
                time.sleep(every_s)

    def say_once(self, sentence: str) -> None:
        """Say a sentence unless it was the last one."""
        if sentence != self._said:
            self._say(sentence)
        self._said = sentence

    def _again(self, action: Callable[[], _T], every_s: float) -> _T:
        while True:
            try:
                return action()
            except (ShelfRankError, OSError) as error:
                self.say_once(str(error))
                time.sleep(every_s)

    def _begin(self, ledger: Ledger, history: History) -> Cycle | None:
        """Begin the cycle that the triggers ask for, all together."""
        now = self._config.clock()
        asking = calls(self._triggers, history, now)
        if not asking:
            return None
        cycle = begun(history, asking, now=now, data_until=self._config.data_until, parent=in_force(self._config.deployment.releases))
        ledger.append(Event.DECIDED, cycle.number, now=now, **decided(cycle))
        self._say(f"cycle {cycle.number}: {cycle.decision.action}: {' '.join(each.text for each in cycle.decision.reasons)}")
        return cycle

    def _take(self, step: Step | End, cycle: Cycle, ledger: Ledger) -> None:
        """Take a step."""
        deployment, now = self._config.deployment, self._config.clock()
        match step:
            case End(outcome, reason):
                reason = reason or self._reason(cycle, outcome)
                ledger.append(Event.ENDED, cycle.number, now=now, outcome=outcome, reason=reason)
                self._say(f"cycle {cycle.number}: {outcome_text(outcome, cycle.release)}{': ' * bool(reason)}{reason}")
            case Step.TRAIN:
                if cycle.attempts == len(cycle.failures):  # else a kill interrupted the attempt, and it goes on
                    ledger.append(Event.TRAINING, cycle.number, now=now, run_id=cycle.run_id)
                self._train(cycle, ledger)
            case Step.PROMOTE:
                assert cycle.release is not None
                promote(deployment, cycle.release, STABLE, expected_labels=self._stable(cycle))
            case Step.TRY:
                assert cycle.release is not None
                assert cycle.parent is not None
                ledger.append(Event.ON_TRIAL, cycle.number, now=now)
                if not (expected := self._stable(cycle)):
                    promote(deployment, cycle.parent, STABLE)
                promote(deployment, cycle.release, CANARY, expected_labels=expected)
                self._say(f"cycle {cycle.number}: release {cycle.release} is canary; `shelfrank guard` decides on it")
            case Step.WITHDRAW:
                assert cycle.release is not None
                rollback(deployment, CANARY, expected_labels={CANARY: cycle.release})

    def _train(self, cycle: Cycle, ledger: Ledger) -> None:
        began = time.monotonic()
        try:
            training = self._trainer.train(cycle)
        except DataFrozen as error:
            ledger.append(Event.ENDED, cycle.number, now=self._config.clock(), outcome=Outcome.FROZEN, reason=str(error))
            self._say(f"cycle {cycle.number}: {error}")
            return
        except ShelfRankError as error:
            if isinstance(error, KubeflowError) and error.status != _REFUSED:
                raise  # the run may be at work: the next look finds it
            hopeless = isinstance(error, InputError | DatasetFileError | UnknownOutcome | KubeflowError)
            cost = {"seconds": round(time.monotonic() - began, 1), "processor_seconds": None}
            ledger.append(Event.FAILED, cycle.number, now=self._config.clock(), reason=str(error), hopeless=hopeless, **cost)
            self._say(f"cycle {cycle.number}: {error}")
            return
        ledger.append(
            Event.TRAINED,
            cycle.number,
            now=self._config.clock(),
            release=training.release,
            sentences=training.sentences,
            window=training.window,
            metrics=training.metrics,
            run=training.run,
            seconds=round(time.monotonic() - began, 1),
            processor_seconds=training.processor_seconds,
        )

    def _stable(self, cycle: Cycle) -> dict[str, int]:
        """Return the label that must still be where it was; none where no label was ever set."""
        labels = read_labels(self._config.deployment.releases)
        return {} if labels is None or cycle.parent is None else {STABLE: cycle.parent}

    def _reason(self, cycle: Cycle, outcome: Outcome) -> str:
        """Return why the guard promoted the canary or rolled it back; "" where nobody judged it."""
        if cycle.on_trial is None or outcome not in (Outcome.PROMOTED, Outcome.ROLLED_BACK):
            return ""
        decisions = [] if "://" in str(self._config.deployment.releases) else read_entries(self._config.deployment.folder)
        reasons = [each["reason"] for each in decisions if each["canary"] == cycle.release and each["done"]]
        late = (self._config.clock() - cycle.on_trial).total_seconds() > self._config.patience_s
        return reasons[-1] if reasons else _WITHDRAWN if late else "somebody moved the label"


def begun(history: History, asking: Sequence[Call], *, now: datetime, data_until: str | None, parent: int | None) -> Cycle:
    """Return the cycle that calls ask for."""
    return Cycle(
        number=len(history.cycles) + 1,
        began=now,
        triggers={call.kind: call.key for call in asking},
        decision=decide([reason for call in asking for reason in call.reasons]),
        data_until=now.isoformat(timespec="seconds") if data_until is None else data_until,
        parent=parent,
    )


def lift(config: RetrainConfig, reason: str) -> Cycle:
    """Lift a freeze: retraining goes on.

    Raises:
        InputError: nothing is frozen.
        Busy: another process retrains.
    """
    with held_lease(config.folder) as lease:
        ledger = Ledger(config.folder, lease)
        frozen = ledger.history().frozen
        if frozen is None:
            raise InputError(f"{config.folder}: expected a freeze to lift, nothing is frozen")
        ledger.append(Event.LIFTED, frozen.number, now=config.clock(), reason=reason)
        return frozen


def frozen_text(cycle: Cycle) -> str:
    """Say what is frozen, and how it goes on."""
    return (
        f"retraining is frozen since {cycle.began.isoformat(timespec='seconds')}: {cycle.reason} Nothing is trained and no label"
        " moves. Find the cause, then: shelfrank retrain --lift 'REASON'"
    )


def waiting_text(cycle: Cycle) -> str:
    """Say what a cycle waits for."""
    if cycle.trained is None:
        return f"cycle {cycle.number}: the training failed, and is tried again later"
    if cycle.on_trial is None:
        return f"cycle {cycle.number}: release {cycle.release} waits, as another one is on trial"
    return f"cycle {cycle.number}: release {cycle.release} is on trial; `shelfrank guard` decides on it"


def outcome_text(outcome: Outcome, release: int | None) -> str:
    """Say how a cycle ended."""
    return str(outcome) if release is None else f"release {release} is {outcome}"
