"""The ledger of retraining, `retrain/ledger.jsonl`: a line for each step of each cycle, the only record of where it is."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, final

from components.contract.errors import ShelfRankError
from components.contract.storage.json_lines import append_json_line, read_json_lines
from components.drift.decision import Action, Decision, Reason
from pipeline.retrain.cycle import Cycle, Event, with_line
from pipeline.retrain.lease import Lease

FILE = "ledger.jsonl"
FOLDER = "retrain"
"""Of the ledger, beside the releases of the runs."""


@dataclass(frozen=True)
class History:
    """What the ledger says.

    Attributes:
        started: when retraining was first put to work as a process; None where it never was.
        cycles: the oldest first.
    """

    started: datetime | None = None
    cycles: tuple[Cycle, ...] = ()

    @property
    def open(self) -> Cycle | None:
        """The cycle that goes on; there is one at most."""
        return next((cycle for cycle in self.cycles if cycle.outcome is None), None)

    @property
    def frozen(self) -> Cycle | None:
        """The cycle that has frozen everything until a person lifts it."""
        return next((cycle for cycle in self.cycles if cycle.frozen), None)

    @property
    def lifted_at(self) -> datetime | None:
        """When a person last lifted a freeze; None where nobody did."""
        return max((cycle.lifted_at for cycle in self.cycles if cycle.lifted_at), default=None)

    def keys(self, kind: str) -> tuple[str, ...]:
        """Return the keys of the triggers of a kind that have had their cycle."""
        return tuple(cycle.triggers[kind] for cycle in self.cycles if kind in cycle.triggers)


@final
class Ledger:
    """Read and append the ledger in a folder.

    Args:
        folder: of retraining.
        lease: held by whoever appends; None to read only.
    """

    def __init__(self, folder: Path, lease: Lease | None = None) -> None:
        self.file, self._lease = folder / FILE, lease

    def history(self) -> History:
        """Return what it says.

        Raises:
            ShelfRankError: a line isn't one of a ledger.
        """
        return parse_history(read_json_lines(self.file), str(self.file))

    def append(self, event: Event, cycle: int, *, now: datetime, **values: Any) -> None:
        """Append a line about a cycle; it is on the disk when this returns.

        Raises:
            RunError: another process has taken the lease.
        """
        assert self._lease is not None
        self._lease.check()
        append_json_line(self.file, {"time": now.isoformat(), "cycle": cycle, "event": event, **values})


def decided(cycle: Cycle) -> dict[str, Any]:
    """Return the values of the line that a cycle begins with."""
    return {
        "triggers": dict(cycle.triggers),
        "decision": asdict(cycle.decision),
        "data_until": cycle.data_until,
        "parent": cycle.parent,
    }


def parse_history(lines: Iterable[Mapping[str, Any]], name: str = "ledger") -> History:
    """Replay the lines of a ledger; `name` is the file's in errors."""
    started, cycles = None, dict[int, Cycle]()
    for number, line in enumerate(lines, 1):
        try:
            if line["event"] == Event.STARTED:
                started = started or datetime.fromisoformat(line["time"])
            elif line["event"] == Event.DECIDED:
                cycles[line["cycle"]] = _begun(line)
            else:
                cycles[line["cycle"]] = with_line(cycles[line["cycle"]], line)
        except (KeyError, ValueError, TypeError, AttributeError) as error:
            raise ShelfRankError(f"{name}:{number}: expected a line of the ledger: {error!r}; correct it, or delete it") from None
    return History(started, tuple(cycles.values()))


def _begun(line: Mapping[str, Any]) -> Cycle:
    reasons = tuple(Reason(**{**reason, "action": Action(reason["action"])}) for reason in line["decision"]["reasons"])
    return Cycle(
        number=line["cycle"],
        began=datetime.fromisoformat(line["time"]),
        triggers=line["triggers"],
        decision=Decision(action=Action(line["decision"]["action"]), reasons=reasons),
        data_until=line["data_until"],
        parent=line["parent"],
    )
