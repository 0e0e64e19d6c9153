"""Parse JSON bodies so that any body is either a value or an error sentence."""

import json
from collections.abc import Callable, Coroutine
from typing import Any, final

from fastapi import HTTPException, Request, Response
from fastapi.routing import APIRoute


@final
class JsonRoute(APIRoute):
    """Route calls with a JSON body in UTF-8."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """See fastapi."""
        handler = super().get_route_handler()

        async def handle(request: Request) -> Response:
            return await handler(_JsonRequest(request.scope, request.receive))

        return handle


class _JsonRequest(Request):
    async def json(self) -> Any:
        """Return the body's value.

        Raises:
            HTTPException: 422, it isn't JSON, or too deep or with too long a number to parse.
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
