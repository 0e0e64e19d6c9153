"""Serve gRPC with the same handlers as HTTP, in the same event loop."""

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
from serving.service.rate_limit import RateExceeded
from serving.service.schemas import EventsBody, ForgetBody, RankBody
from serving.service.service_context import ServiceContext
from serving.service.settings import Settings

PROTOCOL = "grpc"
MAX_ERROR_CHARS = 500  # the text travels as a header of up to 12 bytes a character; clients refuse more than 8 KiB
CLOSING_S = 0.1  # new calls get an error for so long: gRPC would abort one that comes as the server stops without a reason
_LOG = logging.getLogger(__name__)
_Code = grpc.StatusCode
# Call -> whether it writes, and so needs the token.
_CALLS = {"Rank": False, "Explain": False, "RecordEvents": True, "Forget": True}


@asynccontextmanager
async def serve_grpc(
    service: ServiceContext, settings: Settings, *, address: str, credentials: grpc.ServerCredentials | None = None
) -> AsyncIterator[int]:
    """Serve at the address while the block runs, and yield the port. At its end answer only calls under way.

    Raises:
        OSError: the address can't be bound.
    """
    server = grpc.aio.server(options=(("grpc.max_receive_message_length", settings.body_bytes), ("grpc.so_reuseport", 0)))
    servicer = _Servicer(service, settings)
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler(messages.SERVICE, {name: servicer.handler(name) for name in _CALLS}),)
    )
    health_servicer = health.aio.HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(health_servicer, server)
    try:
        port = server.add_insecure_port(address) if credentials is None else server.add_secure_port(address, credentials)
    except RuntimeError as error:
        raise OSError(f"expected a free address to listen on for gRPC, got {address}: {error}; name another by --grpc-port") from error
    for name in ("", messages.SERVICE):
        await health_servicer.set(name, health_pb2.HealthCheckResponse.SERVING)
    await server.start()
    try:
        yield port
    finally:
        await health_servicer.enter_graceful_shutdown()
        servicer.closing = True
        await asyncio.sleep(CLOSING_S)
        await server.stop(settings.grace_s)
        await servicer.settle()


@final
class _Servicer:
    def __init__(self, service: ServiceContext, settings: Settings) -> None:
        self._service, self._settings = service, settings
        self.closing = False
        self._background: set[asyncio.Task[None]] = set()
        self._run: Mapping[str, Callable[[dict[str, Any], handlers.CallContext], Awaitable[Any]]] = {
            "Rank": self._rank,
            "Explain": self._explain,
            "RecordEvents": self._record,
            "Forget": self._forget,
        }
        self._requests = {name: messages.message_class(f"{'Rank' if name == 'Explain' else name}Request") for name in _CALLS}
        self._answers = {name: messages.message_class(f"{name}Response") for name in _CALLS}

    def handler(self, name: str) -> grpc.RpcMethodHandler:
        """Return the handler of a call, on bytes: gRPC itself wouldn't answer an undecodable message."""

        async def handle(raw: bytes, context: grpc.aio.ServicerContext) -> bytes:
            began_s, code, sentence = time.monotonic(), _Code.CANCELLED, ""
            try:
                try:
                    response: bytes = await self._respond(name, raw, context, began_s)
                    code = _Code.OK
                    return response
                except Exception as error:
                    code, sentence = _status_of(error)
                    if code is _Code.INTERNAL:
                        _LOG.error("%s: %s", name, fault_of(error))
                    if isinstance(error, RateExceeded):
                        context.set_trailing_metadata((("grpc-retry-pushback-ms", str(error.wait_s * 1000)),))
                await context.abort(code, replace_surrogates(sentence)[:MAX_ERROR_CHARS])
                raise AssertionError("abort raises")
            finally:
                self._service.metrics.count_answer(PROTOCOL, f"/{messages.SERVICE}/{name}", code.name, seconds=time.monotonic() - began_s)

        return grpc.unary_unary_rpc_method_handler(handle)

    async def settle(self) -> None:
        """Wait for tasks that outlive their answers."""
        if self._background:
            await asyncio.wait(self._background)

    async def _respond(self, name: str, raw: bytes, context: grpc.aio.ServicerContext, began_s: float) -> bytes:
        if self.closing:
            raise _RefusedError(_Code.UNAVAILABLE, "the service is stopping; send the call to another, or again later")
        headers = dict(context.invocation_metadata() or ())
        has_token = permits(self._settings.token, headers.get("authorization", ""))
        rate_limit = self._service.write_limit if _CALLS[name] else self._service.read_limit
        rate_limit.admit("token" if self._settings.token and has_token else self._address(context.peer(), headers))
        if (_CALLS[name] or (name == "Explain" and self._settings.explain_needs_token)) and not has_token:
            raise _RefusedError(_Code.UNAUTHENTICATED, NEEDED)
        left_s = context.time_remaining()
        call = handlers.CallContext(began_s, math.inf if left_s is None else left_s, headers)
        body = messages.to_body(self._requests[name].FromString(raw))
        answer = await self._run[name](body, call)
        response: bytes = self._answers[name](**{key: value for key, value in answer.items() if value is not None}).SerializeToString()
        return response

    def _address(self, peer: str, headers: Mapping[str, str | bytes]) -> str:
        """Return a caller's address, from gRPC's peer name such as `ipv4:127.0.0.1:50000`."""
        address = unquote(peer.partition(":")[2]).rpartition(":")[0].strip("[]")
        forwarded = headers.get("x-forwarded-for")
        if address not in self._settings.proxies or not isinstance(forwarded, str):
            return address
        return forwarded.rpartition(",")[2].strip()

    async def _rank(self, body: dict[str, Any], call: handlers.CallContext) -> dict[str, Any]:
        answer = await handlers.rank(self._service, RankBody.model_validate(body), call)
        if answer.after is not None:
            task = asyncio.create_task(answer.after())
            self._background.add(task)
            task.add_done_callback(self._background.discard)
        self._service.ranking.observe_answer(answer.result)
        return answer.body

    async def _explain(self, body: dict[str, Any], call: handlers.CallContext) -> dict[str, Any]:
        return messages.explain_response(await handlers.explain(self._service, RankBody.model_validate(body), call))

    async def _record(self, body: dict[str, Any], _: handlers.CallContext) -> dict[str, Any]:
        return await handlers.record(self._service, EventsBody.model_validate(body))

    async def _forget(self, body: dict[str, Any], _: handlers.CallContext) -> dict[str, Any]:
        await handlers.forget(self._service, ForgetBody.model_validate(body).shopper)
        return {}


class _RefusedError(Exception):
    """Refuse a call by a status."""

    def __init__(self, code: grpc.StatusCode, sentence: str) -> None:
        super().__init__(sentence)
        self.code = code


def _status_of(error: Exception) -> tuple[grpc.StatusCode, str]:
    match error:
        case _RefusedError():
            return error.code, str(error)
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
