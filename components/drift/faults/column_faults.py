"""Name what columns changed by, and say what to do about it."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from components.contract.columns import Column
from components.contract.dataset import Dataset
from components.contract.features import GivenFeature, StateFeature
from components.drift.comparison.category_comparison import CategoryComparison
from components.drift.comparison.compare import ColumnChange
from components.drift.comparison.number_comparison import NumberComparison
from components.drift.comparison.number_marks import UNITS, NumberMarks
from components.drift.decision import Action, Reason
from components.drift.sketch.example_block import LENGTH, sketched

BROKEN_MISSING = 0.1
"""Rise of the share of missing values from which a column is broken, not merely thinner."""
THINNER_MISSING = 0.02
NEW_VALUES = 0.02
MANY_NEW_VALUES = 0.1
"""Rise of the share of rows with new values from which a vocabulary must be learnt anew."""
UNIT_FACTOR = 1.5
"""Factor from which values are in another unit; below it they may have risen or fallen by as much."""
SHIFTED = 0.02
"""Least change of the probability that a value of the window is above one of the reference: 0.05 standard deviations."""
SCALED = 0.02
"""Least logarithm of a factor of all values."""
EFFECT = 0.01
"""Least divergence of a number (Jensen-Shannon, bits), where neither location nor spread tells."""
SHARE_MOVED = 0.03
"""Least change of a value's share in a category (TFDV's L-infinity)."""
LARGE = 10.0
"""Multiple of the least effect from which all is trained anew."""
_JOINED = 0.7  # share of a table's columns that must break by about as much for the join to be the fault
ALL_NEW = 0.9
"""Share of rows with new values from which a column is written otherwise, no vocabulary being changed as a whole."""
RESPELLED = 0.5
"""Share of those rows, from which the same holds where their values are known ones in other letters."""


@dataclass(frozen=True)
class _Subject:
    column: Column
    change: ColumnChange
    table: str  # items, users or events; "" of state, history and labels
    is_state: bool
    grows: bool  # with the log: a total since ever, or how long a history is
    weight: float  # how much the model leans on the feature, 1 on average


def column_reasons(changes: Mapping[str, ColumnChange], dataset: Dataset, importance: Mapping[str, float]) -> list[Reason]:
    """Return a reason for each column whose change is both significant and large enough to matter, the largest first.

    Args:
        changes: by column.
        dataset: the dataset file.
        importance: the drop of AUC without each feature, of the features that are known; a feature that the model leans
            on twice as much as on the mean one alarms at half of the effect, down to a quarter and up to the double.
    """
    subjects = {each.column.name: each for each in _subjects(changes, dataset, importance)}
    reasons, joined = _lost_joins(subjects)
    ranked: list[tuple[float, Reason]] = []
    for name, subject in subjects.items():
        if name not in joined:
            ranked += _of_column(subject)
    return reasons + [reason for _, reason in sorted(ranked, key=lambda each: -each[0])]


def _subjects(changes: Mapping[str, ColumnChange], dataset: Dataset, importance: Mapping[str, float]) -> list[_Subject]:
    known = [max(value, 0.0) for value in importance.values()]
    mean = sum(known) / len(known) if known else 0.0
    subjects = []
    for column in (*sketched(dataset), Column(LENGTH, "float32", "request", "input")):
        if column.name not in changes:
            continue
        feature = dataset.feature(column.feature) if column.feature else None
        table = feature.table if isinstance(feature, GivenFeature) else ""
        if isinstance(feature, GivenFeature) and feature.from_clock:
            continue  # The clock's course is the volume's affair.
        drop = importance.get(column.feature)
        weight = min(max(drop / mean, 0.5), 4.0) if drop is not None and mean else 1.0
        grows = column.name == LENGTH or (isinstance(feature, StateFeature) and feature.measure == "total")
        subjects.append(_Subject(column, changes[column.name], table, isinstance(feature, StateFeature), grows, weight))
    return subjects


def _lost_joins(subjects: Mapping[str, _Subject]) -> tuple[list[Reason], set[str]]:
    """Return a reason for each table nearly all of whose columns miss about as many more values, and those columns."""
    reasons, joined = [], set()
    for table in ("items", "users"):
        columns = {name: each for name, each in subjects.items() if each.table == table and each.column.axis != "history"}
        lost = {name: each for name, each in columns.items() if each.change.missing and _rise(each) >= THINNER_MISSING}
        if len(lost) < 2 or len(lost) < _JOINED * len(columns):
            continue
        rises = sorted(_rise(each) for each in lost.values())
        middle = rises[len(rises) // 2]
        alike = {name for name, each in lost.items() if abs(_rise(each) - middle) <= 0.25 * middle}
        if len(alike) < 2 or len(alike) < _JOINED * len(columns):
            continue
        joined |= alike
        text = (
            f"{len(alike)} of {len(columns)} columns of the table {table!r} lack values in {middle:.1%} more of the rows at once "
            f"({', '.join(sorted(alike)[:4])}): rows aren't joined with the table."
        )
        reasons.append(Reason(action=Action.FREEZE, kind="missing join", subject=table, text=text))
    return reasons, joined


def _of_column(subject: _Subject) -> list[tuple[float, Reason]]:
    """Return at most one reason of a column, with its size."""
    change, name = subject.change, subject.column.name
    comparison = change.comparison
    is_given = bool(subject.table)
    broken_as = _broken(comparison, is_given=is_given) if change.distribution and (is_given or subject.is_state) else ""
    if broken_as:
        return [(10.0, _reason(Action.FREEZE, "broken feature", name, broken_as))]
    rise = _rise(subject)
    if change.missing and abs(rise) >= THINNER_MISSING:
        broken = rise >= (BROKEN_MISSING if is_given else ALL_NEW)
        text = f"{comparison.missing.window:.1%} of the values are missing, in the reference {comparison.missing.reference:.1%}"
        kind = "broken feature" if broken else "missing values"
        return [(5.0 * abs(rise), _reason(Action.FREEZE if broken else Action.RETRAIN_WARM, kind, name, text))]
    if isinstance(comparison, CategoryComparison):
        return _of_category(subject, comparison)
    return _of_number(subject, comparison) if change.distribution else []


def _broken(comparison: NumberComparison | CategoryComparison, *, is_given: bool) -> str:
    """Return in words what a column's values broke to, "" if they didn't; a state may hold much of one value."""
    if isinstance(comparison, CategoryComparison):
        return f"nearly all values are {comparison.constant!r}, in the reference few are" if comparison.constant is not None else ""
    spans = ((comparison.marks, ""), (comparison.late, " in the last days"))
    for marks, when in spans:
        if marks.constant is not None:
            return f"nearly all values are {marks.constant!r}{when}, in the reference few are"
    for marks, when in spans:
        if marks.spike is not None and is_given:
            return f"{marks.spike[1]:.1%} of the values are {marks.spike[0]:.6g}{when}, in the reference hardly any are"
    return ""


def _of_category(subject: _Subject, comparison: CategoryComparison) -> list[tuple[float, Reason]]:
    name, change = subject.column.name, subject.change
    reasons = []
    new = comparison.unseen.difference
    if change.unseen and new >= NEW_VALUES:
        shown = ", ".join(repr(value) for value in comparison.unseen_values)
        usual = f"{comparison.unseen.reference:.1%} are usual"
        text = f"{comparison.unseen.window:.1%} of the rows have values that training hasn't seen, {usual}: {shown}"
        if comparison.respelled >= RESPELLED:
            text += f"; {comparison.respelled:.0%} of them are known values in other letters"
        elif comparison.unseen.window < ALL_NEW:
            action = Action.RETRAIN_FULL if new >= MANY_NEW_VALUES else Action.RETRAIN_WARM
            return [(new, _reason(action, "new categories", name, text))]
        reasons.append((10 * new, _reason(Action.FREEZE, "changed encoding", name, f"{text}; it is written otherwise than it was")))
    elif change.distribution and comparison.effect * subject.weight >= SHARE_MOVED:
        values, old, current = comparison.cells
        moved = max(range(len(values)), key=lambda cell: abs(current[cell] - old[cell]))
        text = f"{values[moved]!r} has {current[moved]:.1%} of the rows, in the reference {old[moved]:.1%}"
        action = Action.RETRAIN_FULL if comparison.effect * subject.weight >= LARGE * SHARE_MOVED else Action.RETRAIN_WARM
        reasons.append((comparison.effect, _reason(action, "changed shares", name, text)))
    return reasons


def _of_number(subject: _Subject, comparison: NumberComparison) -> list[tuple[float, Reason]]:
    name = subject.column.name
    shift = abs(comparison.superiority - 0.5)
    factor = comparison.marks.factor if subject.table and comparison.marks.part == 1 else None
    scale = 0.0 if factor is None else abs(math.log(factor))
    size = max(shift / SHIFTED, comparison.effect / EFFECT, scale / SCALED) * subject.weight
    if size < 1 or subject.grows:
        return []
    medians = f"median {comparison.median[1]:.3g}, in the reference {comparison.median[0]:.3g}"
    if subject.column.feature and subject.table:
        spans = ((comparison.marks, ""), (comparison.late, " in the last days"))
        for marks, when in sorted(spans, key=lambda span: (span[0].part < 1, span[0].residue)):
            if marks.factor is not None:
                return [(size, _of_factor(name, marks, marks.factor, f"{when}; {medians}"))]
    action = Action.RETRAIN_FULL if size >= LARGE else Action.RETRAIN_WARM
    text = (
        f"a value is above one of the reference with probability {comparison.superiority:.2f} (0.5 if equal), "
        f"divergence {comparison.effect:.3f} bits; {medians}"
    )
    return [(size, _reason(action, "changed distribution", name, text))]


def _of_factor(name: str, marks: NumberMarks, factor: float, details: str) -> Reason:
    rows = "all values are" if marks.part == 1 else f"{marks.part:.0%} of the values are"
    scaled = f"{rows} {factor:.3g} times what they were"
    if abs(math.log(factor)) >= math.log(UNIT_FACTOR):
        return _reason(Action.FREEZE, "changed unit", name, f"{scaled}{_unit(factor)}{details}")
    return _reason(Action.RETRAIN_WARM, "shifted scale", name, f"{scaled}{details}")


def _reason(action: Action, kind: str, subject: str, text: str) -> Reason:
    return Reason(action=action, kind=kind, subject=subject, text=f"{subject}: {text}.")


def _rise(subject: _Subject) -> float:
    return subject.change.comparison.missing.difference


def _unit(factor: float) -> str:
    for unit, words in UNITS.items():
        for each in (unit, 1 / unit):
            if abs(math.log(factor / each)) < 0.03:
                return f", as {words} would be"
    return ""
