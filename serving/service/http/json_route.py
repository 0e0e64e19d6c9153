"""Bodies as JSON, read so that whatever comes is either a value or a sentence."""

import json
from collections.abc import Callable, Coroutine
from typing import Any, final

from fastapi import HTTPException, Request, Response
from fastapi.routing import APIRoute


@final
class JsonRoute(APIRoute):
    """A route whose body is JSON in UTF-8."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """See fastapi."""
        handler = super().get_route_handler()

        async def handle(request: Request) -> Response:
            return await handler(_JsonRequest(request.scope, request.receive))

        return handle


class _JsonRequest(Request):
    async def json(self) -> Any:
        """The body's value.

        Raises:
            HTTPException: 422, it is no JSON, or JSON that no reader of this process bears.
        """
        try:
            return json.loads(await self.body())
        except json.JSONDecodeError as error:
            reason = f"{error.msg} at line {error.lineno}, column {error.colno}"
        except RecursionError:
            reason = "lists or objects within each other, too many to be read"
        except ValueError as error:  # no UTF-8; a whole number of more than 4,300 digits
            reason = "bytes that aren't UTF-8" if isinstance(error, UnicodeDecodeError) else "a number of too many digits"
        raise HTTPException(422, f"body: expected JSON, got {reason}; correct it")
