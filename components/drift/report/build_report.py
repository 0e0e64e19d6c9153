"""Check a window against a release's, and report what a reader wants to see of it."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from components.contract.dataset import Dataset
from components.drift.check import Check, Window, check
from components.drift.comparison.category_comparison import CategoryComparison
from components.drift.comparison.compare import ColumnChange, Comparison
from components.drift.comparison.number_comparison import NumberComparison
from components.drift.decision import Reason, decide
from components.drift.report.drift_report import ColumnRow, DriftReport, Judged, QualityRow, Span
from components.drift.serving_skew import Skew
from components.drift.sketch.category_sketch import CategorySketch
from components.drift.sketch.number_sketch import NumberSketch
from components.drift.sketch.window_sketch import WindowSketch

_HOUR_S = 3600
_LEAST = 2.0**-19  # the sketch takes magnitudes below 2^-20 for 0


@dataclass(frozen=True, kw_only=True)
class Subject:
    """A window to judge, and what to judge it by.

    Attributes:
        release: what the reference belongs to, such as "release 3".
        reference: the release's window.
        window: the one to judge.
        left_out: columns that the window hasn't got, and why.
        counts: what was read of the window, and what was dropped of it.
        importance: drop of AUC without each feature, where it is known.
        skew: of the features sent against those that ingestion computed, where they were compared.
    """

    release: str
    reference: Window
    window: Window
    left_out: Mapping[str, str] = field(default_factory=dict)
    counts: Mapping[str, int] = field(default_factory=dict)
    importance: Mapping[str, float] = field(default_factory=dict)
    skew: Skew | None = None


def build_joint_report(subjects: Sequence[Subject], dataset: Dataset, *, now_s: float) -> DriftReport:
    """Check windows that end together, the shortest first, each at its share of the false discovery rate.

    A fault that several name is a reason once, in the shortest of them. The report's tables are those of the shortest
    window that supports the decision; see `components.drift.horizons`.
    """
    reports = [build_report(subject, dataset, now_s=now_s, windows=len(subjects)) for subject in subjects]
    reasons: dict[tuple[str, str], Reason] = {}
    for report in reports:
        for reason in report.decision.reasons:
            reasons.setdefault((reason.kind, reason.subject), _since(report, reason) if len(reports) > 1 else reason)
    shown = max(reports, key=lambda report: (report.decision.action.urgency, report.enough))
    windows = tuple(
        Judged(start=each.window.start, requests=each.window.requests, enough=each.enough, action=each.decision.action) for each in reports
    )
    return replace(shown, decision=decide(list(reasons.values())), windows=windows)


def _since(report: DriftReport, reason: Reason) -> Reason:
    return replace(reason, text=f"{reason.text.removesuffix('.')}; since {report.window.start[:16].replace('T', ' ')} UTC.")


def build_report(subject: Subject, dataset: Dataset, *, now_s: float, windows: int = 1) -> DriftReport:
    """Check the columns that both windows have in one kind, and what else both have, as one of several windows."""
    rate = dataset.drift.false_discovery_rate / windows
    left_out = _left_out(subject)
    reference, window = _without(subject.reference, left_out), _without(subject.window, left_out)
    checked = check(reference, window, dataset, importance=subject.importance, skew=subject.skew, false_discovery_rate=rate)
    return DriftReport(
        dataset=dataset.name,
        release=subject.release,
        made_at=_time(now_s),
        decision=checked.decision,
        enough=checked.enough,
        reference=_span(subject.reference.sketch),
        window=_span(subject.window.sketch),
        expected_requests=None if checked.volume is None else round(checked.volume.expected),
        false_discovery_rate=rate,
        columns=_columns(checked),
        quality=_quality(checked),
        left_out=left_out,
        counts={**subject.counts, **_skew_counts(subject.skew)},
    )


def _skew_counts(skew: Skew | None) -> dict[str, int]:
    if skew is None:
        return {}
    compared = max((column.compared for column in skew.columns.values()), default=0)
    return {"requests compared with ingestion's value by value": compared, "requests that ingestion hasn't": skew.not_ingested}


def _without(window: Window, names: Collection[str]) -> Window:
    sketch = window.sketch
    kept = {name: column for name, column in sketch.columns.items() if name not in names}
    return Window(WindowSketch(kept, sketch.requests, sketch.hours), window.quality)


def _left_out(subject: Subject) -> dict[str, str]:
    """Return the columns that can't be compared, and why."""
    old, new = subject.reference.sketch.columns, subject.window.sketch.columns
    kinds = [name for name in sorted(old.keys() & new.keys()) if type(old[name]) is not type(new[name])]
    return {
        **dict.fromkeys(sorted(name for name, column in [*old.items(), *new.items()] if not _rows(column)), "it has no values"),
        **dict.fromkeys(sorted(new.keys() - old.keys()), "the reference has no such column"),
        **dict.fromkeys(sorted(old.keys() - new.keys()), "this window has no such column"),
        **dict.fromkeys(kinds, "numbers in one window, texts in the other"),
        **subject.left_out,
    }


