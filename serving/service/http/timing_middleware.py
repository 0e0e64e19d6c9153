"""Measure when requests arrive, and how long they take."""

import time
from collections.abc import Callable
from typing import final

from starlette.types import ASGIApp, Message, Receive, Scope, Send


@final
class TimingMiddleware:
    """Set `request.state.began_s`, and report each response's route ("none" for an unknown one), status and seconds.

    The seconds end with the response's last byte, before background tasks.
    """

    def __init__(self, app: ASGIApp, on_response: Callable[[str, int, float], None]) -> None:
        self._app, self._on_response = app, on_response

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began_s = time.monotonic()
        scope.setdefault("state", {})["began_s"] = began_s
        status = 500

        async def timed_send(message: Message) -> None:
            nonlocal status
            status = message.get("status", status)
            await send(message)
            if message["type"] == "http.response.body" and not message.get("more_body", False):
                route = getattr(scope.get("route"), "path", "none")
                self._on_response(route, status, time.monotonic() - began_s)

        await self._app(scope, receive, timed_send)
