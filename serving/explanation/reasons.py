"""Choose the attributions that say most, and put them into words."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from components.contract.dataset import Dataset
from serving.explanation.claims import Claims
from serving.explanation.differences import Differences
from serving.explanation.request_values import RequestValues

MOST_REASONS, MOST_DIFFERENCES = 5, 3
EVENTS, LOGITS = "events", "logits"  # outputs of `explain`, beside the attributions


@dataclass(frozen=True)
class Reason:
    """What a feature adds to a candidate's logit, compared with others of the list, and what is true of its value."""

    feature: str
    effect: float
    text: str


@dataclass(frozen=True)
class Pair:
    """Why a candidate scores higher than the next one: the features that speak most for it, by the difference of their effects."""

    above: int
    below: int
    reasons: tuple[Reason, ...]


@final
class Reasons:
    """Put attributions of one dataset's requests into words.

    Args:
        dataset: declares the features.
    """

    def __init__(self, dataset: Dataset) -> None:
        self._dataset, self._claims = dataset, Claims(dataset)
        self._differences = Differences(dataset, self._claims)

    def effects(
        self, names: Sequence[str], attributions: NDArray[Any], outputs: Mapping[str, NDArray[Any]]
    ) -> tuple[list[str], NDArray[np.float64]]:
        """Return the names and the effects [L, F], with those of the history's events [L, H] as one more.

        Args:
            names: of the F attributions.
            attributions: [L, F].
            outputs: further ones of `explain`, by name.
        """
        effects, every = np.asarray(attributions, np.float64), list(names)
        events, history = outputs.get(EVENTS), self._dataset.history
        if events is not None and history is not None and events.ndim == 2 and events.shape[1]:
            every.append(history.name)
            effects = np.column_stack([effects, events.sum(axis=1)])
        return every, effects

    def of_candidates(self, names: Sequence[str], effects: NDArray[np.float64], values: RequestValues) -> list[tuple[Reason, ...]]:
        """Return for each of L candidates what sets it apart from the list: the greatest effects, either way, less the list's mean.

        What a feature of the request adds to all candidates alike orders none of them. A single candidate has its effects.
        """
        apart = effects - effects.mean(axis=0) if len(effects) > 1 else effects
        return [
            tuple(
                Reason(names[at], float(row[at]), self._claims.claim(names[at], values, candidate))
                for at in np.argsort(-np.abs(row), kind="stable")[:MOST_REASONS].tolist()
                if row[at]
            )
            for candidate, row in enumerate(apart)
        ]

    def of_neighbours(self, names: Sequence[str], effects: NDArray[np.float64], logits: NDArray[Any], values: RequestValues) -> list[Pair]:
        """Return for each candidate, in the order of the logits [L], why it scores higher than the next."""
        order = np.argsort(-logits, kind="stable").tolist()
        return [self.pair(names, effects, values, above, below) for above, below in pairwise(order)]

    def pair(self, names: Sequence[str], effects: NDArray[np.float64], values: RequestValues, above: int, below: int) -> Pair:
        """Return why one candidate scores higher than another: what speaks for it, the greatest first."""
        gained = effects[above] - effects[below]
        chosen = [at for at in np.argsort(-gained, kind="stable")[:MOST_DIFFERENCES].tolist() if gained[at] > 0]
        return Pair(
            above,
            below,
            tuple(Reason(names[at], float(gained[at]), self._differences.difference(names[at], values, above, below)) for at in chosen),
        )
