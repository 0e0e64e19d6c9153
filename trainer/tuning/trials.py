"""Trials of a search for settings: what was tried and what came of it, as values that read and write JSON."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

TRIALS_FILE = "trials.json"
"""Beneath the Tuner's output `tuner_results`: all trials, best first, read by `from_json`."""


@dataclass(frozen=True)
class Outcome:
    """What came of training with some settings.

    Attributes:
        score: the objective, None where training failed.
        epochs: how many it took.
        seconds: how long it took.
        fault: why it failed, empty where it didn't.
    """

    score: float | None
    epochs: int
    seconds: float
    fault: str = ""


@dataclass(frozen=True)
class Trial:
    """A trial of a search: its number, from 1; the values tried, by setting; what came of them; whether an earlier run had done it."""

    number: int
    values: dict[str, Any]
    outcome: Outcome
    kept: bool = False


def best_first(trials: Sequence[Trial]) -> list[Trial]:
    """By score, the earlier of equals first; failed ones last."""
    return sorted(trials, key=lambda trial: -trial.outcome.score if trial.outcome.score is not None else float("inf"))


def value_text(value: Any) -> str:
    """A value in a line or a cell: four digits of a number, `128, 64` of a list."""
    if isinstance(value, list | tuple):
        return ", ".join(map(value_text, value))
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def values_text(values: dict[str, Any]) -> str:
    """All values in a line."""
    return "  ".join(f"{name} {value_text(value)}" for name, value in values.items())


def to_json(trials: Sequence[Trial]) -> str:
    """Read by `from_json`."""
    return json.dumps([asdict(trial) for trial in trials], indent=1)


def from_json(text: str) -> tuple[Trial, ...]:
    """The trials of `to_json`."""
    return tuple(map(from_row, json.loads(text)))


def from_row(row: dict[str, Any]) -> Trial:
    """A trial out of its JSON object."""
    return Trial(**row | {"outcome": Outcome(**row["outcome"])})
