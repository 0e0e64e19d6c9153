"""The service over gRPC: the same calls by the same rules as over HTTP, in the same event loop and of the same parts."""

import asyncio
import logging
import math
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, final
from urllib.parse import unquote

import grpc
from google.protobuf.message import DecodeError
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from pydantic import ValidationError

from components.contract.errors import InputError, LogUnavailable, ModelUnavailable, StateUnavailable
from serving.exposure.json_values import replace_surrogates
from serving.service import handlers, messages
from serving.service.http.auth import NEEDED, permits
from serving.service.http.error_responses import FAILED, fault_of, faults
from serving.service.http.rate_limit import RateExceeded
from serving.service.http.schemas import EventsBody, ForgetBody, RankBody
from serving.service.service_context import Parts
from serving.service.settings import Settings

DOOR = "grpc"
SENTENCE = 500  # characters of an error's text: it travels as a header, up to 12 bytes a character, and clients refuse more than 8 KiB
CLOSING_S = (
    0.1  # for which new calls are told to go elsewhere: one that comes as the server stops would be broken off by gRPC without a word
)
_LOG = logging.getLogger(__name__)
_Code = grpc.StatusCode
# By the call, whether it writes, and so needs the token.
_CALLS = {"Rank": False, "Explain": False, "RecordEvents": True, "Forget": True}


@asynccontextmanager
async def grpc_door(
    parts: Parts, settings: Settings, *, address: str, credentials: grpc.ServerCredentials | None = None
) -> AsyncIterator[int]:
    """Answers at the address while the block runs, and gives the port. At its end it takes no more calls and answers what it has.

    Raises:
        OSError: the address can't be listened on.
    """
    server = grpc.aio.server(options=(("grpc.max_receive_message_length", settings.body_bytes), ("grpc.so_reuseport", 0)))
    door = _Door(parts, settings)
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler(messages.SERVICE, {name: door.handler(name) for name in _CALLS}),)
    )
    state = health.aio.HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(state, server)
    try:
        port = server.add_insecure_port(address) if credentials is None else server.add_secure_port(address, credentials)
    except RuntimeError as error:
        raise OSError(f"expected a free address to listen on for gRPC, got {address}: {error}; name another by --grpc-port") from error
    for name in ("", messages.SERVICE):
        await state.set(name, health_pb2.HealthCheckResponse.SERVING)
    await server.start()
    try:
        yield port
    finally:
        await state.enter_graceful_shutdown()
        door.closing = True
        await asyncio.sleep(CLOSING_S)
        await server.stop(settings.grace_s)
        await door.settle()


