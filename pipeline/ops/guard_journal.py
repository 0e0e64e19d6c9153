"""The guard's journal: a line of JSON for each trial that ended, beside the releases."""

import json
import os
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from serving.guard.decision import Decision
from serving.guard.trial_store import TrialState

FILE = "guard.jsonl"


@dataclass(frozen=True)
class Entry:
    """How a trial ended.

    Attributes:
        decided: when, ISO 8601, UTC.
        since: when it had begun.
        canary: the version that was tried.
        stable: that it was compared with.
        decision: `promote` or `roll back`.
        reason: the sentence.
        requests: of each side, until then.
        settled: of them, for clicks.
        done: whether the labels were moved; False where somebody had moved them meanwhile.
    """

    decided: str
    since: str
    canary: int
    stable: int
    decision: Decision
    reason: str
    requests: dict[str, int]
    settled: dict[str, int]
    done: bool


def entry(standing: TrialState, *, done: bool) -> Entry:
    """The line of a trial that has its verdict."""
    assert standing.outcome is not None
    trial, found, watch = standing.trial, standing.outcome, standing.test
    return Entry(
        decided=_moment(standing.ended_us),
        since=_moment(trial.since_us),
        canary=trial.canary,
        stable=trial.stable,
        decision=found.decision,
        reason=found.reason,
        requests={"canary": int(watch.canary.requests), "stable": int(watch.stable.requests)},
        settled={"canary": int(watch.canary.settled), "stable": int(watch.stable.settled)},
        done=done,
    )


def _moment(time_us: int) -> str:
    return datetime.fromtimestamp(time_us / 1e6, UTC).isoformat()


def note(new: Entry, releases: Path) -> None:
    """Write a line, on the disk when this returns. One that is there already, from before a kill, isn't repeated."""
    file = releases / FILE
    told = asdict(new)
    text = file.read_text(encoding="utf-8") if file.exists() else ""
    if text and not text.endswith("\n"):  # the line that a kill tore
        text = text[: text.rfind("\n") + 1]
        os.truncate(file, len(text.encode()))
    if any(_same(line, told) for line in text.splitlines()[-1:]):
        return
    with file.open("a", encoding="utf-8") as written:
        written.write(json.dumps(told, ensure_ascii=False) + "\n")
        written.flush()
        os.fsync(written.fileno())


def _same(line: str, told: dict[str, Any]) -> bool:
    try:
        last = json.loads(line)
        return all(last[name] == told[name] for name in ("decided", "canary", "stable"))
    except (ValueError, KeyError, TypeError):
        return False
