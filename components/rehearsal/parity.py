"""Whether two doors of a model give the same scores."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Scores = Mapping[str, NDArray[np.float32]]  # output -> [L]


@dataclass(frozen=True)
class Parity:
    """As in `components.rehearsal.report`."""

    differing: int
    difference: float | None
    example: str


def parity(names: Sequence[str], offline: Sequence[Scores], served: Sequence[Scores], *, tolerance: float) -> Parity:
    """Holds every output of every request against the offline one; what is no number at both doors is alike.

    Raises:
        KeyError: an output isn't served.
    """
    differing, greatest, example = 0, 0.0, ""
    for name, expected, got in zip(names, offline, served, strict=True):
        same = True
        for output, values in expected.items():
            with np.errstate(invalid="ignore"):  # inf - inf
                apart = np.where((values == got[output]) | (np.isnan(values) & np.isnan(got[output])), 0, np.abs(values - got[output]))
            worst = int(np.argmax(np.where(np.isnan(apart), np.inf, apart))) if len(apart) else 0
            far = float(apart[worst]) if len(apart) else 0.0
            greatest = float(np.maximum(greatest, far))  # a NaN stays
            if not far <= tolerance:
                same = False
                scores = f"{output} {values[worst]:.7g} offline and {got[output][worst]:.7g} served"
                example = example or f"in request {name!r} candidate {worst + 1} has {scores}"
        differing += not same
    return Parity(differing, greatest if np.isfinite(greatest) else None, example)
