"""Define the search space: the settings that are tried, their values, and their encoding for KerasTuner."""

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
    """Discrete values of a setting; numbers ascend, as a Gaussian process takes neighbours for similar."""

    values: tuple[Any, ...]

    def nearest(self, own: Any) -> Any:
        """Return the setting's own value if it is in the space, else the first value."""
        return own if own in self.values else self.values[0]


@dataclass(frozen=True)
class Interval:
    """Numbers of a setting from `low` to `high`, both included; `whole` ones alone where the setting is an integer."""

    low: float
    high: float
    log: bool
    whole: bool

    def nearest(self, own: Any) -> Any:
        """Return the setting's own value, clipped to the interval; `low` for None."""
        return self.low if own is None else min(max(own, self.low), self.high)


Dimension = Choices | Interval
Values = dict[str, Any]
"""A trial's values by name of the setting."""


def search_space(dataset: Dataset) -> dict[str, Dimension]:
    """Derive the dimensions of a dataset's search, by setting.

    Raises:
        DatasetFileError: `model` or `tuning` has an unknown setting or an invalid value, or the grid is infinite or
            larger than `trials`.
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
    settings = tuning.space or {name: setting for name, setting in DEFAULT_SPACE.items() if name not in tuning.trial}
    space = {name: _dimension(dataset, name, setting) for name, setting in settings.items()}
    if tuning.algorithm == "grid":
        _check_grid(space, tuning.trials)
    return space


def check_settings(dataset: Dataset) -> None:
    """Check `model`, and `tuning` where there is one.

    Raises:
        DatasetFileError: they have an unknown setting or an invalid value.
    """
    ranker_config(dataset)
    if dataset.tuning is not None:
        search_space(dataset)


def own_values(dataset: Dataset, space: Mapping[str, Dimension]) -> Values:
    """Return the settings of the file's `model`, moved into the space where they are outside."""
    config = ranker_config(dataset)
    return {name: dimension.nearest(getattr(config, name)) for name, dimension in space.items()}


def trial_config(dataset: Dataset, values: Values) -> RankerConfig:
    """Return a trial's settings: `model`, overridden by `tuning.trial`, overridden by the values tried."""
    return ranker_config(dataset, {**tuning_of(dataset).trial, **values})


def encoded(value: Any) -> float | int | str:
    """Encode a setting for KerasTuner: a number as it is, anything else as JSON."""
    return value if isinstance(value, int | float) and not isinstance(value, bool) else json.dumps(value)


def decoded(values: Mapping[str, Any]) -> Values:
    """Decode values of KerasTuner to settings."""
    return {name: json.loads(value) if isinstance(value, str) else value for name, value in values.items()}


def tuned(hyperparameters: Mapping[str, Any] | None) -> Values:
    """Decode the best values, which TFX passes on as the configuration of a `keras_tuner.HyperParameters`."""
    return decoded(hyperparameters["values"]) if hyperparameters else {}


def tuning_of(dataset: Dataset) -> Tuning:
    """Return the dataset's `tuning`.

    Raises:
        DatasetFileError: there is none.
    """
    if dataset.tuning is None:
        raise DatasetFileError("expected a part `tuning` such as `tuning: {trials: 10}`, found none")
    return dataset.tuning


def _dimension(dataset: Dataset, name: str, setting: Range | tuple[Any, ...]) -> Dimension:
    """Check a part of `tuning.space` and convert its values."""
    if isinstance(setting, Range):
        annotation = RankerConfig.model_fields[name].annotation
        kinds = set(get_args(annotation) if isinstance(annotation, UnionType) else (annotation,))
        if not kinds & {int, float}:
            raise DatasetFileError(f"tuning.space.{name}: is no number and has no range; expected choices, a list of values")
        # The valid values of a setting are an interval: if both ends are valid, all between them are.
        low, high = (_typed(dataset, f"space.{name}", end) for end in (setting.min, setting.max))
        if setting.stepped is None:
            return Interval(low, high, log=setting.scale == "log", whole=float not in kinds)
        setting = setting.stepped
    values = tuple(_typed(dataset, f"space.{name}", value) for value in setting)
    repeated = [value for at, value in enumerate(values) if value in values[:at]]
    if repeated:
        raise DatasetFileError(f"tuning.space.{name}: the value {repeated[0]!r} stands twice; keep one")
    numbers = all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)
    return Choices(tuple(sorted(values)) if numbers else values)


def _typed(dataset: Dataset, path: str, value: Any) -> Any:
    """Convert a value as `RankerConfig` does: the text "1e-3" of a YAML file to a number, a list to a tuple."""
    name = path.partition(".")[2]
    try:
        return getattr(ranker_config(dataset, {name: value}), name)
    except DatasetFileError as error:
        fault = str(error).partition(": ")[2]
        raise DatasetFileError(f"tuning.{path}: {fault}, got {value!r}") from None


def _check_grid(space: Mapping[str, Dimension], trials: int) -> None:
    intervals = [name for name, dimension in space.items() if isinstance(dimension, Interval)]
    if intervals:
        raise DatasetFileError(f"tuning.space.{intervals[0]}: the algorithm grid needs choices, or a range with a `step`")
    combinations = prod(len(dimension.values) for dimension in space.values() if isinstance(dimension, Choices))
    if combinations > trials:
        raise DatasetFileError(
            f"tuning.trials: the grid has {combinations:,} combinations and `trials` is {trials:,}; raise it, give fewer choices, "
            "or take the algorithm random"
        )
