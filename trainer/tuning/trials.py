"""Record the trials of a search for settings, their values and outcomes, and read and write them as JSON."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

TRIALS_FILE = "trials.json"
"""Name of the file in the Tuner's output `tuner_results`: all trials, best first, read by `from_json`."""


@dataclass(frozen=True)
class Outcome:
    """Outcome of training with some settings.

    Attributes:
        score: the objective, None where training failed.
        epochs: number of epochs.
        seconds: duration of training.
        fault: why training failed, empty where it didn't.
    """

    score: float | None
    epochs: int
    seconds: float
    fault: str = ""


@dataclass(frozen=True)
class Trial:
    """A trial of a search: number from 1, values by setting, their outcome, and whether an earlier run trained it."""

    number: int
    values: dict[str, Any]
    outcome: Outcome
    kept: bool = False


def best_first(trials: Sequence[Trial]) -> list[Trial]:
    """Sort by score, the earlier of equals first; failed ones last."""
    return sorted(trials, key=lambda trial: -trial.outcome.score if trial.outcome.score is not None else float("inf"))


def value_text(value: Any) -> str:
    """Format a value: four digits of a number, `128, 64` of a list."""
    if isinstance(value, list | tuple):
        return ", ".join(map(value_text, value))
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def values_text(values: dict[str, Any]) -> str:
    """Format all values as a line."""
    return "  ".join(f"{name} {value_text(value)}" for name, value in values.items())


def to_json(trials: Sequence[Trial]) -> str:
    """Encode trials as JSON."""
    return json.dumps([asdict(trial) for trial in trials], indent=1)


def from_json(text: str) -> tuple[Trial, ...]:
    """Decode trials written by `to_json`."""
    return tuple(map(from_row, json.loads(text)))


def from_row(row: dict[str, Any]) -> Trial:
    """Decode a trial from its JSON object."""
    return Trial(**row | {"outcome": Outcome(**row["outcome"])})
