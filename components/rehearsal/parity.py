"""Compare the scores of two signatures of a model."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Scores = Mapping[str, NDArray[np.float32]]  # output -> [L]


@dataclass(frozen=True)
class Parity:
    """The fields of that name in `components.rehearsal.report.Rehearsal`."""

    differing: int
    difference: float | None
    example: str


def parity(names: Sequence[str], offline: Sequence[Scores], served: Sequence[Scores], *, tolerance: float) -> Parity:
    """Compare every served output of every request with the offline one; NaN in both counts as equal.

    Raises:
        KeyError: an output isn't served.
    """
    differing, greatest, example = 0, 0.0, ""
    for name, expected, got in zip(names, offline, served, strict=True):
        same = True
        for output, values in expected.items():
            with np.errstate(invalid="ignore"):  # inf - inf
                equal = (values == got[output]) | (np.isnan(values) & np.isnan(got[output]))
                differences = np.where(equal, 0, np.abs(values - got[output]))
            worst = int(np.argmax(np.where(np.isnan(differences), np.inf, differences))) if len(differences) else 0
            difference = float(differences[worst]) if len(differences) else 0.0
            greatest = float(np.maximum(greatest, difference))  # NaN propagates
            if not difference <= tolerance:
                same = False
                scores = f"{output} {values[worst]:.7g} offline and {got[output][worst]:.7g} served"
                example = example or f"in request {name!r} candidate {worst + 1} has {scores}"
        differing += not same
    return Parity(differing, greatest if np.isfinite(greatest) else None, example)
