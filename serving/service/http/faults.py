"""Faults of the service within a request: a 500, and where they lie into the service's log, in its own words alone.

The web server would log whatever passes it with its message, which may hold what came in.
"""

from typing import final

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.service.http import error_responses


@final
class Faults:
    """ASGI middleware that lets no exception of a request through."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, come what may."""
        begun = False

        async def sending(message: Message) -> None:
            nonlocal begun
            begun = begun or message["type"] == "http.response.start"
            await send(message)

        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        try:
            await self._app(scope, receive, sending)
        except Exception as error:
            reply = await error_responses.unforeseen(Request(scope), error)
            if begun:
                raise RuntimeError("an answer broke off") from None
            await reply(scope, receive, send)
