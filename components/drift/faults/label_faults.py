"""Name labels that are lost: all of them, or those of one action."""

from collections.abc import Mapping

import numpy as np

from components.contract.columns import label_columns
from components.contract.dataset import Dataset
from components.drift.comparison.compare import ColumnChange
from components.drift.decision import Action, Reason
from components.drift.faults.spans import spans
from components.drift.sketch.number_sketch import MAGNITUDES, Ints, NumberSketch
from components.drift.sketch.window_sketch import WindowSketch

LOST_LABELS = 0.7
"""Of the usual rate of positives, below which they are lost, not rarer."""


def label_reasons(reference: WindowSketch, window: WindowSketch, changes: Mapping[str, ColumnChange], dataset: Dataset) -> list[Reason]:
    """Return a reason if surely fewer candidates are positive, or else one for each action of which fewer are."""
    reasons = []
    for column in label_columns(dataset):
        old, new = (sketch.columns.get(column.name) for sketch in (reference, window))
        if column.name not in changes or not changes[column.name].distribution or not isinstance(old, NumberSketch):
            continue
        assert isinstance(new, NumberSketch)
        usual = _rate(old.counts.sum(axis=0, dtype=np.int64))
        lost = next(
            ((rate, when) for rate, when in ((_rate(counts), when) for counts, when in spans(new)) if rate < LOST_LABELS * usual), None
        )
        if lost is not None:
            subject = "labels" if column.name == "label" else column.name
            rates = f"{lost[0]:.2%} of the candidates are positive{lost[1]}, in the reference {usual:.2%}"
            text = f"{subject}: {rates}; interactions are lost or not joined."
            reasons.append(Reason(action=Action.FREEZE, kind="missing labels", subject=subject, text=text))
            if column.name == "label":
                break
    return reasons


def _rate(counts: Ints) -> float:
    """Return the share of the rows that are above 0."""
    return float(counts[1:MAGNITUDES].sum() / max(counts.sum(), 1))
