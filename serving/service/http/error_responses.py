"""Answer errors in one sentence, without stack traces and without the request's content."""

import logging
import traceback
from collections.abc import Sequence
from typing import Any

from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse

from components.contract.errors import InputError, LogUnavailable, ModelUnavailable, StateUnavailable
from serving.exposure.json_values import replace_surrogates
from serving.service.rate_limit import RateExceeded
from serving.service.schemas import ErrorBody

_LOG = logging.getLogger(__name__)
FAILED = "the service failed at this request; its log has the cause"
_DESCRIPTIONS = {
    400: "A value that the dataset file doesn't allow",
    401: "The token is missing or wrong",
    408: "The body wasn't whole in time; the connection is closed",
    413: "The body is too large",
    422: "The body isn't as described here",
    429: "Too many calls from one client; `Retry-After` says in how many seconds the next may come",
    503: "The state, the log or the model takes nothing for now; try again later",
}


def error_reply(status: int, sentence: str) -> JSONResponse:
    """Return an error as JSON."""
    headers = {401: {"WWW-Authenticate": "Bearer"}, 503: {"Retry-After": "1"}}.get(status)
    return JSONResponse({"error": replace_surrogates(sentence)}, status, headers)


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return OpenAPI's description of a route's errors."""
    return {status: {"model": ErrorBody, "description": _DESCRIPTIONS[status]} for status in statuses}


async def refused(_: Request, error: Exception) -> JSONResponse:
    """Answer InputError by 400."""
    assert isinstance(error, InputError)
    return error_reply(400, str(error))


async def unavailable(_: Request, error: Exception) -> JSONResponse:
    """Answer ModelUnavailable, StateUnavailable and LogUnavailable by 503."""
    assert isinstance(error, ModelUnavailable | StateUnavailable | LogUnavailable)
    return error_reply(503, str(error))


async def too_often(_: Request, error: Exception) -> JSONResponse:
    """Answer RateExceeded by 429 and Retry-After."""
    assert isinstance(error, RateExceeded)
    reply = error_reply(429, str(error))
    reply.headers["Retry-After"] = str(error.wait_s)
    return reply


async def misshapen(_: Request, error: Exception) -> JSONResponse:
    """Answer a body that doesn't fit its schema by 422 and its first errors, without its content."""
    assert isinstance(error, RequestValidationError)
    return error_reply(422, faults(error.errors()))


def faults(errors: Sequence[Any]) -> str:
    """Return pydantic's first errors of a body in one line, without its content."""
    return "; ".join(_fault(fault) for fault in errors[:3])


async def by_status(_: Request, error: Exception) -> JSONResponse:
    """Answer what Starlette refuses itself, such as an unknown path."""
    assert isinstance(error, HTTPException)
    reply = error_reply(error.status_code, str(error.detail))
    reply.headers.update(error.headers or {})
    return reply


async def unforeseen(request: Request, error: Exception) -> JSONResponse:
    """Answer a fault of the service by 500, and log where it was raised."""
    _LOG.error("%s %s: %s", request.method, getattr(request.scope.get("route"), "path", "(no route)"), fault_of(error))
    return error_reply(500, FAILED)


def fault_of(error: BaseException) -> str:
    """Describe an error by type and traceback, without its message: that may hold request content."""
    return f"{type(error).__name__}\n{''.join(traceback.format_tb(error.__traceback__))}"


def _fault(fault: dict[str, Any]) -> str:
    path: Sequence[Any] = fault["loc"]
    return f"{'.'.join(str(part) for part in path)[:120]}: {fault['msg']}"
