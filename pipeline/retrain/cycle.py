"""A cycle of retraining, from its decision to its outcome, as the lines of the ledger say; and its next step."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from components.contract.storage.labels import CANARY, STABLE, Labels
from components.drift.decision import Action, Decision

ATTEMPTS = 3  # of a training that fails, unless it was asked for by hand
FIRST_RETRY_S = 60.0  # then four times as long
HAND = "hand"


class Outcome(StrEnum):
    """How a cycle ended."""

    PROMOTED = "promoted"
    ROLLED_BACK = "rolled back"
    REFUSED = "refused"
    UNCHANGED = "unchanged"
    OVERTAKEN = "overtaken"
    FAILED = "failed"
    NOTHING = "nothing"
    FROZEN = "frozen"


class Event(StrEnum):
    """What a line of the ledger records."""

    STARTED = "started"  # retraining was put to work for the first time
    DECIDED = "decided"
    TRAINING = "training"
    FAILED = "failed"
    TRAINED = "trained"
    ON_TRIAL = "on trial"
    ENDED = "ended"
    LIFTED = "lifted"


@dataclass(frozen=True, kw_only=True)
class Cycle:
    """A cycle, as far as it has come.

    Attributes:
        number: from 1.
        began: when it was decided on.
        triggers: what asked for it: `schedule`, `drift`, `metric` or `hand`, each with the key by which it asks once.
        decision: what is done, and why.
        data_until: end of its data; "": as the dataset file says.
        parent: the release in force when it began, None where there was none.
        attempts: how often the training was begun; one that a kill interrupted goes on.
        failures: a sentence for each training that failed.
        failed_at: time of the last failure.
        hopeless: another attempt would fail alike, as where the data is bad.
        trained: when the training ended.
        release: version that it published; None: the gates or the rehearsal refused the model.
        sentences: of the gates and the rehearsal.
        window: of the data that was read, as in ingestion's report.
        metrics: of the model over the whole test window.
        seconds: of the trainings that ended.
        processor_seconds: likewise; None where they ran elsewhere.
        run: Kubeflow's id of the run; "" on this machine.
        on_trial: when the release was labelled `canary`.
        outcome: None while it goes on.
        reason: of the outcome.
        ended: when that was.
        lifted: of a freeze, why a person lifted it; "" while it lasts.
        lifted_at: when that was.
    """

    number: int
    began: datetime
    triggers: Mapping[str, str]
    decision: Decision
    data_until: str
    parent: int | None
    attempts: int = 0
    failures: tuple[str, ...] = ()
    failed_at: datetime | None = None
    hopeless: bool = False
    trained: datetime | None = None
    release: int | None = None
    sentences: tuple[str, ...] = ()
    window: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, float | None] = field(default_factory=dict)
    seconds: float = 0.0
    processor_seconds: float | None = None
    run: str = ""
    on_trial: datetime | None = None
    outcome: Outcome | None = None
    reason: str = ""
    ended: datetime | None = None
    lifted: str = ""
    lifted_at: datetime | None = None

    @property
    def run_id(self) -> str:
        """The id by which its training is the same run, however often it is started."""
        return f"retrain-{self.number}-{self.began:%Y%m%dt%H%M%S}"

    @property
    def start(self) -> str:
        """What its training starts from."""
        return "warm" if self.decision.action == Action.RETRAIN_WARM else "full"

    @property
    def frozen(self) -> bool:
        """Whether it ended in a freeze that lasts."""
        return self.outcome == Outcome.FROZEN and not self.lifted


class Standing(StrEnum):
    """What became of a release's labels."""

    UNLABELLED = "unlabelled"
    ON_TRIAL = "on trial"
    PROMOTED = "promoted"
    ROLLED_BACK = "rolled back"
    OVERTAKEN = "overtaken"


def standing(labels: Labels | None, release: int, parent: int | None) -> Standing:
    """Return what became of a release that is to follow `parent`; the labels' history says so even after a kill."""
    if labels is None:
        return Standing.UNLABELLED
    stable = labels.now.get(STABLE)
    if stable == release:
        return Standing.PROMOTED
    if release in labels.carried.get(CANARY, ()):
        return Standing.ON_TRIAL if labels.now.get(CANARY) == release else Standing.ROLLED_BACK
    return Standing.UNLABELLED if stable in (parent, None) else Standing.OVERTAKEN


