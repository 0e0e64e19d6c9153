"""Score candidates by the first level of a fallback chain that has scores in time; see `Level`."""

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
from serving.service.ranking.fallback_scores import Scores, constant_scores, popularity_scores, random_scores

SCORES = "scores"
FIRST_SHARE = 0.6  # of the time left, for a label that isn't the last
BUSY = "busy"  # failure reason: too many requests wait for the model
Level = Literal["model", "previous", "segment", "popularity", "given", "baseline", "interleaved"]


@dataclass(frozen=True)
class Scored:
    """Hold scores of L candidates and their origin.

    Attributes:
        scores: [L], finite.
        level: of the fallback chain; `baseline` where an arm uses no model, `interleaved` where it uses two rankers.
        version: of the model that answered; None without one.
        failures: `label: reason` for each label that failed.
        model_ms: until the label called first answered or failed; None without a call.
    """

    scores: Scores
    level: Level
    version: int | None = None
    failures: tuple[str, ...] = ()
    model_ms: float | None = None

    @property
    def degraded(self) -> str:
        """Return what replaced the model and why; "" if nothing did."""
        return f"{self.level} ({', '.join(self.failures)})" if self.failures else ""


def fallback_labels(arm: str | None, label: str, previous: str) -> tuple[str, ...]:
    """Return the labels to call in order, each once: the arm's, the default, the previous one; "" is the newest."""
    first = (label,) if arm is None else (arm, label)
    return tuple(dict.fromkeys(first + ((previous,) if previous else ())))


@final
class FallbackChain:
    """Score candidates.

    Args:
        model: called first.
        popular: the input column that holds popularity, or None.
        capacity: requests that may wait for the model at a time.
    """

    def __init__(self, model: ModelClient, *, popular: str | None, capacity: int) -> None:
        self._model, self._popular, self._capacity = model, popular, capacity
        self._waiting = 0

    async def scores(
        self,
        tensors: Mapping[str, NDArray[Any]],
        length: int,
        *,
        labels: Sequence[ModelVersion],
        until_s: float,
        in_segment: Callable[[], Scores | None],
    ) -> Scored:
        """Return scores of a request's L candidates, in any case.

        Args:
            tensors: of the request.
            length: L.
            labels: or versions, to call in this order.
            until_s: deadline by the monotonic clock.
            in_segment: returns [L] popularity in the request's segment, or None if unknown; called only if needed.
        """
        failures: list[str] = []
        first_ms: float | None = None
        if self._waiting >= self._capacity:
            failures, labels = [f"{version_name(labels[0]) or NEWEST}: {BUSY}"], ()
        self._waiting += 1
        try:
            for index, label in enumerate(labels):
                began_s = time.monotonic()
                left_s = until_s - began_s
                timeout_s = left_s if index == len(labels) - 1 else left_s * FIRST_SHARE
                check = scored_candidates(length)
                try:
                    prediction = await self._model.predict(tensors, (SCORES,), label=label, timeout_s=timeout_s, check=check)
                except ModelUnavailable as error:
                    failures.append(f"{version_name(label) or NEWEST}: {error.reason}")
                    continue
                finally:
                    first_ms = (time.monotonic() - began_s) * 1e3 if first_ms is None else first_ms
                scores = prediction.outputs[SCORES][0, :length].astype(np.float64)
                return Scored(scores, "model" if index == 0 else "previous", prediction.version, tuple(failures), first_ms)
        finally:
            self._waiting -= 1
        segment_scores = in_segment()
        if segment_scores is not None:
            return Scored(segment_scores, "segment", failures=tuple(failures), model_ms=first_ms)
        popular = popularity_scores(tensors, self._popular, length)
        if popular is not None:
            return Scored(popular, "popularity", failures=tuple(failures), model_ms=first_ms)
        return Scored(constant_scores(length), "given", failures=tuple(failures), model_ms=first_ms)

    def baseline(
        self, kind: Baseline, tensors: Mapping[str, NDArray[Any]], length: int, *, request: str, in_segment: Callable[[], Scores | None]
    ) -> Scored:
        """Return the scores of an experiment's baseline arm, without a model."""
        if kind == "shuffle":
            return Scored(random_scores(request, length), "baseline")
        segment_scores = in_segment() if kind == "popularity" else None
        if segment_scores is not None:
            return Scored(segment_scores, "baseline")
        popular = popularity_scores(tensors, self._popular, length) if kind == "popularity" else None
        return Scored(constant_scores(length) if popular is None else popular, "baseline")


def scored_candidates(length: int) -> Check:
    """Return a check that a model's answer has a finite number for each candidate."""

    def check(outputs: Mapping[str, NDArray[Any]]) -> None:
        scores = outputs.get(SCORES)
        if scores is None or scores.dtype.kind != "f" or scores.ndim != 2 or scores.shape[0] != 1 or scores.shape[1] < length:
            received = "none" if scores is None else f"{scores.dtype} of shape {scores.shape}"
            raise ValueError(f"expected {SCORES} as numbers of shape (1, {length}), got {received}")
        if not np.isfinite(scores[0, :length]).all():
            raise ValueError(f"expected finite {SCORES}, got NaN or infinity")

    return check
