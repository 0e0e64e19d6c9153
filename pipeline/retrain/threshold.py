"""A threshold on a live figure, as an alert rule has it, read from the page of metrics that a service exports."""

import math
import re
import urllib.request
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from components.contract.errors import InputError, SourceUnavailable

_TIMEOUT_S = 10.0
_SELECTOR = r"([a-zA-Z_:][\w:]*)\s*(?:\{([^}]*)\})?"
_EXPRESSION = re.compile(rf"\s*{_SELECTOR}\s*(?:/\s*{_SELECTOR})?\s*(<=|>=|<|>)\s*([-+.\deE]+)\s*")
_LABEL = re.compile(r'\s*(\w+)\s*=\s*"([^"]*)"\s*')
_COMPARISONS = {"<": float.__lt__, "<=": float.__le__, ">": float.__gt__, ">=": float.__ge__}


@dataclass(frozen=True)
class Selector:
    """Samples of a name with these values of labels; their value is the sum."""

    name: str
    labels: frozenset[tuple[str, str]]

    def value(self, samples: Iterable[Sample]) -> float:
        """Return the sum of the matching samples; NaN where none matches."""
        values = [each.value for each in samples if each.name == self.name and self.labels <= set(each.labels.items())]
        return math.fsum(values) if values else math.nan


@dataclass(frozen=True)
class Threshold:
    """A limit of a figure, or of the ratio of two.

    Attributes:
        text: as it was written.
        figure: the figure, or the numerator.
        over: the denominator, if there is one.
        comparison: `<`, `<=`, `>` or `>=`.
        limit: number to compare with.
    """

    text: str
    figure: Selector
    over: Selector | None
    comparison: str
    limit: float

    def crossed(self, samples: Iterable[Sample]) -> float | None:
        """Return the value where it is beyond the limit; None where it isn't, or there is none."""
        samples = list(samples)
        value = self.figure.value(samples)
        if self.over is not None:
            total = self.over.value(samples)
            value = value / total if total else math.nan
        return value if _COMPARISONS[self.comparison](value, self.limit) else None


def parse_threshold(text: str) -> Threshold:
    """Read `NAME{LABEL="VALUE"} / NAME < NUMBER`; labels and the second name may be left out.

    Raises:
        InputError: it isn't one.
    """
    match = _EXPRESSION.fullmatch(text)
    try:
        if match is None:
            raise ValueError(text)
        name, labels, over, over_labels, comparison, limit = match.groups()
        denominator = Selector(over, _labels(over_labels)) if over else None
        return Threshold(text.strip(), Selector(name, _labels(labels)), denominator, comparison, float(limit))
    except ValueError:
        raise InputError(f"""--when: expected NAME{{LABEL="VALUE"}} / NAME < NUMBER, labels and ratio as needed, got {text!r}""") from None


def read_samples(page: str) -> list[Sample]:
    """Read the samples of a page of metrics, by http:// or from a file.

    Raises:
        SourceUnavailable: it can't be read.
    """
    try:
        if "://" in page:
            with urllib.request.urlopen(page, timeout=_TIMEOUT_S) as answer:
                text = answer.read().decode("utf-8", "replace")
        else:
            text = Path(page).read_text(encoding="utf-8")
        return [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    except (OSError, ValueError) as error:
        raise SourceUnavailable(f"{page}: expected a page of Prometheus' metrics, can't read it: {error}") from None


def _labels(text: str | None) -> frozenset[tuple[str, str]]:
    matches = [_LABEL.fullmatch(each) for each in (text or "").split(",") if each.strip()]
    if None in matches:
        raise ValueError(text)
    return frozenset((match[1], match[2]) for match in matches if match)
