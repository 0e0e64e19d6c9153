"""One model server of those that serve the same models: a connection, and what is known of how it fares."""

import logging
import time
from collections.abc import Sequence
from functools import partial
from typing import final

import grpc

from components.contract.errors import ModelUnavailable
from serving.client.breaker import Breaker, BreakerSettings
from serving.client.failure_log import FailureLog
from serving.client.messages import AVAILABLE, MODEL_STATUS, PREDICT, ModelStatusRequest, ModelStatusResponse
from serving.client.prediction import NEWEST, Check, Door, Prediction, answered, named
from serving.client.recent import Recent

_OPTIONS = (
    ("grpc.max_receive_message_length", 64 << 20),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1000),  # a server that is back is found within a second
    ("grpc.enable_http_proxy", 0),
    ("grpc.use_local_subchannel_pool", 1),  # clients of one process have connections of their own
    ("grpc.lb_policy_name", "round_robin"),  # where the name stands for several addresses
)
_LOG = logging.getLogger(__name__)
_REASONS = {grpc.StatusCode.UNAVAILABLE: "unreachable", grpc.StatusCode.DEADLINE_EXCEEDED: "timeout"}


@final
class Replica:
    """To be made, used and closed within one event loop.

    Args:
        address: HOST:PORT of its gRPC.
        breaker: of each door; after as many defeats as failures it takes, a replica counts as slow for as long.
        credentials: of the connection; None for none.
        interceptors: what each call passes through.

    Attributes:
        address: as given.
        outstanding: how many calls it hasn't answered yet.
    """

    def __init__(
        self,
        address: str,
        breaker: BreakerSettings,
        *,
        credentials: grpc.ChannelCredentials | None = None,
        interceptors: Sequence[grpc.aio.ClientInterceptor] = (),
    ) -> None:
        self.address = address
        self.outstanding = 0
        self._channel = (
            grpc.aio.insecure_channel(address, options=_OPTIONS, interceptors=interceptors)
            if credentials is None
            else grpc.aio.secure_channel(address, credentials, options=_OPTIONS, interceptors=interceptors)
        )
        # Messages are made and parsed elsewhere: one for all replicas, and rubbish told apart from failure.
        self._predict = self._channel.unary_unary(PREDICT)
        self._status = self._channel.unary_unary(
            MODEL_STATUS, request_serializer=ModelStatusRequest.SerializeToString, response_deserializer=ModelStatusResponse.FromString
        )
        self._failing = Recent[Door, Breaker](partial(Breaker, breaker))
        self._slow = Recent[Door, Breaker](partial(Breaker, breaker))
        self._failures = FailureLog(_LOG)

    def connect(self) -> None:
        """Begin to connect, so that the first request needn't."""
        self._channel.get_state(try_to_connect=True)

    def allows(self, door: Door) -> bool:
        """Whether to ask it, by its circuit breaker."""
        return self._failing[door].allows(time.monotonic())

    def keeps_up(self, door: Door) -> bool:
        """Whether to ask it first: not where others have kept answering before it, but for one try now and then."""
        return self._slow[door].allows(time.monotonic())

    def suspect(self, door: Door) -> bool:
        """Whether whoever asks it tries if it is well again."""
        return self._failing[door].is_open or self._slow[door].is_open

    async def ask(self, message: bytes, door: Door, *, until_s: float, check: Check) -> Prediction:
        """One try. Whoever cancels it cancels the call, and it counts neither as failure nor as success.

        Args:
            message: as `asking` makes it.
            door: that it asks.
            until_s: by the monotonic clock; what is left until then is the deadline that the server sees.
            check: see `answered`.

        Raises:
            ModelUnavailable: `unreachable`, `timeout`, `refused` or `rubbish`.
        """
        left_s = until_s - time.monotonic()
        if left_s <= 0:
            raise ModelUnavailable("timeout", f"no time was left to ask the model server at {self.address}")
        self.outstanding += 1
        try:
            prediction = answered(await self._predict(message, timeout=left_s), check)
        except grpc.aio.AioRpcError as error:
            if error.code() is grpc.StatusCode.DEADLINE_EXCEEDED:
                self._failing[door].late(time.monotonic(), left_s)
            else:
                self._failing[door].failed(time.monotonic())
            failure = self._unavailable(error)
            self._noted(failure, door)
            raise failure from error
        except ModelUnavailable as error:
            self._failing[door].failed(time.monotonic())
            self._noted(error, door)
            raise
        finally:
            self.outstanding -= 1
        self._failing[door].succeeded()
        self._slow[door].succeeded()
        return prediction

    def beaten(self, door: Door) -> None:
        """Another one, asked later, has answered before it."""
        self._slow[door].failed(time.monotonic())

    def failing(self) -> set[str]:
        """The labels whose last tries failed, so many that they aren't asked all the time."""
        return {named(door.label) or NEWEST for door, breaker in self._failing.items() if breaker.is_open}

    async def versions(self, model: str, *, timeout_s: float) -> tuple[int, ...]:
        """The versions that it has ready, the newest first.

        Raises:
            ModelUnavailable: it doesn't tell.
        """
        request = ModelStatusRequest()
        request.model_spec.name = model
        try:
            told = await self._status(request, timeout=timeout_s)
        except grpc.aio.AioRpcError as error:
            raise self._unavailable(error) from error
        return tuple(sorted((each.version for each in told.model_version_status if each.state == AVAILABLE), reverse=True))

    def _noted(self, failure: ModelUnavailable, door: Door) -> None:
        which = f"{named(door.label) or NEWEST}, {door.signature}"
        self._failures.note((which, failure.reason), f"{failure} (asked for {which})", time.monotonic())

    def _unavailable(self, error: grpc.aio.AioRpcError) -> ModelUnavailable:
        reason = _REASONS.get(error.code(), "refused")
        return ModelUnavailable(reason, f"the model server at {self.address}: {error.code().name}, {error.details()}")

    async def close(self) -> None:
        """Let go of the connection."""
        await self._channel.close()
