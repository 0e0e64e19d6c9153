"""Call one replica of the model server, and track its failures and its speed."""

import logging
import time
from collections.abc import Sequence
from functools import partial
from typing import final

import grpc

from components.contract.errors import ModelUnavailable
from serving.client.breaker import BreakerSettings, CircuitBreaker
from serving.client.failure_log import FailureLog
from serving.client.lru_cache import LruCache
from serving.client.messages import AVAILABLE, MODEL_STATUS, PREDICT, ModelStatusRequest, ModelStatusResponse
from serving.client.prediction import NEWEST, Check, Endpoint, Prediction, parse_response, version_name

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
    """Call one model server. Create, use and close it within one event loop.

    Args:
        address: HOST:PORT of its gRPC endpoint.
        breaker: circuit breaker of each endpoint; as many lost races make a replica count as slow for as long.
        credentials: of a TLS connection; None for plaintext.
        interceptors: of every call.

    Attributes:
        address: as passed in.
        outstanding: calls without an answer yet.
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
        # No serializers: one message serves all replicas, and an unusable answer differs from a failed call.
        self._predict = self._channel.unary_unary(PREDICT)
        self._status = self._channel.unary_unary(
            MODEL_STATUS, request_serializer=ModelStatusRequest.SerializeToString, response_deserializer=ModelStatusResponse.FromString
        )
        self._failing = LruCache[Endpoint, CircuitBreaker](partial(CircuitBreaker, breaker))
        self._slow = LruCache[Endpoint, CircuitBreaker](partial(CircuitBreaker, breaker))
        self._failures = FailureLog(_LOG)

    def connect(self) -> None:
        """Start connecting, so that the first request doesn't wait for it."""
        self._channel.get_state(try_to_connect=True)

    def allows(self, endpoint: Endpoint) -> bool:
        """Return whether to call it, by its circuit breaker."""
        return self._failing[endpoint].allows(time.monotonic())

    def is_fast(self, endpoint: Endpoint) -> bool:
        """Return whether to prefer it: false while later calls to others keep answering first, except for a trial."""
        return self._slow[endpoint].allows(time.monotonic())

    def is_probe(self, endpoint: Endpoint) -> bool:
        """Return whether the next call tries out if it has recovered."""
        return self._failing[endpoint].is_open or self._slow[endpoint].is_open

    async def call(self, message: bytes, endpoint: Endpoint, *, until_s: float, check: Check) -> Prediction:
        """Call once. Cancelling it cancels the RPC, which then counts neither as failure nor as success.

        Args:
            message: as `predict_request` returns it.
            endpoint: that it goes to.
            until_s: deadline by the monotonic clock, which the server sees.
            check: see `parse_response`.

        Raises:
            ModelUnavailable: `unreachable`, `timeout`, `refused` or `rubbish`.
        """
        left_s = until_s - time.monotonic()
        if left_s <= 0:
            raise ModelUnavailable("timeout", f"no time was left to ask the model server at {self.address}")
        self.outstanding += 1
        try:
            prediction = parse_response(await self._predict(message, timeout=left_s), check)
        except grpc.aio.AioRpcError as error:
            if error.code() is grpc.StatusCode.DEADLINE_EXCEEDED:
                self._failing[endpoint].record_timeout(time.monotonic(), left_s)
            else:
                self._failing[endpoint].record_failure(time.monotonic())
            failure = self._unavailable(error)
            self._log_failure(failure, endpoint)
            raise failure from error
        except ModelUnavailable as error:
            self._failing[endpoint].record_failure(time.monotonic())
            self._log_failure(error, endpoint)
            raise
        finally:
            self.outstanding -= 1
        self._failing[endpoint].record_success()
        self._slow[endpoint].record_success()
        return prediction

    def record_lost_race(self, endpoint: Endpoint) -> None:
        """Count that another replica, called later, answered first."""
        self._slow[endpoint].record_failure(time.monotonic())

    def failing(self) -> set[str]:
        """Return the labels whose circuit breaker is open."""
        return {version_name(endpoint.label) or NEWEST for endpoint, breaker in self._failing.items() if breaker.is_open}

    async def versions(self, model: str, *, timeout_s: float) -> tuple[int, ...]:
        """Return the versions that are available, the newest first.

        Raises:
            ModelUnavailable: it doesn't answer.
        """
        request = ModelStatusRequest()
        request.model_spec.name = model
        try:
            response = await self._status(request, timeout=timeout_s)
        except grpc.aio.AioRpcError as error:
            raise self._unavailable(error) from error
        return tuple(sorted((each.version for each in response.model_version_status if each.state == AVAILABLE), reverse=True))

    def _log_failure(self, failure: ModelUnavailable, endpoint: Endpoint) -> None:
        target = f"{version_name(endpoint.label) or NEWEST}, {endpoint.signature}"
        self._failures.note((target, failure.reason), f"{failure} (asked for {target})", time.monotonic())

    def _unavailable(self, error: grpc.aio.AioRpcError) -> ModelUnavailable:
        reason = _REASONS.get(error.code(), "refused")
        return ModelUnavailable(reason, f"the model server at {self.address}: {error.code().name}, {error.details()}")

    async def close(self) -> None:
        """Close the connection."""
        await self._channel.close()
