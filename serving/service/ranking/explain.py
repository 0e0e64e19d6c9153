"""Explain scores by feature attributions, from the model's `explain` signature, and in words."""

import asyncio
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from components.contract.dataset import Dataset
from components.contract.errors import InputError
from serving.client.model import ModelClient
from serving.client.prediction import Check
from serving.explanation.reasons import LOGITS, Pair, Reason, Reasons
from serving.explanation.request_values import RequestValues
from serving.service.ranking.ranking import Ranking, RankRequest
from serving.service.rate_limit import ConcurrencyLimit
from serving.service.settings import Settings
from serving.service.state.state_client import StateClient

SIGNATURE = "explain"
ATTRIBUTIONS, FEATURES = "attributions", "features"


@dataclass(frozen=True)
class Explanation:
    """Hold what each feature adds to each score.

    Attributes:
        request: its id.
        version: of the model that answered.
        features: F names.
        attributions: [L, F].
        others: other outputs, [L, ...] by name, such as the logit and its baseline.
        reasons: [L] what says most of each candidate, in words.
        pairs: why each candidate scores higher than the next, in the order of the logits; none without those.
    """

    request: str
    version: int | None
    features: tuple[str, ...]
    attributions: NDArray[Any]
    others: Mapping[str, NDArray[Any]]
    reasons: Sequence[Sequence[Reason]]
    pairs: Sequence[Pair]


@final
class Explainer:
    """Explain requests of one shop."""

    def __init__(self, dataset: Dataset, settings: Settings, *, ranking: Ranking, state: StateClient, model: ModelClient) -> None:
        self._settings, self._ranking, self._state, self._model = settings, ranking, state, model
        self._dataset, self._reasons = dataset, Reasons(dataset)
        self._limit = ConcurrencyLimit(settings.explain_at_once, "explanations")

    async def explain(self, rank_request: RankRequest, *, now_us: int, began_s: float, patience_s: float = math.inf) -> Explanation:
        """Explain a request's scores, by the version or label that ranks for its shopper. Nothing is logged.

        Raises:
            InputError: see Ranking.rank; or more candidates than the limit.
            ModelUnavailable: the model gave no attributions.
            RateExceeded: too many explanations are under way.
        """
        if len(rank_request.candidates) > self._settings.explain_candidates:
            raise InputError(
                f"expected at most {self._settings.explain_candidates:,} candidates to explain, got {len(rank_request.candidates):,};"
                " each costs many times what ranking it does, so send those of interest"
            )
        with self._limit.acquire():
            return await self._explain(
                rank_request, now_us=now_us, until_s=began_s + min(self._settings.explain_deadline_ms / 1e3, patience_s)
            )

    async def _explain(self, rank_request: RankRequest, *, now_us: int, until_s: float) -> Explanation:
        request = self._ranking.request(rank_request, now_us)
        inputs, _ = await self._state.inputs(request, timeout_s=(until_s - time.monotonic()) / 2)
        label = self._ranking.labels_to_call(rank_request, self._ranking.assignment_of(rank_request, now_us))[0]
        length = len(request.candidates)
        prediction = await self._model.predict(
            inputs.tensors, label=label, timeout_s=until_s - time.monotonic(), check=_explanation_check(length), signature=SIGNATURE
        )
        outputs = prediction.outputs
        features = tuple(name.decode("utf-8", "replace") for name in outputs[FEATURES][0].tolist())
        others = {name: values[0, :length] for name, values in sorted(outputs.items()) if name not in (FEATURES, ATTRIBUTIONS)}
        attributions = outputs[ATTRIBUTIONS][0, :length]
        values = RequestValues(self._dataset, inputs.tensors, length)
        # Of 200 candidates it takes tens of milliseconds, in which other requests have to be answered.
        reasons, pairs = await asyncio.to_thread(self._in_words, features, attributions, others, values)
        return Explanation(request.request, prediction.version, features, attributions, others, reasons, pairs)

    def _in_words(
        self, features: Sequence[str], attributions: NDArray[Any], others: Mapping[str, NDArray[Any]], values: RequestValues
    ) -> tuple[Sequence[Sequence[Reason]], Sequence[Pair]]:
        names, effects = self._reasons.effects(features, attributions, others)
        logits = others.get(LOGITS)
        pairs = [] if logits is None or logits.ndim != 1 else self._reasons.of_neighbours(names, effects, logits, values)
        return self._reasons.of_candidates(names, effects, values), pairs


def _explanation_check(length: int) -> Check:
    def check(outputs: Mapping[str, NDArray[Any]]) -> None:
        features, attributions = outputs.get(FEATURES), outputs.get(ATTRIBUTIONS)
        if features is None or attributions is None or features.ndim != 2 or not features.dtype.hasobject:
            raise ValueError(f"expected {FEATURES} and {ATTRIBUTIONS}, got {sorted(outputs)}")
        if attributions.dtype.kind != "f" or attributions.shape[:1] != (1,) or attributions.ndim != 3:
            raise ValueError(f"expected {ATTRIBUTIONS} of shape (1, {length}, features), got {attributions.shape}")
        if attributions.shape[1] < length or attributions.shape[2] != features.shape[1] or not np.isfinite(attributions).all():
            raise ValueError(f"expected finite {ATTRIBUTIONS} of shape (1, {length}, {features.shape[1]}), got {attributions.shape}")
        if any(values.ndim < 2 or values.shape[1] < length for name, values in outputs.items() if name != FEATURES):
            raise ValueError("expected a value for each candidate in every output")

    return check