def _rows(column: NumberSketch | CategorySketch) -> int:
    return int((column.counts if isinstance(column, NumberSketch) else column.total).sum(dtype=np.int64))


def _columns(checked: Check) -> tuple[ColumnRow, ...]:
    """Return the columns, first those with a reason, then by significance and effect."""
    subjects = [reason.subject for reason in checked.decision.reasons]
    rows = [_column(name, change) for name, change in checked.columns.items()]

    def rank(row: ColumnRow) -> tuple[int, bool, float, str]:
        reason = subjects.index(row.name) if row.name in subjects else len(subjects)
        return reason, not row.changed, -max(row.effect, abs(row.missing[1] - row.missing[0])), row.name

    return tuple(sorted(rows, key=rank))


def _column(name: str, change: ColumnChange) -> ColumnRow:
    comparison = change.comparison
    cells, old, new = _cells(comparison)
    return ColumnRow(
        name=name,
        kind="number" if isinstance(comparison, NumberComparison) else "text",
        changed=tuple(test for test in ("distribution", "missing", "unseen") if getattr(change, test)),
        p=comparison.p,
        effect=comparison.effect,
        missing=(comparison.missing.reference, comparison.missing.window),
        unseen=comparison.unseen.window if isinstance(comparison, CategoryComparison) else None,
        median=comparison.median if isinstance(comparison, NumberComparison) else None,
        cells=cells,
        shares=(tuple(old.tolist()), tuple(new.tolist())),
    )


def _cells(comparison: Comparison) -> tuple[tuple[str, ...], NDArray[np.float64], NDArray[np.float64]]:
    if isinstance(comparison, CategoryComparison):
        return comparison.cells
    edges, old, new = comparison.cells
    names = [f"{'above 0' if _is_least(low) else f'{low:.3g}'} to {high:.3g}" for low, high in pairwise(edges)]
    if len(names) > 1:  # the first holds all that is below the second, the last all from its edge on
        names[0] = "0 or less" if _is_least(edges[1]) else f"below {edges[1]:.3g}"
        names[-1] = "above 0" if _is_least(edges[-2]) else f"from {edges[-2]:.3g}"
    return tuple(names), old, new


def _is_least(edge: float) -> bool:
    """Return whether nothing that isn't 0 is counted below an edge and above 0."""
    return 0 < edge < _LEAST


def _quality(checked: Check) -> tuple[QualityRow, ...]:
    return tuple(
        QualityRow(
            slice=f"{name}={value}" if name else "all requests",
            metric=metric,
            reference=change.reference,
            window=change.window,
            error=change.error,
            changed=("quality", name, value, metric) in checked.alarms,
        )
        for (name, value, metric), change in checked.quality.items()
    )


def _span(sketch: WindowSketch) -> Span:
    by_day: dict[str, int] = {}
    for hour, requests in sorted(sketch.hours.items()):
        day = _time(hour * _HOUR_S)[:10]
        by_day[day] = by_day.get(day, 0) + requests
    start, end = (_time(min(sketch.hours) * _HOUR_S), _time((max(sketch.hours) + 1) * _HOUR_S)) if sketch.hours else ("", "")
    return Span(start=start, end=end, requests=int(sketch.requests.sum()), by_day=tuple(by_day.items()))


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
