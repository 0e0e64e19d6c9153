"""Define the HTTP application. Docstrings of its routes are part of the OpenAPI document."""

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
from serving.service.http.faults import FaultMiddleware
from serving.service.http.json_route import JsonRoute
from serving.service.http.timing_middleware import TimingMiddleware
from serving.service.page.docs import docs_routes
from serving.service.page.page import Page
from serving.service.page.routes import page_routes
from serving.service.rate_limit import RateExceeded
from serving.service.schemas import LONGEST_ID, AcceptedBody, EventsBody, RankBody, RankedBody, ReadyBody, ReasonsBody
from serving.service.service_context import ServiceContext
from serving.service.settings import Settings

ContextFactory = Callable[[], AbstractAsyncContextManager[ServiceContext]]


class _RestOfPath(Convertor[str]):
    """Match the rest of a path, newlines too, where Starlette's own `path` stops."""

    regex = "(?s:.*)"

    def convert(self, value: str) -> str:
        return value

    def to_string(self, value: str) -> str:
        return value


register_url_convertor("whole", _RestOfPath())


def service_app(settings: Settings, open_service: ContextFactory) -> FastAPI:
    """Return the application.

    Args:
        settings: of the service.
        open_service: opens the service within the server's event loop, and closes it after the last response.
    """
    running: list[ServiceContext] = []

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with open_service() as service:
            running.append(service)
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

    def permitted(header: Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)]) -> None:
        if not permits(settings.token, f"{header.scheme} {header.credentials}" if header else ""):
            raise HTTPException(401, NEEDED, {"WWW-Authenticate": "Bearer"})

    def permitted_to_explain(header: Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)]) -> None:
        if settings.explain_needs_token:
            permitted(header)

    def client(request: Request) -> str:
        """Return whose calls are counted together: those with the token, else those from one address."""
        # Read from the headers: a dependency would make the document say that asking needs a token.
        if settings.token and permits(settings.token, request.headers.get("authorization", "")):
            return "token"
        return request.client.host if request.client else ""

    def limit_reads(request: Request) -> None:
        running[0].read_limit.admit(client(request))

    def limit_writes(request: Request) -> None:
        running[0].write_limit.admit(client(request))

    def page() -> Page:
        current = running[0].page
        assert current is not None
        return current

    def on_response(route: str, status: int, seconds: float) -> None:
        if running:
            running[0].metrics.count_answer("rest", route, str(status), seconds=seconds)

    app.add_middleware(FaultMiddleware)
    app.add_middleware(BodyLimit, max_bytes=settings.body_bytes, timeout_s=settings.body_s)
    app.add_middleware(BeaconBody, origins=settings.cors_origins)
    allow_origins(app, settings.cors_origins)
    app.add_middleware(TimingMiddleware, on_response=on_response)
    app.add_middleware(HeadAsGet)
    app.add_middleware(PathPrefix, prefix=settings.path_prefix)  # around everything

    writing = [Depends(limit_writes), Depends(permitted)]

    @app.post("/v1/rank", response_model=RankedBody, dependencies=[Depends(limit_reads)], responses=documented(400, 408, 413, 422, 429))
    async def rank(body: RankBody, request: Request, after: BackgroundTasks) -> Response:
        """Order candidates, always within the deadline: where the model can't something else does, and `degraded` says so."""
        answer = await handlers.rank(running[0], body, _call_context(request))
        if answer.after is not None:
            after.add_task(answer.after)
        response = JSONResponse(answer.body, background=after)
        running[0].ranking.observe_answer(answer.result)
        return response

    @app.post("/v1/events", response_model=AcceptedBody, dependencies=writing, responses=documented(400, 401, 408, 413, 422, 429, 503))
    async def events(body: EventsBody) -> AcceptedBody:
        """Take in what shoppers saw and did. The answer comes when all of it has moved the state and is on the log's disk."""
        return AcceptedBody(**await handlers.record(running[0], body))

    @app.post(
        "/v1/explain",
        response_model=ReasonsBody,
        dependencies=[Depends(limit_reads), Depends(permitted_to_explain)],
        responses=documented(400, 401, 408, 413, 422, 429, 503),
    )
    async def explain(body: RankBody, request: Request) -> Response:
        """Tell what each feature adds to each candidate's score. Nothing is logged."""
        return JSONResponse(await handlers.explain(running[0], body, _call_context(request)))

    @app.delete("/v1/shoppers/{shopper:whole}", status_code=204, dependencies=writing, responses=documented(400, 401, 422, 429, 503))
    async def forget(shopper: Annotated[str, Path(min_length=1, max_length=LONGEST_ID, pattern=r"^[^\x00-\x1f]+$")]) -> Response:
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
        service = running[0]
        page = service.metrics.render(service.log.counts() if service.log else None, handlers.failing(service))
        return Response(page, media_type="text/plain; version=0.0.4; charset=utf-8")

    app.include_router(docs_routes())
    if settings.page:
        app.include_router(page_routes(page))
    return app


def _call_context(request: Request) -> handlers.CallContext:
    return handlers.CallContext(request.state.began_s, headers=request.headers)
