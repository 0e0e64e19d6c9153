"""Support browsers, proxies and load balancers: HEAD, beacons, cross-origin requests, path prefixes."""

from collections.abc import Sequence
from typing import final

from fastapi import FastAPI
from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

ANY_ORIGIN = "*"


def allow_origins(app: FastAPI, origins: Sequence[str]) -> None:
    """Let pages of these origins call the service (CORS); without any, browsers block them."""
    if origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=origins,
            allow_methods=["GET", "POST", "DELETE"],
            allow_headers=["authorization", "content-type", "traceparent", "tracestate"],
            allow_credentials=ANY_ORIGIN not in origins,  # a beacon of another type than text is always sent with them
            expose_headers=["retry-after"],
            max_age=7_200,  # browsers keep it no longer
        )


@final
class HeadAsGet:
    """Answer HEAD wherever GET is answered; the server leaves the body out."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        is_head = scope["type"] == "http" and scope["method"] == "HEAD"
        await self._app({**scope, "method": "GET"} if is_head else scope, receive, send)


@final
class PathPrefix:
    """Set the application's root path: the prefix is stripped if present; a proxy may have done so already."""

    def __init__(self, app: ASGIApp, prefix: str) -> None:
        self._app, self._prefix = app, prefix

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        await self._app({**scope, "root_path": self._prefix} if self._prefix and scope["type"] == "http" else scope, receive, send)


@final
class BeaconBody:
    """Accept a `text/plain` body as JSON, as `navigator.sendBeacon(url, text)` sends it.

    Browsers send such a body to any address without a preflight request, so it is accepted only from a page of the
    service's own host or of one of the origins, and from clients that send no origin, which are no browsers.
    """

    def __init__(self, app: ASGIApp, origins: Sequence[str]) -> None:
        self._app, self._origins = app, origins

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        if scope["type"] == "http" and self._is_beacon(headers := Headers(scope=scope)):
            changed = MutableHeaders(raw=list(headers.raw))
            changed["content-type"] = "application/json"
            scope = {**scope, "headers": changed.raw}
        await self._app(scope, receive, send)

    def _is_beacon(self, headers: Headers) -> bool:
        if headers.get("content-type", "").partition(";")[0].strip().lower() != "text/plain":
            return False
        origin = headers.get("origin")
        own = origin is not None and origin.partition("://")[2] == headers.get("host")
        return origin is None or own or origin in self._origins or ANY_ORIGIN in self._origins
