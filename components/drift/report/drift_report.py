"""Hold what a comparison of two windows came to: the decision, and what a reader wants to see of each column."""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from components.drift.decision import Action, Decision


@dataclass(frozen=True, kw_only=True)
class Span:
    """A window: from its first request's hour to the end of its last one's (ISO 8601, UTC), and how many there are."""

    start: str
    end: str
    requests: int
    by_day: tuple[tuple[str, int], ...]  # date and requests, ascending


@dataclass(frozen=True, kw_only=True)
class ColumnRow:
    """A column that was compared.

    Attributes:
        name: of the column.
        kind: "number" or "text".
        changed: tests that are significant over all columns: "distribution", "missing", "unseen".
        p: of the test of the distribution, by itself.
        effect: Jensen-Shannon divergence in bits for a number, greatest difference of a value's share for a text.
        missing: the share of missing values, in the reference and in the window.
        unseen: the share of rows with a value that the reference lacks; None for a number.
        median: in the reference and in the window; None for a text.
        cells: ranges or values, for a plot.
        shares: of each cell, in the reference and in the window.
    """

    name: str
    kind: str
    changed: tuple[str, ...]
    p: float
    effect: float
    missing: tuple[float, float]
    unseen: float | None
    median: tuple[float, float] | None
    cells: tuple[str, ...]
    shares: tuple[tuple[float, ...], tuple[float, ...]]


@dataclass(frozen=True, kw_only=True)
class QualityRow:
    """A ranking metric of a slice, in both windows.

    Attributes:
        slice: such as "device=app", or "all requests".
        metric: see `components.drift.sketch.quality_sums.METRICS`.
        reference: its value there.
        window: its value here.
        error: standard error of the difference.
        changed: whether the difference is significant over all tests.
    """

    slice: str
    metric: str
    reference: float
    window: float
    error: float
    changed: bool


@dataclass(frozen=True, kw_only=True)
class Judged:
    """One of several windows that end together: its start, its requests, whether they are enough, and what it alone asks for."""

    start: str
    requests: int
    enough: bool
    action: Action


@dataclass(frozen=True, kw_only=True)
class DriftReport:
    """What a window differs by from the one that a release was made from.

    Attributes:
        dataset: its name.
        release: what the window was compared with, such as "release 3".
        made_at: ISO 8601, UTC.
        decision: what to do, with the reasons.
        enough: whether the window has enough requests and shoppers to be judged.
        reference: the release's window.
        window: the window.
        expected_requests: of the window's hours, by the reference; None where that is too short to say.
        false_discovery_rate: that all tests of this window together keep to.
        columns: what has a reason first, then by significance and effect.
        quality: of slices, where both windows have scores and labels.
        left_out: columns that couldn't be compared, and why.
        counts: what was read of the window, and what was dropped of it.
        windows: all that were judged together, the shortest first; the report's own is one of them.
    """

    dataset: str
    release: str
    made_at: str
    decision: Decision
    enough: bool
    reference: Span
    window: Span
    expected_requests: int | None
    false_discovery_rate: float
    columns: tuple[ColumnRow, ...]
    quality: tuple[QualityRow, ...] = ()
    left_out: Mapping[str, str] = field(default_factory=dict)
    counts: Mapping[str, int] = field(default_factory=dict)
    windows: tuple[Judged, ...] = ()

    def shown(self) -> dict[str, Any]:
        """Return the document that `--json` prints; what isn't defined is null."""
        values: dict[str, Any] = _defined(asdict(self))
        return values

    def to_json(self) -> str:
        """Serialize as a JSON document."""
        return json.dumps(self.shown(), indent=1, ensure_ascii=False, allow_nan=False)


def _defined(value: Any) -> Any:
    match value:
        case dict():
            return {key: _defined(each) for key, each in value.items()}
        case list() | tuple():
            return [_defined(each) for each in value]
        case float() if not math.isfinite(value):
            return None
    return value