@final
class _Door:
    def __init__(self, parts: Parts, settings: Settings) -> None:
        self._parts, self._settings = parts, settings
        self.closing = False
        self._afterwards: set[asyncio.Task[None]] = set()
        self._run: Mapping[str, Callable[[dict[str, Any], handlers.Arrival], Awaitable[Any]]] = {
            "Rank": self._rank,
            "Explain": self._explain,
            "RecordEvents": self._record,
            "Forget": self._forget,
        }
        self._requests = {name: messages.message(f"{'Rank' if name == 'Explain' else name}Request") for name in _CALLS}
        self._answers = {name: messages.message(f"{name}Response") for name in _CALLS}

    def handler(self, name: str) -> grpc.RpcMethodHandler:
        """Of a call, on bytes: a message that can't be read is told as the caller's fault, which gRPC wouldn't do."""

        async def handle(raw: bytes, context: grpc.aio.ServicerContext) -> bytes:
            began_s, code, sentence = time.monotonic(), _Code.CANCELLED, ""
            try:
                try:
                    answer: bytes = await self._answered(name, raw, context, began_s)
                    code = _Code.OK
                    return answer
                except Exception as error:
                    code, sentence = _refusal(error)
                    if code is _Code.INTERNAL:
                        _LOG.error("%s: %s", name, fault_of(error))
                    if isinstance(error, RateExceeded):
                        context.set_trailing_metadata((("grpc-retry-pushback-ms", str(error.wait_s * 1000)),))
                await context.abort(code, replace_surrogates(sentence)[:SENTENCE])
                raise AssertionError("abort raises")
            finally:
                self._parts.metrics.answered(DOOR, f"/{messages.SERVICE}/{name}", code.name, seconds=time.monotonic() - began_s)

        return grpc.unary_unary_rpc_method_handler(handle)

    async def settle(self) -> None:
        """Wait for what answers have left to be done."""
        if self._afterwards:
            await asyncio.wait(self._afterwards)

    async def _answered(self, name: str, raw: bytes, context: grpc.aio.ServicerContext, began_s: float) -> bytes:
        if self.closing:
            raise _Closing
        told = dict(context.invocation_metadata() or ())
        right = permits(self._settings.token, told.get("authorization", ""))
        rates = self._parts.telling if _CALLS[name] else self._parts.asking
        rates.admit("token" if self._settings.token and right else self._address(context.peer(), told))
        if (_CALLS[name] or (name == "Explain" and self._settings.explain_needs_token)) and not right:
            raise _TokenMissing
        left_s = context.time_remaining()
        arrival = handlers.Arrival(began_s, math.inf if left_s is None else left_s, told)
        body = messages.fields(self._requests[name].FromString(raw))
        answer = await self._run[name](body, arrival)
        made: bytes = self._answers[name](**{key: value for key, value in answer.items() if value is not None}).SerializeToString()
        return made

    def _address(self, peer: str, told: Mapping[str, str | bytes]) -> str:
        """Where a call comes from, out of gRPC's name of it such as `ipv4:127.0.0.1:50000`."""
        address = unquote(peer.partition(":")[2]).rpartition(":")[0].strip("[]")
        forwarded = told.get("x-forwarded-for")
        if address not in self._settings.proxies or not isinstance(forwarded, str):
            return address
        return forwarded.rpartition(",")[2].strip()

    async def _rank(self, body: dict[str, Any], arrival: handlers.Arrival) -> dict[str, Any]:
        ordered = await handlers.rank(self._parts, RankBody.model_validate(body), arrival)
        if ordered.after is not None:
            task = asyncio.create_task(ordered.after())
            self._afterwards.add(task)
            task.add_done_callback(self._afterwards.discard)
        self._parts.ranking.answered(ordered.ranked)
        return ordered.answer

    async def _explain(self, body: dict[str, Any], arrival: handlers.Arrival) -> dict[str, Any]:
        return messages.explained(await handlers.explain(self._parts, RankBody.model_validate(body), arrival))

    async def _record(self, body: dict[str, Any], _: handlers.Arrival) -> dict[str, Any]:
        return await handlers.record(self._parts, EventsBody.model_validate(body))

    async def _forget(self, body: dict[str, Any], _: handlers.Arrival) -> dict[str, Any]:
        await handlers.forget(self._parts, ForgetBody.model_validate(body).shopper)
        return {}


class _TokenMissing(Exception):  # noqa: N818 - told to the caller, never seen
    """The call came without the token."""


class _Closing(Exception):  # noqa: N818
    """The call came when the service had begun to stop."""


def _refusal(error: Exception) -> tuple[grpc.StatusCode, str]:
    match error:
        case _TokenMissing():
            return _Code.UNAUTHENTICATED, NEEDED
        case _Closing():
            return _Code.UNAVAILABLE, "the service is stopping; send the call to another, or again later"
        case DecodeError():
            return _Code.INVALID_ARGUMENT, "expected a message as in shelfrank.proto, got bytes that can't be read as one"
        case ValidationError():
            return _Code.INVALID_ARGUMENT, faults([{**fault, "loc": ("body", *fault["loc"])} for fault in error.errors()])
        case InputError():
            return _Code.INVALID_ARGUMENT, str(error)
        case RateExceeded():
            return _Code.RESOURCE_EXHAUSTED, str(error)
        case ModelUnavailable() | StateUnavailable() | LogUnavailable():
            return _Code.UNAVAILABLE, str(error)
    return _Code.INTERNAL, FAILED
