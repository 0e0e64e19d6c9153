"""Answer unexpected exceptions by 500, and log them without request content.

The web server would log their messages, which may hold request content.
"""

from typing import final

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.service.http import error_responses


@final
class FaultMiddleware:
    """Catch every exception of a request (ASGI middleware)."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        started = False

        async def sending(message: Message) -> None:
            nonlocal started
            started = started or message["type"] == "http.response.start"
            await send(message)

        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        try:
            await self._app(scope, receive, sending)
        except Exception as error:
            reply = await error_responses.unforeseen(Request(scope), error)
            if started:
                raise RuntimeError("an answer broke off") from None
            await reply(scope, receive, send)
