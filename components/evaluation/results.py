"""Hold an evaluation's metrics by slice and model, compare two models, and convert to and from JSON."""

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from components.evaluation.display_names import Slice
from components.evaluation.metrics.intervals import CONFIDENCE, FEWEST_SHOPPERS, half_width, p_value
from components.evaluation.metrics.standard_errors import change_error_of, error_of

# A name from `slices.band_names`: `0`, `1-2`, `10+`, `below 5`, `5 to 20`, `from 20`.
_NUMBER = r"-?\d+(?:\.\d+)?(?:e[+-]?\d+)?"
_BAND = re.compile(rf"\d+|\d+-\d+|\d+\+|(?:below|from) {_NUMBER}|{_NUMBER} to {_NUMBER}")

Model = Literal["challenger", "champion"]
CHALLENGER: Model = "challenger"
CHAMPION: Model = "champion"


@dataclass(frozen=True, slots=True)
class SliceMetrics:
    """The metrics of one model in one slice; NaN where the slice doesn't define one."""

    slice: Slice
    model: Model
    values: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Comparison:
    """The metrics of challenger and champion in one slice."""

    slice: Slice
    challenger: Mapping[str, float]
    champion: Mapping[str, float]

    def change(self, metric: str) -> float:
        """Return challenger minus champion, as TFMA does."""
        return self.challenger[metric] - self.champion[metric]

    def change_margin(self, metric: str, *, confidence: float = CONFIDENCE) -> float:
        """Return half the width of the change's interval, from the paired standard error; NaN if it isn't known."""
        return _half_width(self.challenger, change_error_of(metric), confidence=confidence)

    def falls_by_chance(self, metric: str, *, limit: float) -> float:
        """Return the p-value of the hypothesis that the metric fell by no more than the limit; NaN without an
        interval."""
        if not judged_shoppers(self.challenger) >= FEWEST_SHOPPERS:
            return math.nan
        error = self.challenger.get(change_error_of(metric), math.nan)
        return p_value(self.change(metric) + limit, error, self.challenger["effective_shoppers"])

    @property
    def judged_requests(self) -> int:
        """The number of requests with a positive: those the listwise metrics are means of."""
        return int(self.challenger["requests"] - self.challenger["requests_without_positive"])

    @property
    def judged_shoppers(self) -> int:
        """The number of shoppers with such a request; 0 where they aren't known."""
        return int(judged_shoppers(self.challenger))


def judged_shoppers(values: Mapping[str, float]) -> float:
    """Count the shoppers who have a request with a positive; 0 where they aren't known."""
    count = values.get("shoppers", math.nan) - values.get("shoppers_without_positive", math.nan)
    return 0.0 if math.isnan(count) else count


def margin(values: Mapping[str, float], metric: str) -> float:
    """Return half the width of a metric's 95 % interval; NaN if its standard error isn't known."""
    return _half_width(values, error_of(metric))


def _half_width(values: Mapping[str, float], error: str, *, confidence: float = CONFIDENCE) -> float:
    """Return NaN with fewer than `FEWEST_SHOPPERS` shoppers who have a positive."""
    if not judged_shoppers(values) >= FEWEST_SHOPPERS:
        return math.nan
    return half_width(values.get(error, math.nan), values["effective_shoppers"], confidence=confidence)


def compared(metrics: Iterable[SliceMetrics]) -> tuple[Comparison, ...]:
    """Pair the models' metrics by slice: all requests first, then by feature, bands in order, larger slices first."""
    models: dict[Slice, dict[Model, Mapping[str, float]]] = {}
    values_of: dict[str, set[str]] = {}
    for entry in metrics:
        models.setdefault(entry.slice, {})[entry.model] = entry.values
        for name, value in entry.slice:
            values_of.setdefault(name, set()).add(value)
    banded = {name for name, values in values_of.items() if all(not value or _BAND.fullmatch(value) for value in values)}

    def order(each: Comparison) -> tuple[int, list[str], list[float], float, Slice]:
        lows = [_low(value) for name, value in each.slice if name in banded]
        return len(each.slice), [name for name, _ in each.slice], lows, -each.challenger["requests"], each.slice

    return tuple(sorted((Comparison(where, values[CHALLENGER], values[CHAMPION]) for where, values in models.items()), key=order))


def _low(band: str) -> float:
    """Return the lower end of a band, to sort by; the band of missing values is the last."""
    if not band:
        return math.inf
    return -math.inf if band.startswith("below ") else float(re.findall(_NUMBER, band)[0])


def to_json(metrics: Iterable[SliceMetrics]) -> list[dict[str, Any]]:
    """Convert to JSON values; NaN becomes null."""
    return [
        {
            "slice": dict(entry.slice),
            "model": entry.model,
            "metrics": {name: None if math.isnan(value) else value for name, value in entry.values.items()},
        }
        for entry in metrics
    ]


def from_json(entries: Iterable[Mapping[str, Any]]) -> tuple[SliceMetrics, ...]:
    """Convert the values of `to_json` back."""
    return tuple(
        SliceMetrics(
            slice=tuple(entry["slice"].items()),
            model=entry["model"],
            values={name: math.nan if value is None else float(value) for name, value in entry["metrics"].items()},
        )
        for entry in entries
    )
