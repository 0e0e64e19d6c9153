"""The service over HTTP: routes, each of which hands on to what does the work. The interactive documentation is at `/docs`."""

import secrets
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from typing import Annotated, Any

from fastapi import BackgroundTasks, Depends, FastAPI, HTTPException, Path, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.exceptions import HTTPException as StarletteHTTPException

from components.contract.errors import InputError, LogUnavailable, ModelUnavailable, StateUnavailable
from serving.exposure.log import ExposureLog
from serving.exposure.plain import plain
from serving.features.events import Interaction, Shown
from serving.service import replies
from serving.service.bodies import (
    LONGEST_ID,
    AcceptedBody,
    EventsBody,
    ImpressionBody,
    InteractionBody,
    RankBody,
    RankedBody,
    ReadyBody,
    ReasonsBody,
)
from serving.service.clocked import Clocked
from serving.service.intake import Intake, Reported
from serving.service.knowledge import Knowledge
from serving.service.limits import BodyLimit
from serving.service.metrics import Metrics
from serving.service.ranking import Asked, Ranked, Ranking
from serving.service.reasons import Explaining
from serving.service.replies import documented, error_reply
from serving.service.settings import Settings
from serving.sources.candidates import CandidateSources


@dataclass(frozen=True)
class Parts:
    """What a running service is put together from."""

    ranking: Ranking
    intake: Intake
    explaining: Explaining
    knowledge: Knowledge
    log: ExposureLog | None
    failing: Callable[[], list[str]]
    sources: CandidateSources
    metrics: Metrics = field(default_factory=Metrics)


Opened = Callable[[], AbstractAsyncContextManager[Parts]]


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
        exception_handlers={
            InputError: replies.refused,
            ModelUnavailable: replies.unavailable,
            StateUnavailable: replies.unavailable,
            LogUnavailable: replies.unavailable,
            RequestValidationError: replies.misshapen,
            StarletteHTTPException: replies.by_status,
            Exception: replies.unforeseen,
        },
    )
    bearer = HTTPBearer(auto_error=False, description="The token that the service was started with; none if it was started without")

    def permitted(given: Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)]) -> None:
        told = given.credentials.encode() if given else b""
        if settings.token and not secrets.compare_digest(told, settings.token.encode()):
            raise HTTPException(401, "expected the service's token; send `Authorization: Bearer TOKEN`", {"WWW-Authenticate": "Bearer"})

    def ended(route: str, status: int, seconds: float) -> None:
        if running:
            running[0].metrics.answered(route, status, seconds)

    app.add_middleware(BodyLimit, most=settings.body_bytes)
    app.add_middleware(Clocked, ended=ended)  # around everything

    @app.post("/v1/rank", response_model=RankedBody, responses=documented(400, 413, 422))
    async def rank(body: RankBody, request: Request, after: BackgroundTasks) -> Response:
        """Order candidates, always within the deadline: where the model can't something else does, and `degraded` says so."""
        parts, now_us = running[0], _now_us()
        asked = _asked(body, parts)
        ranked = await parts.ranking.rank(asked, now_us=now_us, began_s=request.state.began_s)
        parts.metrics.ranked(ranked)
        if asked.places:
            parts.metrics.shown(parts.ranking.served_by(asked.shopper))
            after.add_task(parts.ranking.shown, asked, ranked, now_us=now_us)
        return JSONResponse(_ranked(ranked, asked), background=after)

    @app.post("/v1/events", response_model=AcceptedBody, dependencies=[Depends(permitted)], responses=documented(400, 401, 413, 422, 503))
    async def events(body: EventsBody) -> AcceptedBody:
        """Take in what shoppers saw and did. The answer comes when all of it has moved the state and is on the log's disk."""
        parts, now_us = running[0], _now_us()
        reported = [_shown(each, now_us) for each in body.impressions] + [_done(each, now_us) for each in body.interactions]
        await parts.intake.take(reported, now_us=now_us)
        for each in reported:
            served_by = parts.ranking.served_by(each.event.shopper)
            if isinstance(each.event, Interaction):
                parts.metrics.acted(each.event.action, served_by)
            else:
                parts.metrics.shown(served_by)
        return AcceptedBody(accepted=len(reported))

    @app.post("/v1/explain", response_model=ReasonsBody, responses=documented(400, 413, 422, 503))
    async def explain(body: RankBody, request: Request) -> Response:
        """Tell what each feature adds to each candidate's score. Nothing is logged."""
        asked = _asked(body, running[0])
        told = await running[0].explaining.explain(asked, now_us=_now_us(), began_s=request.state.began_s)
        answer = {
            "request": told.request,
            "version": told.version,
            "candidates": list(asked.candidates),
            "features": list(told.features),
            "attributions": told.attributions,
            "others": dict(told.others),
        }
        return JSONResponse(plain(answer))

    @app.delete("/v1/shoppers/{shopper:path}", status_code=204, dependencies=[Depends(permitted)], responses=documented(400, 401, 422, 503))
    async def forget(
        shopper: Annotated[str, Path(min_length=1, max_length=LONGEST_ID, pattern=r"^[^\x00-\x1f]+$")], request: Request
    ) -> Response:
        """Let go of all that the state knows of a shopper. What the log's files hold of him isn't touched."""
        if not request.scope["path"].endswith(shopper):  # starlette drops a line's end
            raise InputError("expected a shopper's id without control characters; send it as it stands in the events")
        await running[0].intake.forget(shopper)
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
        return JSONResponse({"ready": True, "failing": _failing(running[0])})

    @app.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
    async def metrics() -> Response:
        """For Prometheus."""
        parts = running[0]
        page = parts.metrics.page(parts.log.counts() if parts.log else None, _failing(parts))
        return Response(page, media_type="text/plain; version=0.0.4; charset=utf-8")

    return app


def _now_us() -> int:
    return time.time_ns() // 1000


def _failing(parts: Parts) -> list[str]:
    return [*(["state"] if parts.knowledge.failing() else []), *parts.failing()]


def _asked(body: RankBody, parts: Parts) -> Asked:
    of_source = parts.sources.items(body.source, about=body.about, context=body.context) if body.source else None
    return Asked(
        candidates=body.candidates if of_source is None else of_source,
        source=body.source,
        about=body.about,
        shopper=body.shopper,
        session=body.session,
        request=body.request,
        context=body.context,
        shown=body.shown,
        places=body.places,
    )


def _ranked(ranked: Ranked, asked: Asked) -> dict[str, Any]:
    scores = ranked.scored.scores.tolist()
    return {
        "request": ranked.request,
        "order": [asked.candidates[at] for at in ranked.order],
        "scores": [scores[at] for at in ranked.order],
        "rung": ranked.scored.rung,
        "version": ranked.scored.version,
        "label": ranked.label,
        "arms": ranked.assignment.arms,
        "degraded": bool(ranked.degraded),
        "reason": ranked.degraded,
        "rules": [effect.rule for effect in ranked.ruled.effects if any(moved.before != moved.after for moved in effect.moved)],
    }


def _shown(body: ImpressionBody, now_us: int) -> Reported:
    time_us = now_us if body.time_us is None else body.time_us
    event = Shown(shopper=body.shopper, request=body.request, session=body.session, time_us=time_us, items=body.items)
    return Reported(event, body.context, body.shown)


def _done(body: InteractionBody, now_us: int) -> Reported:
    time_us = now_us if body.time_us is None else body.time_us
    event = Interaction(
        shopper=body.shopper, action=body.action, time_us=time_us, item=body.item, request=body.request, session=body.session
    )
    return Reported(event, body.context, position=body.position)
