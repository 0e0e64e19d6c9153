"""One line in a step's log by which whoever follows a run from outside learns what became of its model.

Kubeflow Pipelines 2.x tells of a step whether it succeeded, and nothing of what it found: neither the metadata of its artifacts nor
its parameters are in the API. Its log is.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass

_MARK = "shelfrank outcome: "


@dataclass(frozen=True)
class Announced:
    """What became of a run's model.

    Attributes:
        released: whether it was published.
        version: the release's number, None where there is none.
        refusals: sentences of the gates and the rehearsal that refused it.
    """

    released: bool
    version: int | None = None
    refusals: Sequence[str] = ()

    def line(self) -> str:
        """To be printed, as a line of its own."""
        return _MARK + json.dumps(asdict(self))


def announced(log: str) -> Announced | None:
    """What the last such line of a log says; None where there is none."""
    for line in reversed(log.splitlines()):
        _, marked, told = line.partition(_MARK)
        if marked:
            try:
                given = json.loads(told)
                return Announced(bool(given["released"]), given.get("version"), tuple(given.get("refusals", ())))
            except (ValueError, TypeError, KeyError):
                continue
    return None
