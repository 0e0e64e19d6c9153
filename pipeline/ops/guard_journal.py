"""Append a line of JSON for each finished trial to the guard's journal, beside the releases."""

from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from components.contract.storage.json_lines import append_json_line, read_json_lines
from serving.guard.decision import Decision
from serving.guard.trial_store import TrialState

FILE = "guard.jsonl"


@dataclass(frozen=True)
class Entry:
    """The end of a trial.

    Attributes:
        decided: time of the decision, ISO 8601, UTC.
        since: time of the trial's start.
        canary: the version on trial.
        stable: the version that it was compared with.
        decision: `promote` or `roll back`.
        reason: a sentence.
        requests: number of each version's, until then.
        settled: number of them whose click window had ended.
        clicked: number of those with a click.
        done: whether the labels were moved; False where another process had moved them meanwhile.
    """

    decided: str
    since: str
    canary: int
    stable: int
    decision: Decision
    reason: str
    requests: dict[str, int]
    settled: dict[str, int]
    clicked: dict[str, int]
    done: bool


def new_entry(standing: TrialState, *, done: bool) -> Entry:
    """Return the entry of a trial that is decided."""
    assert standing.outcome is not None
    trial, verdict, watch = standing.trial, standing.outcome, standing.test
    return Entry(
        decided=_moment(standing.ended_us),
        since=_moment(trial.since_us),
        canary=trial.canary,
        stable=trial.stable,
        decision=verdict.decision,
        reason=verdict.reason,
        requests={"canary": int(watch.canary.requests), "stable": int(watch.stable.requests)},
        settled={"canary": int(watch.canary.settled), "stable": int(watch.stable.settled)},
        clicked={"canary": int(watch.canary.clicked), "stable": int(watch.stable.clicked)},
        done=done,
    )


def _moment(time_us: int) -> str:
    return datetime.fromtimestamp(time_us / 1e6, UTC).isoformat()


def append_entry(entry: Entry, releases: Path) -> None:
    """Append a line and flush it to the disk. A line that was written before a kill isn't repeated."""
    file, values = releases / FILE, asdict(entry)
    last = read_entries(releases)[-1:]
    if not any(all(each.get(name) == values[name] for name in ("decided", "canary", "stable")) for each in last):
        append_json_line(file, values)


def read_entries(releases: Path) -> list[dict[str, Any]]:
    """Return the journal's lines, the oldest first."""
    return read_json_lines(releases / FILE)
