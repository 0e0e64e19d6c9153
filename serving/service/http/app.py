"""The service over HTTP: routes, each of which hands on to what does the work. The interactive documentation is at `/docs`."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Annotated

from fastapi import BackgroundTasks, Depends, FastAPI, HTTPException, Path, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.convertors import Convertor, register_url_convertor
from starlette.exceptions import HTTPException as StarletteHTTPException

from components.contract.errors import InputError, LogUnavailable, ModelUnavailable, StateUnavailable
from serving.service import handlers
from serving.service.http import error_responses
from serving.service.http.auth import NEEDED, permits
from serving.service.http.body_limit import BodyLimit
from serving.service.http.browsers import BeaconBody, HeadAsGet, PathPrefix, allow_origins
from serving.service.http.error_responses import documented, error_reply
from serving.service.http.faults import Faults
from serving.service.http.json_route import JsonRoute
from serving.service.http.timing_middleware import Clocked
from serving.service.page.docs import docs_routes
from serving.service.page.page import Page
from serving.service.page.routes import page_routes
from serving.service.rate_limit import RateExceeded
from serving.service.schemas import (
    LONGEST_ID,
    AcceptedBody,
    EventsBody,
    RankBody,
    RankedBody,
    ReadyBody,
    ReasonsBody,
)
from serving.service.service_context import Parts
from serving.service.settings import Settings

Opened = Callable[[], AbstractAsyncContextManager[Parts]]


class _Whole(Convertor[str]):
    """All that is left of a path. Starlette's own `path` stops at a line's end, and such an id would be told as an unknown route."""

    regex = "(?s:.*)"

    def convert(self, value: str) -> str:
        return value

    def to_string(self, value: str) -> str:
        return value


register_url_convertor("whole", _Whole())


def service_app(settings: Settings, opened: Opened) -> FastAPI:
    """The application.

    Args:
        settings: of the service.
        opened: makes the parts when the server starts, within its event loop, and lets go of them when it has answered its last request.
    """
    running: list[Parts] = []

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with opened() as parts:
            running.append(parts)
            yield
            running.clear()

    app = FastAPI(
        title="ShelfRank",
        summary="In which order does this shopper see these products?",
        version="1",
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        exception_handlers={
            InputError: error_responses.refused,
            ModelUnavailable: error_responses.unavailable,
            StateUnavailable: error_responses.unavailable,
            LogUnavailable: error_responses.unavailable,
            RateExceeded: error_responses.too_often,
            RequestValidationError: error_responses.misshapen,
            StarletteHTTPException: error_responses.by_status,
            Exception: error_responses.unforeseen,
        },
    )
    app.router.route_class = JsonRoute
    bearer = HTTPBearer(auto_error=False, description="The token that the service was started with; none if it was started without")

    def permitted(given: Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)]) -> None:
        if not permits(settings.token, f"{given.scheme} {given.credentials}" if given else ""):
            raise HTTPException(401, NEEDED, {"WWW-Authenticate": "Bearer"})

    def permitted_to_explain(given: Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)]) -> None:
        if settings.explain_needs_token:
            permitted(given)

    def client(request: Request) -> str:
        """Whose calls are counted together: those with the token, else those from one address."""
        # Read from the headers, for the document would say that asking needs a token.
        if settings.token and permits(settings.token, request.headers.get("authorization", "")):
            return "token"
        return request.client.host if request.client else ""

    def asking(request: Request) -> None:
        running[0].asking.admit(client(request))

    def telling(request: Request) -> None:
        running[0].telling.admit(client(request))

    def page() -> Page:
        found = running[0].page
        assert found is not None
        return found

    def ended(route: str, status: int, seconds: float) -> None:
        if running:
            running[0].metrics.answered("rest", route, str(status), seconds=seconds)

    app.add_middleware(Faults)
    app.add_middleware(BodyLimit, most=settings.body_bytes, within_s=settings.body_s)
    app.add_middleware(BeaconBody, origins=settings.cors_origins)
    allow_origins(app, settings.cors_origins)
    app.add_middleware(Clocked, ended=ended)
    app.add_middleware(HeadAsGet)
    app.add_middleware(PathPrefix, prefix=settings.path_prefix)  # around everything

    writing = [Depends(telling), Depends(permitted)]

    @app.post("/v1/rank", response_model=RankedBody, dependencies=[Depends(asking)], responses=documented(400, 408, 413, 422, 429))
    async def rank(body: RankBody, request: Request, after: BackgroundTasks) -> Response:
        """Order candidates, always within the deadline: where the model can't something else does, and `degraded` says so."""
        ordered = await handlers.rank(running[0], body, _arrival(request))
        if ordered.after is not None:
            after.add_task(ordered.after)
        response = JSONResponse(ordered.answer, background=after)
        running[0].ranking.answered(ordered.ranked)
        return response

    @app.post(
        "/v1/events",
        response_model=AcceptedBody,
        dependencies=writing,
        responses=documented(400, 401, 408, 413, 422, 429, 503),
    )
    async def events(body: EventsBody) -> AcceptedBody:
        """Take in what shoppers saw and did. The answer comes when all of it has moved the state and is on the log's disk."""
        return AcceptedBody(**await handlers.record(running[0], body))

    @app.post(
        "/v1/explain",
        response_model=ReasonsBody,
        dependencies=[Depends(asking), Depends(permitted_to_explain)],
        responses=documented(400, 401, 408, 413, 422, 429, 503),
    )
    async def explain(body: RankBody, request: Request) -> Response:
        """Tell what each feature adds to each candidate's score. Nothing is logged."""
        return JSONResponse(await handlers.explain(running[0], body, _arrival(request)))

    @app.delete(
        "/v1/shoppers/{shopper:whole}",
        status_code=204,
        dependencies=writing,
        responses=documented(400, 401, 422, 429, 503),
    )
    async def forget(
        shopper: Annotated[str, Path(min_length=1, max_length=LONGEST_ID, pattern=r"^[^\x00-\x1f]+$")],
    ) -> Response:
        """Let go of all that the state knows of a shopper, at once, and have his lines erased from the log's files, which takes minutes."""
        await handlers.forget(running[0], shopper)
        return Response(status_code=204)

    @app.get("/health/live")
    async def live() -> dict[str, bool]:
        """Whether the process answers at all."""
        return {"live": True}

    @app.get("/health/ready", response_model=ReadyBody, responses=documented(503))
    async def ready() -> Response:
        """Whether requests may be sent. They may while the model or the state is down: the service answers without."""
        if not running:
            return error_reply(503, "the service is starting or stopping; try again later")
        return JSONResponse({"ready": True, "failing": handlers.failing(running[0])})

    @app.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
    async def metrics() -> Response:
        """For Prometheus."""
        parts = running[0]
        told = parts.metrics.page(parts.log.counts() if parts.log else None, handlers.failing(parts))
        return Response(told, media_type="text/plain; version=0.0.4; charset=utf-8")

    app.include_router(docs_routes())
    if settings.page:
        app.include_router(page_routes(page))
    return app


def _arrival(request: Request) -> handlers.Arrival:
    return handlers.Arrival(request.state.began_s, carried=request.headers)
