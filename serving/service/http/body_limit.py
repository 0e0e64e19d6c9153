"""What a body may weigh, and how long it may take to come."""

import asyncio
from typing import final

from fastapi import HTTPException
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.service.http.error_responses import error_reply


@final
class BodyLimit:
    """Refuses bodies above `most` bytes with 413, by their announced length, or else as soon as that many have come; and with 408, which
    closes the connection, those that aren't whole after `within_s`."""

    def __init__(self, app: ASGIApp, most: int, within_s: float) -> None:
        self._app, self._most, self._within_s = app, most, within_s
        self._sentence = f"expected a body of at most {most:,} bytes; send less at a time"
        self._late = f"expected the whole body within {within_s:g} s; send it again"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        announced = Headers(scope=scope).get("content-length", "")
        if announced.isdecimal() and float(announced) > self._most:
            await error_reply(413, self._sentence)(scope, receive, send)
            return
        seen, is_whole = 0, False
        until_s = asyncio.get_running_loop().time() + self._within_s

        async def limited() -> Message:
            nonlocal seen, is_whole
            if is_whole:  # what comes after the body is that the caller has gone, which may take as long as it likes
                return await receive()
            try:
                async with asyncio.timeout_at(until_s):
                    message = await receive()
            except TimeoutError:
                raise HTTPException(408, self._late, {"connection": "close"}) from None
            is_whole = not message.get("more_body", False)
            seen += len(message.get("body", b""))
            if seen > self._most:
                raise HTTPException(413, self._sentence)  # raised where the route reads its body
            return message

        await self._app(scope, limited, send)
