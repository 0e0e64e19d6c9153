"""When a request came, and how long it took."""

import time
from collections.abc import Callable
from typing import final

from starlette.types import ASGIApp, Message, Receive, Scope, Send


@final
class Clocked:
    """Notes the arrival as `request.state.began_s`, and tells of each request its route ("none" where there is none), status and seconds.

    The seconds end with the answer's last byte; what is done after it isn't waited for.
    """

    def __init__(self, app: ASGIApp, ended: Callable[[str, int, float], None]) -> None:
        self._app, self._ended = app, ended

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began_s = time.monotonic()
        scope.setdefault("state", {})["began_s"] = began_s
        status = 500

        async def noted(message: Message) -> None:
            nonlocal status
            status = message.get("status", status)
            await send(message)
            if message["type"] == "http.response.body" and not message.get("more_body", False):
                route = getattr(scope.get("route"), "path", "none")
                self._ended(route, status, time.monotonic() - began_s)

        await self._app(scope, receive, noted)
