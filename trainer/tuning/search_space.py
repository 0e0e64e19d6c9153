"""The search space: what of `RankerConfig` is tried, between which values, and how the tuner's values become settings."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from types import UnionType
from typing import Any, get_args

from components.contract.base_model import closest
from components.contract.dataset import Dataset
from components.contract.errors import DatasetFileError
from components.contract.tuning import Range, Tuning
from trainer.config import RankerConfig, ranker_config

DEFAULT_SPACE: dict[str, Range | tuple[Any, ...]] = {
    "learning_rate": Range(min=5e-4, max=8e-3, scale="log"),
    "dropout": Range(min=0.0, max=0.4),
    "embedding_dropout": Range(min=0.0, max=0.7),
    "embedding_l2": Range(min=1e-6, max=1e-3, scale="log"),
    "dense": ([64, 32], [128, 64], [256, 128]),
}


@dataclass(frozen=True)
class Choices:
    """A few values of a setting, as `RankerConfig` holds them; numbers ascend, as a Gaussian process takes neighbours for alike."""

    values: tuple[Any, ...]

    def nearest(self, own: Any) -> Any:
        """A value of the space for the setting's own: itself, or else the first."""
        return own if own in self.values else self.values[0]


@dataclass(frozen=True)
class Interval:
    """All numbers of a setting between two, both included; `whole` ones alone where the setting is an integer."""

    low: float
    high: float
    log: bool
    whole: bool

    def nearest(self, own: Any) -> Any:
        """A value of the space for the setting's own: itself, or else the bound it lies beyond."""
        return self.low if own is None else min(max(own, self.low), self.high)


Dimension = Choices | Interval
Values = dict[str, Any]
"""Settings by name, as a trial has them."""


def search_space(dataset: Dataset) -> dict[str, Dimension]:
    """The dimensions of a dataset's search, by setting.

    Raises:
        DatasetFileError: `model` or `tuning` names an unknown setting, gives a value that can't be, or asks for a grid that has no end.
    """
    ranker_config(dataset)
    tuning = tuning_of(dataset)
    faults = [
        f"tuning.{part}.{name}: unknown setting; {closest(name, list(RankerConfig.model_fields))}"
        for part, names in (("trial", tuning.trial), ("space", tuning.space))
        for name in names
        if name not in RankerConfig.model_fields
    ]
    faults += [f"tuning.space.{name}: stands in `tuning.trial` as well; keep one" for name in tuning.space if name in tuning.trial]
    if faults:
        raise DatasetFileError("\n".join(faults))
    for name, value in tuning.trial.items():
        _typed(dataset, f"trial.{name}", value)
    given = tuning.space or {name: setting for name, setting in DEFAULT_SPACE.items() if name not in tuning.trial}
    space = {name: _dimension(dataset, name, setting) for name, setting in given.items()}
    if tuning.algorithm == "grid":
        _check_grid(space, tuning.trials)
    return space


def check_settings(dataset: Dataset) -> None:
    """Check `model`, and `tuning` where there is one.

    Raises:
        DatasetFileError: they name an unknown setting or give a value that can't be.
    """
    ranker_config(dataset)
    if dataset.tuning is not None:
        search_space(dataset)


def own_values(dataset: Dataset, space: Mapping[str, Dimension]) -> Values:
    """What the file's own `model` says of the settings, moved into the space where it lies outside."""
    config = ranker_config(dataset)
    return {name: dimension.nearest(getattr(config, name)) for name, dimension in space.items()}


def trial_config(dataset: Dataset, values: Values) -> RankerConfig:
    """The settings of a trial: those of `model`, those that hold in trials alone, and the values tried."""
    return ranker_config(dataset, {**tuning_of(dataset).trial, **values})


def encoded(value: Any) -> float | int | str:
    """A setting as KerasTuner can hold it: a number as it is, anything else as JSON."""
    return value if isinstance(value, int | float) and not isinstance(value, bool) else json.dumps(value)


def decoded(held: Mapping[str, Any]) -> Values:
    """Values of KerasTuner as settings: `encoded` undone."""
    return {name: json.loads(value) if isinstance(value, str) else value for name, value in held.items()}


def tuned(hyperparameters: Mapping[str, Any] | None) -> Values:
    """The best values, out of what TFX's Tuner hands to the Trainer: the configuration of a `keras_tuner.HyperParameters`."""
    return decoded(hyperparameters["values"]) if hyperparameters else {}


def tuning_of(dataset: Dataset) -> Tuning:
    """The dataset's `tuning`.

    Raises:
        DatasetFileError: there is none.
    """
    if dataset.tuning is None:
        raise DatasetFileError("expected a part `tuning` such as `tuning: {trials: 10}`, found none")
    return dataset.tuning


def _dimension(dataset: Dataset, name: str, setting: Range | tuple[Any, ...]) -> Dimension:
    if isinstance(setting, Range):
        annotation = RankerConfig.model_fields[name].annotation
        kinds = set(get_args(annotation) if isinstance(annotation, UnionType) else (annotation,))
        if not kinds & {int, float}:
            raise DatasetFileError(f"tuning.space.{name}: is no number and has no range; expected choices, a list of values")
        # What a setting allows is an interval: what fits the ends fits between them.
        low, high = (_typed(dataset, f"space.{name}", end) for end in (setting.min, setting.max))
        if setting.stepped is None:
            return Interval(low, high, log=setting.scale == "log", whole=float not in kinds)
        setting = setting.stepped
    values = tuple(_typed(dataset, f"space.{name}", value) for value in setting)
    twice = [value for at, value in enumerate(values) if value in values[:at]]
    if twice:
        raise DatasetFileError(f"tuning.space.{name}: the value {twice[0]!r} stands twice; keep one")
    numbers = all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)
    return Choices(tuple(sorted(values)) if numbers else values)


def _typed(dataset: Dataset, place: str, value: Any) -> Any:
    """The value as `RankerConfig` holds it: the text "1e-3" of a YAML file as a number, a list as a tuple."""
    name = place.partition(".")[2]
    try:
        return getattr(ranker_config(dataset, {name: value}), name)
    except DatasetFileError as error:
        told = str(error).partition(": ")[2]
        raise DatasetFileError(f"tuning.{place}: {told}, got {value!r}") from None


def _check_grid(space: Mapping[str, Dimension], trials: int) -> None:
    endless = [name for name, dimension in space.items() if isinstance(dimension, Interval)]
    if endless:
        raise DatasetFileError(f"tuning.space.{endless[0]}: the algorithm grid needs choices, or a range with a `step`")
    combinations = prod(len(dimension.values) for dimension in space.values() if isinstance(dimension, Choices))
    if combinations > trials:
        raise DatasetFileError(
            f"tuning.trials: the grid has {combinations:,} combinations and `trials` is {trials:,}; raise it, give fewer choices, "
            "or take the algorithm random"
        )
