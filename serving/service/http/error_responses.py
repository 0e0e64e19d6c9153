"""Answers in case of error: one sentence, never a stack trace, never the body that came in."""

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
from serving.service.http.rate_limit import RateExceeded
from serving.service.http.schemas import ErrorBody

_LOG = logging.getLogger(__name__)
FAILED = "the service failed at this request; its log has the cause"
_MEANINGS = {
    400: "A value that the dataset file doesn't allow",
    401: "The token is missing or wrong",
    408: "The body wasn't whole in time; the connection is closed",
    413: "The body is too large",
    422: "The body isn't as described here",
    429: "Too many calls from one client; `Retry-After` says in how many seconds the next may come",
    503: "The state, the log or the model takes nothing for now; try again later",
}


def error_reply(status: int, sentence: str) -> JSONResponse:
    """An error as JSON."""
    headers = {401: {"WWW-Authenticate": "Bearer"}, 503: {"Retry-After": "1"}}.get(status)
    return JSONResponse({"error": replace_surrogates(sentence)}, status, headers)


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """How OpenAPI tells the errors of a route."""
    return {status: {"model": ErrorBody, "description": _MEANINGS[status]} for status in statuses}


async def refused(_: Request, error: Exception) -> JSONResponse:
    """InputError: 400."""
    assert isinstance(error, InputError)
    return error_reply(400, str(error))


async def unavailable(_: Request, error: Exception) -> JSONResponse:
    """ModelUnavailable, StateUnavailable, LogUnavailable: 503."""
    assert isinstance(error, ModelUnavailable | StateUnavailable | LogUnavailable)
    return error_reply(503, str(error))


async def too_often(_: Request, error: Exception) -> JSONResponse:
    """RateExceeded: 429, and when to come again."""
    assert isinstance(error, RateExceeded)
    reply = error_reply(429, str(error))
    reply.headers["Retry-After"] = str(error.wait_s)
    return reply


async def misshapen(_: Request, error: Exception) -> JSONResponse:
    """A body that isn't as described: 422, with its first faults and without what came in."""
    assert isinstance(error, RequestValidationError)
    return error_reply(422, faults(error.errors()))


def faults(found: Sequence[Any]) -> str:
    """The first of pydantic's complaints about a body in one line, without what came in."""
    return "; ".join(_fault(fault) for fault in found[:3])


async def by_status(_: Request, error: Exception) -> JSONResponse:
    """What starlette refuses itself, such as an unknown path."""
    assert isinstance(error, HTTPException)
    reply = error_reply(error.status_code, str(error.detail))
    reply.headers.update(error.headers or {})
    return reply


async def unforeseen(request: Request, error: Exception) -> JSONResponse:
    """A fault of the service: 500, and where it lies into its own log."""
    _LOG.error("%s %s: %s", request.method, getattr(request.scope.get("route"), "path", "(no route)"), fault_of(error))
    return error_reply(500, FAILED)


def fault_of(error: BaseException) -> str:
    """An error and where it was raised, without its message: that may hold what came in, such as a shopper's id."""
    return f"{type(error).__name__}\n{''.join(traceback.format_tb(error.__traceback__))}"


def _fault(fault: dict[str, Any]) -> str:
    place: Sequence[Any] = fault["loc"]
    return f"{'.'.join(str(part) for part in place)[:120]}: {fault['msg']}"
