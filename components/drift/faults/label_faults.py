"""Name labels that are lost: all of them, or those of one action."""

from collections.abc import Mapping

from components.contract.columns import label_columns
from components.contract.dataset import Dataset
from components.drift.comparison.compare import ColumnChange
from components.drift.decision import Action, Reason
from components.drift.sketch.category_sketch import CategorySketch
from components.drift.sketch.number_sketch import MAGNITUDES, NumberSketch
from components.drift.sketch.window_sketch import WindowSketch

LOST_LABELS = 0.7
"""Of the usual rate of positives, below which they are lost, not rarer."""


def label_reasons(reference: WindowSketch, window: WindowSketch, changes: Mapping[str, ColumnChange], dataset: Dataset) -> list[Reason]:
    """Return a reason if surely fewer candidates are positive, or else one for each action of which fewer are."""
    reasons = []
    for column in label_columns(dataset):
        if column.name in changes and changes[column.name].distribution:
            old, new = (_rate(sketch.columns[column.name]) for sketch in (reference, window))
            if new < LOST_LABELS * old:
                subject = "labels" if column.name == "label" else column.name
                text = (
                    f"{subject}: {new:.2%} of the candidates are positive, in the reference {old:.2%}; interactions are lost or not joined."
                )
                reasons.append(Reason(action=Action.FREEZE, kind="missing labels", subject=subject, text=text))
                if column.name == "label":
                    break
    return reasons


def _rate(sketch: NumberSketch | CategorySketch) -> float:
    """Return the share of the rows that are above 0."""
    counts = sketch.counts.sum(axis=0, dtype=float)
    return float(counts[1:MAGNITUDES].sum() / counts.sum())
