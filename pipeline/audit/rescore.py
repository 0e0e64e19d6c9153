"""Compare the scores that a release computes with those that were logged."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

TOLERANCE = 1e-6


@dataclass(frozen=True)
class Rescored:
    """The scores of a request's L candidates, computed again.

    Attributes:
        source: of the features: `log`, or `examples`.
        scores: [L] NaN for candidates that the source of the features hasn't got.
        compared: candidates whose scores were compared.
        max_difference: the greatest absolute difference from the logged scores.
    """

    source: str
    scores: Sequence[float]
    compared: int
    max_difference: float

    @property
    def agrees(self) -> bool:
        """Whether all compared scores are the logged ones within the tolerance."""
        return self.max_difference <= TOLERANCE


def compare(source: str, logged: Sequence[float], scores: NDArray[Any]) -> Rescored:
    """Compare scores [L] with the logged ones, where they were computed."""
    differences = np.abs(np.asarray(logged, np.float64) - scores)[~np.isnan(scores)]
    greatest = float(np.nan_to_num(differences, nan=np.inf).max(initial=0.0))
    return Rescored(source, scores.tolist(), len(differences), greatest)
