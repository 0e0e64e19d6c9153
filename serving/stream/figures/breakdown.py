"""Number the combinations of version, arms and segment that requests have, few enough for a metrics server."""

import json
from dataclasses import dataclass
from typing import final

import numpy as np
import polars as pl
from numpy.typing import NDArray

MOST_COMBINATIONS = 4096
MOST_VALUES = 50  # of one dimension
OTHER = "other"


@dataclass(frozen=True)
class Dimension:
    """One value by which figures are split.

    Attributes:
        by: "all", "version", "arm" or "segment".
        experiment: of an arm; "" elsewhere.
        value: the version, the arm or the segment; "" where the exposure names none.
    """

    by: str
    experiment: str = ""
    value: str = ""


@final
class Breakdown:
    """Number combinations as they occur. Values and combinations beyond the limits count as `other`."""

    def __init__(self) -> None:
        self._numbers: dict[tuple[str, str, str], int] = {}
        self._values: dict[tuple[str, str], set[str]] = {}
        self.dimensions: list[tuple[Dimension, ...]] = []

    def number(self, requests: pl.DataFrame) -> NDArray[np.int32]:
        """Return the combination of each request, from text columns `version`, `arms` (JSON) and `segment`."""
        distinct = requests.unique(["version", "arms", "segment"], maintain_order=True)
        numbered = distinct.with_columns(pl.Series("number", [self._number(*row) for row in distinct.iter_rows()], dtype=pl.Int32))
        joined = requests.join(numbered, on=["version", "arms", "segment"], how="left", maintain_order="left")
        return joined["number"].to_numpy()

    def _number(self, version: str, arms: str, segment: str) -> int:
        combination = (version, arms, segment)
        if combination not in self._numbers:
            if len(self.dimensions) >= MOST_COMBINATIONS:
                combination = (OTHER, "", OTHER)
            if combination not in self._numbers:
                self._numbers[combination] = len(self.dimensions)
                self.dimensions.append(self._split(*combination))
        return self._numbers[combination]

    def _split(self, version: str, arms: str, segment: str) -> tuple[Dimension, ...]:
        by_arm = (Dimension("arm", name, self._limited("arm", name, arm)) for name, arm in parse_arms(arms).items())
        return (
            Dimension("all"),
            Dimension("version", value=self._limited("version", "", version)),
            Dimension("segment", value=self._limited("segment", "", segment)),
            *by_arm,
        )

    def _limited(self, by: str, experiment: str, value: str) -> str:
        if by == "arm":
            experiments = self._values.setdefault((by, ""), set())
            if experiment not in experiments and len(experiments) >= MOST_VALUES:
                return OTHER
            experiments.add(experiment)
        values = self._values.setdefault((by, experiment), set())
        if value in values or len(values) < MOST_VALUES:
            values.add(value)
            return value
        return OTHER


def parse_arms(arms: str) -> dict[str, str]:
    """Return a request's arms by experiment, of the JSON text in the log; none where it isn't that."""
    try:
        parsed = json.loads(arms) if arms else {}
    except ValueError:
        return {}
    return {str(name): str(arm) for name, arm in parsed.items()} if isinstance(parsed, dict) else {}
