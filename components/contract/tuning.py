"""The `tuning` part of the dataset file: which settings of the model are tried, and how."""

import math
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Discriminator, Field, Tag, model_validator

from components.contract.base_model import Strict

_MOST_STEPS = 1000


class Range(Strict):
    """Numbers from `min` to `max`, both included."""

    min: float = Field(description="Least value")
    max: float = Field(description="Greatest value")
    scale: Literal["linear", "log"] = Field(
        default="linear", description="log: from 0.001 to 0.01 is as far as from 0.01 to 0.1; for what spans magnitudes"
    )
    step: float | None = Field(
        default=None, description="Only values so far apart, from `min` on; on the scale log the factor between one and the next"
    )

    @model_validator(mode="after")
    def _sound(self) -> "Range":
        if not (math.isfinite(self.min) and math.isfinite(self.max) and self.min < self.max):
            raise ValueError(f"expected min < max, got {self.min:g} and {self.max:g}")
        if self.scale == "log" and self.min <= 0:
            raise ValueError(f"the scale log needs a `min` above 0, got {self.min:g}")
        least = 1 if self.scale == "log" else 0
        if self.step is not None and not (self.step > least and math.isfinite(self.step)):
            raise ValueError(f"on the scale {self.scale} expected a `step` above {least}, got {self.step:g}")
        if self.step is not None and self._steps(self.step) > _MOST_STEPS:
            raise ValueError(f"more than {_MOST_STEPS:,} steps from {self.min:g} to {self.max:g}; widen `step`, or leave it out")
        return self

    @property
    def stepped(self) -> tuple[float, ...] | None:
        """Return the values that a `step` allows: 0, 0.1, 0.2."""
        if self.step is None:
            return None
        numbers = range(self._steps(self.step) + 1)
        exact = (self.min * self.step**n if self.scale == "log" else self.min + n * self.step for n in numbers)
        return tuple(float(f"{value:.12g}") for value in exact)  # so that 0.1 + 0.2 is 0.3

    def _steps(self, step: float) -> int:
        reach = math.log(self.max / self.min, step) if self.scale == "log" else (self.max - self.min) / step
        return math.floor(reach + 1e-9)


def _range_or_choices(value: Any) -> Any:
    if not isinstance(value, dict | list | tuple | Range):
        raise ValueError(f"expected choices such as [1, 2], or a range such as {{min: 1, max: 2}}, got {value!r}")
    return value


Choices = Annotated[tuple[Any, ...], Field(min_length=2)]
Setting = Annotated[
    Annotated[Range, Tag("range")] | Annotated[Choices, Tag("choices")],
    Discriminator(lambda value: "range" if isinstance(value, dict | Range) else "choices"),
    BeforeValidator(_range_or_choices),
]


class Tuning(Strict):
    """A search for better settings of the model, before it is trained for good. With it the graph has a Tuner."""

    algorithm: Literal["bayesian", "random", "grid"] = Field(
        default="bayesian", description="bayesian: tries what earlier trials make likely to be good; random: draws; grid: every combination"
    )
    trials: int = Field(default=10, ge=1, description="How many, at most; the first has the values of `model`, where they lie in the space")
    seed: int | None = Field(default=None, ge=0, description="Of the values drawn; default: the file's `seed`")
    objective: Literal["auc"] = Field(default="auc", description="What trials are compared by: the AUC of the eval window")
    trial: dict[str, Any] = Field(
        default_factory=dict, description="Settings of `model` that hold in the trials alone, such as {epochs: 3} to make them short"
    )
    space: dict[str, Setting] = Field(
        default_factory=dict,
        description="What is tried: settings of `model`, each with choices or a range; default: learning rate, dropout, L2, dense layers",
    )
