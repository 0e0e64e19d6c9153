"""Score requests by a second version in the shadow of the one that answers, and compare their scores.

A share of the requests that a model has answered goes to another label, with the same tensors, after the answer. It has
a client of its own, so that its failures open no circuit breaker of the answering model. At most `MOST` calls are under
way; requests beyond that are dropped and counted. It changes no state, and its scores have lines of their own in the
log.
"""

import asyncio
import math
import time
from collections.abc import Mapping
from typing import Any, final

import numpy as np
from numpy.typing import NDArray
from prometheus_client import CollectorRegistry, Counter, Histogram

from components.contract.errors import ModelUnavailable
from serving.client.model import ModelClient
from serving.exposure.event_types import ShadowScores, is_sampled
from serving.exposure.log import EventLog
from serving.features.request import Request
from serving.service.ranking.fallback_chain import SCORES, Scored, scored_candidates
from serving.service.ranking.fallback_scores import Scores

MOST = 8
TIMEOUT_S = 1.0
FIRST = 10
_SECONDS = (0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.015, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.2, 0.5, 1)
_DIFFERENCES = (1e-6, 1e-4, 1e-3, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10)
_SHARES = (0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1)


@final
class Shadow:
    """Call a second label.

    Args:
        model: a client of its own.
        label: the label.
        share: of requests, sampled by their ids, as the log samples features.
        registry: of the metrics.
        log: of the scores, or None.
    """

    def __init__(self, model: ModelClient, *, label: str, share: float, registry: CollectorRegistry, log: EventLog | None = None) -> None:
        self._model, self._label, self._share, self._log = model, label, share, log
        self._running: set[asyncio.Task[None]] = set()
        self._outcomes = Counter("shelfrank_shadow", "Requests sent to the shadow, by what came of it", ["outcome"], registry=registry)
        self._seconds = Histogram("shelfrank_shadow_seconds", "From call to answer of the shadow", buckets=_SECONDS, registry=registry)
        self._difference = Histogram(
            "shelfrank_shadow_difference", "Mean absolute difference of a request's scores", buckets=_DIFFERENCES, registry=registry
        )
        self._overlap = Histogram(
            "shelfrank_shadow_overlap", "Share of the first candidates that both have", buckets=_SHARES, registry=registry
        )

    def offer(self, request: Request, tensors: Mapping[str, NDArray[Any]], scored: Scored) -> None:
        """Call the label if the request is sampled. Returns at once; the call starts when the caller next awaits."""
        if scored.level not in ("model", "previous") or not is_sampled(request.request, self._share):
            return
        if len(self._running) >= MOST:
            self._outcomes.labels("dropped").inc()
            return
        task = asyncio.create_task(self._compare(request, tensors, scored.scores))
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def close(self) -> None:
        """Cancel calls under way, and close the connection."""
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)
        await self._model.close()

    async def _compare(self, request: Request, tensors: Mapping[str, NDArray[Any]], scores: Scores) -> None:
        began_s = time.perf_counter()
        check = scored_candidates(len(scores))
        try:
            prediction = await self._model.predict(tensors, (SCORES,), label=self._label, timeout_s=TIMEOUT_S, check=check)
        except ModelUnavailable as error:
            self._outcomes.labels(error.reason).inc()
            return
        self._seconds.observe(time.perf_counter() - began_s)
        shadow_scores = prediction.outputs[SCORES][0, : len(scores)].astype(np.float64)
        self._difference.observe(float(np.abs(shadow_scores - scores).mean()))
        self._overlap.observe(overlap(scores, shadow_scores))
        self._outcomes.labels("compared").inc()
        if self._log is not None:
            version = "" if prediction.version is None else str(prediction.version)
            self._log.offer(
                ShadowScores(
                    request=request.request, time_us=request.time_us, label=self._label, version=version, scores=shadow_scores.tolist()
                )
            )


def overlap(one: Scores, other: Scores, *, first: int = FIRST) -> float:
    """Return the share of the first candidates by one's scores that is also among the first by the other's.

    The first are `first`, or half of a list that isn't twice as long: in a whole list all candidates are. Ties keep the
    given order, as in the order that is shown.
    """
    k = min(first, math.ceil(len(one) / 2))
    top = [set(np.argsort(-scores, kind="stable")[:k].tolist()) for scores in (one, other)]
    return len(top[0] & top[1]) / k
