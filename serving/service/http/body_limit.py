"""Limit the size of request bodies, and the time they may take to arrive."""

import asyncio
from typing import final

from fastapi import HTTPException
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.service.http.error_responses import error_reply


@final
class BodyLimit:
    """Answer 413 to bodies above `max_bytes`, and 408 to those incomplete after `timeout_s`."""

    def __init__(self, app: ASGIApp, max_bytes: int, timeout_s: float) -> None:
        self._app, self._max_bytes, self._timeout_s = app, max_bytes, timeout_s
        self._too_large = f"expected a body of at most {max_bytes:,} bytes; send less at a time"
        self._late = f"expected the whole body within {timeout_s:g} s; send it again"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        announced = Headers(scope=scope).get("content-length", "")
        if announced.isdecimal() and float(announced) > self._max_bytes:
            await error_reply(413, self._too_large)(scope, receive, send)
            return
        received, is_complete = 0, False
        until_s = asyncio.get_running_loop().time() + self._timeout_s

        async def limited() -> Message:
            nonlocal received, is_complete
            if is_complete:  # next comes the disconnect, whenever it comes
                return await receive()
            try:
                async with asyncio.timeout_at(until_s):
                    message = await receive()
            except TimeoutError:
                raise HTTPException(408, self._late, {"connection": "close"}) from None
            is_complete = not message.get("more_body", False)
            received += len(message.get("body", b""))
            if received > self._max_bytes:
                raise HTTPException(413, self._too_large)  # raised where the route reads its body
            return message

        await self._app(scope, limited, send)