class Step(StrEnum):
    """What a cycle does next."""

    TRAIN = "train"
    PROMOTE = "promote"
    TRY = "try"
    WITHDRAW = "withdraw"
    WAIT = "wait"


@dataclass(frozen=True)
class End:
    """A cycle's outcome with its reason."""

    outcome: Outcome
    reason: str = ""


def next_step(cycle: Cycle, labels: Labels | None, *, now: datetime, canary: bool, patience_s: float) -> Step | End:
    """Return what a cycle that hasn't ended does next; the same again after a kill.

    Args:
        cycle: as far as it has come.
        labels: of the releases, None where none was ever set.
        now: the present.
        canary: whether a release is tried before it is promoted.
        patience_s: how long a trial may last.
    """
    match cycle.decision.action:
        case Action.NOTHING:
            return End(Outcome.NOTHING)
        case Action.FREEZE:
            return End(Outcome.FROZEN, " ".join(each.text for each in cycle.decision.reasons if each.action == Action.FREEZE))
    if cycle.trained is None:
        return _training(cycle, now)
    if cycle.release is None:
        return End(Outcome.REFUSED, " ".join(cycle.sentences))
    if cycle.release == cycle.parent:
        return End(Outcome.UNCHANGED, f"the model is that of release {cycle.release}, byte by byte")
    match standing(labels, cycle.release, cycle.parent):
        case Standing.PROMOTED:
            return End(Outcome.PROMOTED)
        case Standing.ROLLED_BACK:
            return End(Outcome.ROLLED_BACK)
        case Standing.OVERTAKEN:
            assert labels is not None
            return End(Outcome.OVERTAKEN, f"stable was release {cycle.parent}, and somebody has moved it to {labels.now[STABLE]} meanwhile")
        case Standing.ON_TRIAL:
            late = cycle.on_trial is not None and (now - cycle.on_trial).total_seconds() > patience_s
            return Step.WITHDRAW if late else Step.WAIT
        case Standing.UNLABELLED:
            if not canary or cycle.parent is None:
                return Step.PROMOTE
            return Step.TRY if labels is None or labels.now.get(CANARY) in (None, labels.now.get(STABLE)) else Step.WAIT


def _training(cycle: Cycle, now: datetime) -> Step | End:
    if not cycle.failures:
        return Step.TRAIN
    if cycle.hopeless or len(cycle.failures) >= (1 if set(cycle.triggers) == {HAND} else ATTEMPTS):
        return End(Outcome.FAILED, cycle.failures[-1])
    assert cycle.failed_at is not None
    again = cycle.failed_at + timedelta(seconds=FIRST_RETRY_S * 4 ** (len(cycle.failures) - 1))
    return Step.TRAIN if now >= again else Step.WAIT


def with_line(cycle: Cycle, line: Mapping[str, Any]) -> Cycle:
    """Return the cycle after a line of the ledger about it."""
    time = datetime.fromisoformat(line["time"])
    match line["event"]:
        case Event.TRAINING:
            return replace(cycle, attempts=cycle.attempts + 1)
        case Event.FAILED:
            failed = replace(cycle, failures=(*cycle.failures, line["reason"]), failed_at=time, hopeless=line["hopeless"])
            return _with_cost(failed, line)
        case Event.TRAINED:
            fields = {name: line[name] for name in ("release", "window", "metrics", "run")}
            return _with_cost(replace(cycle, trained=time, sentences=tuple(line["sentences"]), **fields), line)
        case Event.ON_TRIAL:
            return replace(cycle, on_trial=time)
        case Event.ENDED:
            return replace(cycle, ended=time, outcome=Outcome(line["outcome"]), reason=line["reason"])
        case Event.LIFTED:
            return replace(cycle, lifted=line["reason"], lifted_at=time)
    return cycle


def _with_cost(cycle: Cycle, line: Mapping[str, Any]) -> Cycle:
    known = [each for each in (cycle.processor_seconds, line["processor_seconds"]) if each is not None]
    return replace(cycle, seconds=cycle.seconds + line["seconds"], processor_seconds=sum(known) if known else None)
