"""What became of a run's model, in a form that travels: whoever follows a run on Kubeflow from outside learns it by one of three ways.

Kubeflow Pipelines 2.x tells of a step whether it succeeded, and its API has no word of what the step found. So the outcome is put

- into the metadata of Release's artifact, which Kubeflow's driver hands to the next step, where the run's workflow shows it;
- into SliceReport's log, as one line;
- into the store, as a file of the run (`components.release.outcomes`).
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass

PROPERTY = "outcome"
"""Of Release's artifact `pushed_model`: `RunOutcome.to_json`."""

_MARK = "shelfrank outcome: "


@dataclass(frozen=True)
class RunOutcome:
    """What became of a run's model.

    Attributes:
        released: whether it was published.
        version: the release's number, None where there is none.
        refusals: sentences of the gates and the rehearsal that refused it.
    """

    released: bool
    version: int | None = None
    refusals: Sequence[str] = ()

    def to_json(self) -> str:
        """One line of JSON."""
        return json.dumps(asdict(self))

    def line(self) -> str:
        """To be printed, as a line of its own."""
        return _MARK + self.to_json()


def read_outcome(text: str) -> RunOutcome | None:
    """The outcome that a JSON text holds; None where it holds none."""
    try:
        record = json.loads(text)
        return RunOutcome(bool(record["released"]), record.get("version"), tuple(record.get("refusals", ())))
    except (ValueError, TypeError, KeyError):
        return None


def last_outcome(log: str) -> RunOutcome | None:
    """What the last such line of a log says; None where there is none."""
    for line in reversed(log.splitlines()):
        _, marked, text = line.partition(_MARK)
        if marked and (outcome := read_outcome(text)):
            return outcome
    return None
