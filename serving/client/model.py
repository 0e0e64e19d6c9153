"""One model of a model server, asked over gRPC: by label or version, within a deadline, and not at all while it keeps failing."""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, final

import grpc
from google.protobuf.message import DecodeError

from components.contract.errors import ModelUnavailable
from serving.client.breaker import Breaker, BreakerSettings
from serving.client.messages import (
    AVAILABLE,
    MODEL_STATUS,
    PREDICT,
    ModelStatusRequest,
    ModelStatusResponse,
    PredictRequest,
    PredictResponse,
)
from serving.client.tensors import Array, read, write

Which = str | int  # a version of a model: by its label, "" being the newest, or by its number
PAUSE_S = 0.005  # before the second try
_OPTIONS = (
    ("grpc.max_receive_message_length", 64 << 20),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1000),  # a server that is back is found within a second
    ("grpc.enable_http_proxy", 0),
)
_REASONS = {grpc.StatusCode.UNAVAILABLE: "unreachable", grpc.StatusCode.DEADLINE_EXCEEDED: "timeout"}


@dataclass(frozen=True)
class Prediction:
    """What the model answered: its outputs by name, and the version that did."""

    outputs: dict[str, Array]
    version: int | None


@final
class ModelClient:
    """Asks one model. To be made, used and closed within one event loop.

    Args:
        address: HOST:PORT of the model server's gRPC.
        model: its name there.
        breaker: of each label and signature.
    """

    def __init__(self, address: str, model: str, *, breaker: BreakerSettings = BreakerSettings()) -> None:  # noqa: B008 - frozen
        self._channel = grpc.aio.insecure_channel(address, options=_OPTIONS)
        # The answer is parsed here, not by gRPC, so that one which is rubbish is told apart from one that failed.
        self._predict = self._channel.unary_unary(PREDICT, request_serializer=PredictRequest.SerializeToString)
        self._status = self._channel.unary_unary(
            MODEL_STATUS, request_serializer=ModelStatusRequest.SerializeToString, response_deserializer=ModelStatusResponse.FromString
        )
        self._address, self._model, self._settings = address, model, breaker
        self._breakers: dict[tuple[Which, str], Breaker] = {}

    def connect(self) -> None:
        """Begin to connect, so that the first request needn't."""
        self._channel.get_state(try_to_connect=True)

    async def predict(
        self,
        tensors: Mapping[str, Array],
        outputs: Sequence[str] = (),
        *,
        label: Which,
        timeout_s: float,
        check: Callable[[Mapping[str, Array]], None],
        signature: str = "serving_default",
    ) -> Prediction:
        """Outputs of a signature.

        A try that didn't reach the server (UNAVAILABLE) is made once more within the same deadline; any other failure isn't, since the
        server may be at work on it.

        Args:
            tensors: by the signature's names.
            outputs: which are wanted; all when empty.
            label: which version.
            timeout_s: for all of it; it is the deadline that the server sees.
            check: raises ValueError for outputs that aren't what was asked for, so that a model which answers rubbish counts as failing.
            signature: which.

        Raises:
            ModelUnavailable: `open` (it has kept failing and isn't asked), `unreachable`, `timeout`, `refused` (it answered with another
                error) or `rubbish` (its answer can't be used).
        """
        breaker = self._breakers.setdefault((label, signature), Breaker(self._settings))
        if not breaker.allows(time.monotonic()):
            raise ModelUnavailable("open", f"the model server at {self._address} has kept failing, and isn't asked for a moment")
        try:
            answer = await self._asked(self._request(tensors, outputs, label, signature), time.monotonic() + timeout_s)
            prediction = _prediction(answer, check)
        except ModelUnavailable:
            breaker.failed(time.monotonic())
            raise
        breaker.succeeded()
        return prediction

    def failing(self) -> list[str]:
        """The labels whose last tries failed, so many that they aren't asked all the time."""
        return sorted({named(label) for (label, _), breaker in self._breakers.items() if breaker.is_open})

    async def versions(self, *, timeout_s: float) -> tuple[int, ...]:
        """The versions that the server has ready, the newest first.

        Raises:
            ModelUnavailable: it doesn't tell.
        """
        request = ModelStatusRequest()
        request.model_spec.name = self._model
        try:
            told = await self._status(request, timeout=timeout_s)
        except grpc.aio.AioRpcError as error:
            raise self._unavailable(error) from error
        return tuple(sorted((each.version for each in told.model_version_status if each.state == AVAILABLE), reverse=True))

    async def close(self) -> None:
        """Let go of the connection."""
        await self._channel.close()

    def _request(self, tensors: Mapping[str, Array], outputs: Sequence[str], label: Which, signature: str) -> Any:
        request = PredictRequest(output_filter=outputs)
        request.model_spec.name, request.model_spec.signature_name = self._model, signature
        if isinstance(label, int):
            request.model_spec.version.value = label
        elif label:
            request.model_spec.version_label = label
        for name, array in tensors.items():
            named = request.inputs.add(key=name)
            write(named.value, array)
        return request

    async def _asked(self, request: Any, deadline_s: float) -> bytes:
        again = True
        while True:
            left_s = deadline_s - time.monotonic()
            if left_s <= 0:
                raise ModelUnavailable("timeout", f"no time was left to ask the model server at {self._address}")
            try:
                answer: bytes = await self._predict(request, timeout=left_s)
                return answer
            except grpc.aio.AioRpcError as error:
                if not again or error.code() is not grpc.StatusCode.UNAVAILABLE or left_s <= 2 * PAUSE_S:
                    raise self._unavailable(error) from error
            again = False
            await asyncio.sleep(PAUSE_S)

    def _unavailable(self, error: grpc.aio.AioRpcError) -> ModelUnavailable:
        reason = _REASONS.get(error.code(), "refused")
        return ModelUnavailable(reason, f"the model server at {self._address}: {error.code().name}, {error.details()}")


def named(which: Which) -> str:
    """How a version is told of in reasons, metrics and the log: by its label, or as `version N`."""
    return which if isinstance(which, str) else f"version {which}"


def _prediction(answer: bytes, check: Callable[[Mapping[str, Array]], None]) -> Prediction:
    try:
        response = PredictResponse.FromString(answer)
        outputs = {named.key: read(named.value) for named in response.outputs}
        check(outputs)
    except (DecodeError, ValueError) as error:
        raise ModelUnavailable("rubbish", f"the model server's answer can't be used: {error}") from error
    spec = response.model_spec
    return Prediction(outputs, spec.version.value if spec.HasField("version") else None)
