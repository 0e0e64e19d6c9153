"""The ladder: model, earlier version, popularity in segment and shop, order as given; the first that gives scores before time is up."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, final

import numpy as np
from numpy.typing import NDArray

from components.contract.errors import ModelUnavailable
from serving.client.model import ModelClient
from serving.client.prediction import NEWEST, Check, ModelVersion, version_name
from serving.experiments.file import Baseline
from serving.service.ranking.fallback_scores import Scores, as_given, by_lot, by_popularity

SCORES = "scores"
FIRST_SHARE = 0.6  # of the time that is left, for a label behind which there is another
BUSY = "busy"  # why the model wasn't asked: too many wait for it
Rung = Literal["model", "previous", "segment", "popularity", "given", "baseline"]


@dataclass(frozen=True)
class Scored:
    """Scores of L candidates and where they come from.

    Attributes:
        scores: [L], finite.
        rung: `baseline` where an arm asked for no model.
        version: of the model that answered; None where none did.
        failures: for each label that gave nothing, in one word why, as `label: reason`.
        model_ms: how long the label asked first took to answer or to fail; None where none was asked.
    """

    scores: Scores
    rung: Rung
    version: int | None = None
    failures: tuple[str, ...] = ()
    model_ms: float | None = None

    @property
    def degraded(self) -> str:
        """What stood in for the model and why; "" where nothing had to."""
        return f"{self.rung} ({', '.join(self.failures)})" if self.failures else ""


def labels_asked(arm: str | None, label: str, previous: str) -> tuple[str, ...]:
    """The labels to ask one after the other, each once: the arm's, the usual one, the previous one. "" is the newest version."""
    first = (label,) if arm is None else (arm, label)
    return tuple(dict.fromkeys(first + ((previous,) if previous else ())))


@final
class Ladder:
    """Asks for scores.

    Args:
        model: asked first.
        popular: the input column by which products are popular, or None.
        most: requests that may wait for the model at a time.
    """

    def __init__(self, model: ModelClient, *, popular: str | None, most: int) -> None:
        self._model, self._popular, self._most = model, popular, most
        self._waiting = 0

    async def scores(
        self,
        tensors: Mapping[str, NDArray[Any]],
        length: int,
        *,
        labels: Sequence[ModelVersion],
        until_s: float,
        within: Callable[[], Scores | None],
    ) -> Scored:
        """Scores of a request's L candidates, whatever happens; without the model while `most` requests wait for it.

        Args:
            tensors: of the request.
            length: L.
            labels: or versions, to be asked, in this order.
            until_s: by the monotonic clock, when to be done.
            within: gives [L] popularity in the request's segment, where anything is known of it; asked only where it is needed.
        """
        failures: list[str] = []
        first_ms: float | None = None
        if self._waiting >= self._most:
            failures, labels = [f"{version_name(labels[0]) or NEWEST}: {BUSY}"], ()
        self._waiting += 1
        try:
            for place, label in enumerate(labels):
                began_s = time.monotonic()
                left_s = until_s - began_s
                mine_s = left_s if place == len(labels) - 1 else left_s * FIRST_SHARE
                check = scored_candidates(length)
                try:
                    prediction = await self._model.predict(tensors, (SCORES,), label=label, timeout_s=mine_s, check=check)
                except ModelUnavailable as error:
                    failures.append(f"{version_name(label) or NEWEST}: {error.reason}")
                    continue
                finally:
                    first_ms = (time.monotonic() - began_s) * 1e3 if first_ms is None else first_ms
                scores = prediction.outputs[SCORES][0, :length].astype(np.float64)
                return Scored(scores, "model" if place == 0 else "previous", prediction.version, tuple(failures), first_ms)
        finally:
            self._waiting -= 1
        in_segment = within()
        if in_segment is not None:
            return Scored(in_segment, "segment", failures=tuple(failures), model_ms=first_ms)
        popular = by_popularity(tensors, self._popular, length)
        if popular is not None:
            return Scored(popular, "popularity", failures=tuple(failures), model_ms=first_ms)
        return Scored(as_given(length), "given", failures=tuple(failures), model_ms=first_ms)

    def baseline(
        self, kind: Baseline, tensors: Mapping[str, NDArray[Any]], length: int, *, request: str, within: Callable[[], Scores | None]
    ) -> Scored:
        """Scores as an arm of an experiment wants them, without a model."""
        if kind == "shuffle":
            return Scored(by_lot(request, length), "baseline")
        in_segment = within() if kind == "popularity" else None
        if in_segment is not None:
            return Scored(in_segment, "baseline")
        popular = by_popularity(tensors, self._popular, length) if kind == "popularity" else None
        return Scored(as_given(length) if popular is None else popular, "baseline")


def scored_candidates(length: int) -> Check:
    """What a model's answer must be: a finite number for each candidate."""

    def check(outputs: Mapping[str, NDArray[Any]]) -> None:
        scores = outputs.get(SCORES)
        if scores is None or scores.dtype.kind != "f" or scores.ndim != 2 or scores.shape[0] != 1 or scores.shape[1] < length:
            found = "none" if scores is None else f"{scores.dtype} of shape {scores.shape}"
            raise ValueError(f"expected {SCORES} as numbers of shape (1, {length}), got {found}")
        if not np.isfinite(scores[0, :length]).all():
            raise ValueError(f"expected finite {SCORES}, got NaN or infinity")

    return check
