"""Report whether a run released its model, in three places where a client outside the cluster can read it.

Kubeflow Pipelines 2.x reports whether a step succeeded, and its API has no field for a step's result. So it is written

- to the metadata of Release's artifact, which Kubeflow's driver passes to the next step, where the run's workflow shows it;
- to SliceReport's log, as one line;
- to the store, as a file of the run (`components.release.outcomes`).
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass

PROPERTY = "outcome"
"""The property of Release's artifact `pushed_model` that holds `RunOutcome.to_json`."""

_MARK = "shelfrank outcome: "


@dataclass(frozen=True)
class RunOutcome:
    """Whether a run released its model, or why not.

    Attributes:
        released: whether it was published.
        version: the release's number, None where there is none.
        refusals: sentences of the gates and the rehearsal that refused it.
    """

    released: bool
    version: int | None = None
    refusals: Sequence[str] = ()

    def to_json(self) -> str:
        """Return one line of JSON."""
        return json.dumps(asdict(self))

    def line(self) -> str:
        """Return the log line."""
        return _MARK + self.to_json()


def read_outcome(text: str) -> RunOutcome | None:
    """Read an outcome from JSON; None where the text isn't one."""
    try:
        record = json.loads(text)
        return RunOutcome(bool(record["released"]), record.get("version"), tuple(record.get("refusals", ())))
    except (ValueError, TypeError, KeyError):
        return None


def last_outcome(log: str) -> RunOutcome | None:
    """Read the outcome from the last such line of a log; None where there is none."""
    for line in reversed(log.splitlines()):
        _, marked, text = line.partition(_MARK)
        if marked and (outcome := read_outcome(text)):
            return outcome
    return None
