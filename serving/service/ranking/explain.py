"""Why candidates score as they do: the model's `explain`, asked for one request."""

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from components.contract.errors import InputError
from serving.client.model import ModelClient
from serving.service.ranking.ranking import Asked, Ranking
from serving.service.rate_limit import AtOnce
from serving.service.settings import Settings
from serving.service.state.state_client import Knowledge

SIGNATURE = "explain"
ATTRIBUTIONS, FEATURES = "attributions", "features"


@dataclass(frozen=True)
class Reasons:
    """What each feature adds to each score.

    Attributes:
        request: its id.
        version: of the model that answered.
        features: F names.
        attributions: [L, F].
        others: what else the model told of each candidate, [L, ...] by name, such as the logit and its baseline.
    """

    request: str
    version: int | None
    features: tuple[str, ...]
    attributions: NDArray[Any]
    others: Mapping[str, NDArray[Any]]


@final
class Explaining:
    """Explains requests of one shop."""

    def __init__(self, settings: Settings, *, ranking: Ranking, knowledge: Knowledge, model: ModelClient) -> None:
        self._settings, self._ranking, self._knowledge, self._model = settings, ranking, knowledge, model
        self._at_once = AtOnce(settings.explain_at_once, "explanations")

    async def explain(self, asked: Asked, *, now_us: int, began_s: float, patience_s: float = math.inf) -> Reasons:
        """The reasons of a request's scores, by the version or label that ranks for its shopper. Nothing is logged, nothing stands in.

        Raises:
            InputError: see Ranking.rank; or more candidates than may be explained at a time.
            ModelUnavailable: the model gave none, or has none to give.
            RateExceeded: too many are under way.
        """
        if len(asked.candidates) > self._settings.explain_candidates:
            raise InputError(
                f"expected at most {self._settings.explain_candidates:,} candidates to explain, got {len(asked.candidates):,};"
                " each costs many times what ranking it does, so send those of interest"
            )
        with self._at_once.one():
            return await self._explained(asked, now_us=now_us, until_s=began_s + min(self._settings.explain_deadline_ms / 1e3, patience_s))

    async def _explained(self, asked: Asked, *, now_us: int, until_s: float) -> Reasons:
        request = self._ranking.request(asked, now_us)
        inputs, _ = await self._knowledge.inputs(request, timeout_s=(until_s - time.monotonic()) / 2)
        label = self._ranking.asked_first(asked, self._ranking.assignment(asked.shopper, session=asked.session, context=asked.context))[0]
        length = len(request.candidates)
        prediction = await self._model.predict(
            inputs.tensors, label=label, timeout_s=until_s - time.monotonic(), check=_explained(length), signature=SIGNATURE
        )
        told = prediction.outputs
        features = tuple(name.decode("utf-8", "replace") for name in told[FEATURES][0].tolist())
        others = {name: values[0, :length] for name, values in sorted(told.items()) if name not in (FEATURES, ATTRIBUTIONS)}
        return Reasons(request.request, prediction.version, features, told[ATTRIBUTIONS][0, :length], others)


def _explained(length: int) -> Any:
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
