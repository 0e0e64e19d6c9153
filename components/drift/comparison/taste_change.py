"""Test whether other requests want other candidates than in the reference, beyond what the scores of the model say.

Candidates are counted in cells: by a value of their request, such as the shopper's segment, and by one of their own, such
as a category. A cell's residuals are labels less scores. What all requests want more of, as a season does, and what some
requests click more on, moves rows and columns of the cells and is taken out; the rest is who wants what.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from components.drift.sketch.quality_sums import BUCKETS, QualitySums

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class TasteChange:
    """How much who wants what has changed.

    Attributes:
        p: of the test that it hasn't.
        size: root of the mean square of the change of a cell's label rate, without what chance explains, as a share of
            the mean rate.
    """

    p: float
    size: float


def taste_changes(reference: QualitySums, window: QualitySums) -> dict[tuple[str, str], TasteChange]:
    """Test each pair of values of requests and of candidates that both windows have."""
    pairs = sorted(reference.by_cell.keys() & window.by_cell.keys())
    changes = {pair: taste_change(reference.by_cell[pair], window.by_cell[pair]) for pair in pairs}
    return {pair: change for pair, change in changes.items() if change is not None}


def taste_change(reference: Floats, window: Floats) -> TasteChange | None:
    """Compare sums [G, C, 3] of residuals, labelled candidates and positives by group of shoppers and cell.

    The statistic is a sum of squares over cells, each by its share of the rows; its distribution is that of a trace with
    the degrees of freedom of Rao and Scott's second-order correction, the trace of the squared covariance being Bai and
    Saranadasa's (Statistica Sinica 1996), as there are no fewer cells than groups.

    Returns:
        None where either has no labelled candidates.
    """
    expected, present = reference[:, :, 1].sum(axis=0), window[:, :, 1].sum(axis=0)
    counts = np.where(expected > 0, present, 0.0)
    if not counts.any():
        return None
    means = reference[:, :, 0].sum(axis=0) / np.maximum(expected, 1.0)
    # What the window's rows exceed the reference's means by, with those means' own error: none is fitted to the window.
    excess = window[:, :, 0] - window[:, :, 1] * means
    own = (reference[:, :, 0] - reference[:, :, 1] * means) * counts / np.maximum(expected, 1.0)
    cells = np.maximum(counts, 1.0)
    of_groups = np.stack([_interaction(each, counts) for each in np.where(counts > 0, excess - own, 0.0) / cells]) * np.sqrt(counts)
    groups = len(of_groups)
    centered = of_groups - of_groups.mean(axis=0)
    gram = centered @ centered.T * groups / (groups - 1)
    trace, n = float(np.trace(gram)), groups - 1
    if trace <= 0:
        return None
    squares = max(n**2 / ((n - 1) * (n + 2)) * (float((gram**2).sum()) - trace**2 / n), trace**2 / len(counts))
    total = of_groups.sum(axis=0)
    statistic, freedom = float(total @ total), trace**2 / squares
    p = float(stats.f.sf(statistic / trace, freedom, freedom * n))
    rate = float(window[:, :, 2].sum() / window[:, :, 1].sum())
    return TasteChange(p, float(np.sqrt(max(statistic - trace, 0.0) / counts.sum())) / max(rate, 1e-9))


def _interaction(means: Floats, counts: Floats) -> Floats:
    """Return means [C] of cells without what their row and their column explain, by least squares weighted by counts."""
    table, weights = means.reshape(BUCKETS, BUCKETS).copy(), counts.reshape(BUCKETS, BUCKETS)
    for _ in range(10):
        for axis in (0, 1):
            totals = weights.sum(axis=axis, keepdims=True)
            table -= (table * weights).sum(axis=axis, keepdims=True) / np.maximum(totals, 1.0)
    return table.ravel()
