"""Handle the service's calls, whatever the protocol: take a validated body, return a JSON-compatible response."""

import math
import time
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from components.contract.errors import InputError
from components.contract.sources import AMOUNTS
from components.contract.values.id_text import id_text
from serving.exposure.json_values import to_json
from serving.features.events import ImpressionList, Interaction
from serving.service.ranking.ranking import RankRequest, RankResult
from serving.service.schemas import EventsBody, ImpressionBody, InteractionBody, RankBody
from serving.service.service_context import ServiceContext
from serving.service.state.event_intake import ReportedEvent, locate_errors


@dataclass(frozen=True)
class CallContext:
    """Hold the context of a call.

    Attributes:
        began_s: arrival by the monotonic clock.
        patience_s: the caller's deadline, in seconds from then.
        headers: may carry a trace.
    """

    began_s: float
    patience_s: float = math.inf
    headers: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class RankAnswer:
    """Hold the response body of `rank`, the result that it was made from, and a task to run after the response."""

    body: dict[str, Any]
    result: RankResult
    after: Callable[[], Coroutine[Any, Any, None]] | None


async def rank(service: ServiceContext, body: RankBody, call: CallContext) -> RankAnswer:
    """Rank candidates.

    Raises:
        InputError: the request is invalid.
    """
    now_us = _now_us()
    request = _rank_request(service, body, now_us)
    with service.tracing.request("rank", call.headers):
        result = await service.ranking.rank(request, now_us=now_us, began_s=call.began_s, patience_s=call.patience_s)
        service.tracing.note(candidates=len(request.candidates), rung=result.scored.level, degraded=result.degraded)
    service.metrics.count_ranking(result)
    if not request.places:
        return RankAnswer(_rank_body(result, request), result, None)
    service.metrics.count_list(service.ranking.served_by(result.assignment), result.assignment.arms)

    async def after() -> None:
        await service.ranking.record_impressions(request, result, now_us=now_us)

    return RankAnswer(_rank_body(result, request), result, after)


async def record(service: ServiceContext, body: EventsBody) -> dict[str, Any]:
    """Record events, all of them or none.

    Raises:
        InputError: an event is invalid.
        StateUnavailable: the state couldn't record them.
        LogUnavailable: the log couldn't.
    """
    now_us = _now_us()
    events = [*_reported(service, "impressions", body.impressions, now_us), *_reported(service, "interactions", body.interactions, now_us)]
    assignments = [
        service.ranking.assignment(each.event.shopper, session=each.event.session, context=each.context, time_us=each.event.time_us)
        for each in events
    ]
    with_arms = [replace(each, arms=assignment.arms) for each, assignment in zip(events, assignments, strict=True)]
    await service.intake.record(with_arms, now_us=now_us)
    service.metrics.count_ahead(sum(each.event.time_us > now_us for each in events))
    for each, assignment in zip(events, assignments, strict=True):
        served_by = service.ranking.served_by(assignment)
        if isinstance(each.event, Interaction):
            service.metrics.count_action(each.event.action, served_by, assignment.arms)
        else:
            service.metrics.count_list(served_by, assignment.arms)
    return {"accepted": len(events)}


async def explain(service: ServiceContext, body: RankBody, call: CallContext) -> dict[str, Any]:
    """Attribute each candidate's score to features, and say in words what is true of those that count.

    Raises:
        InputError: the request is invalid.
        ModelUnavailable: the model gave no attributions.
    """
    now_us = _now_us()
    request = _rank_request(service, body, now_us)
    with service.tracing.request("explain", call.headers):
        explanation = await service.explainer.explain(request, now_us=now_us, began_s=call.began_s, patience_s=call.patience_s)
    answer: dict[str, Any] = to_json(
        {
            "request": explanation.request,
            "version": explanation.version,
            "candidates": list(request.candidates),
            "features": list(explanation.features),
            "attributions": explanation.attributions,
            "others": dict(explanation.others),
            "reasons": [[asdict(reason) for reason in reasons] for reasons in explanation.reasons],
            "pairs": [
                {
                    "above": request.candidates[pair.above],
                    "below": request.candidates[pair.below],
                    "reasons": [asdict(reason) for reason in pair.reasons],
                }
                for pair in explanation.pairs
            ],
        }
    )
    return answer


async def forget(service: ServiceContext, shopper: str) -> None:
    """Forget a shopper, whichever of their ids is named.

    Raises:
        StateUnavailable: the state may still hold them.
        LogUnavailable: the log couldn't store the request.
        InputError: the id means none.
    """
    identifier = service.null_ids.without_null("user", id_text(shopper))
    if not identifier:
        raise InputError(f"expected a shopper's id, got {shopper!r}, which means a guest; nothing is kept of guests")
    await service.intake.forget(identifier, now_us=_now_us())


def failing(service: ServiceContext) -> list[str]:
    """Name what currently fails."""
    log = ["log"] if service.log is not None and service.log.failing else []
    return [*(["state"] if service.state.failing() else []), *log, *service.failing()]


def _now_us() -> int:
    return time.time_ns() // 1000


def _rank_request(service: ServiceContext, body: RankBody, now_us: int) -> RankRequest:
    if body.version is not None and service.page is None:
        raise InputError(
            "expected no version: experiments and labels say which one ranks for a shopper, and only a service with the page"
            " (`--page`, for trying) lets a request name one; leave it out"
        )
    exclude, sources = frozenset(body.exclude), service.shop_files.now.sources
    source_items = None
    if body.source:
        unavailable = exclude | service.shop_files.now.out_of_stock
        source_items = sources.items(body.source, about=body.about, context=body.context, without=unavailable)
    return RankRequest(
        candidates=service.null_ids.required_items(body.candidates) if source_items is None else source_items,
        source=body.source,
        about=body.about,
        shopper=service.second_ids.shopper(service.null_ids.without_null("user", body.shopper), now_us),
        session=service.null_ids.without_null("session", body.session),
        request=service.null_ids.without_null("request", body.request),
        context=body.context,
        shown=body.shown,
        places=body.places,
        exclude=exclude,
        first_position=body.first_position,
        version=body.version,
    )


def _rank_body(result: RankResult, request: RankRequest) -> dict[str, Any]:
    scores = result.scored.scores.tolist()
    return {
        "request": result.request,
        "order": [request.candidates[index] for index in result.order],
        "scores": [scores[index] for index in result.order],
        "rung": result.scored.level,
        "version": result.scored.version,
        "label": result.label,
        "arms": result.assignment.arms,
        "degraded": bool(result.degraded),
        "reason": result.degraded,
        "rules": [effect.rule for effect in result.ruled.effects if any(moved.before != moved.after for moved in effect.moved)],
    }


def _reported(
    service: ServiceContext, name: str, events: Sequence[ImpressionBody | InteractionBody], now_us: int
) -> Iterator[ReportedEvent]:
    """Yield the events of the body's list called `name`."""
    for index, body in enumerate(events):
        with locate_errors(path := f"{name}.{index}"):
            event = _impression_list(service, body, now_us) if isinstance(body, ImpressionBody) else _interaction(service, body, now_us)
        yield replace(event, path=path)


def _impression_list(service: ServiceContext, body: ImpressionBody, now_us: int) -> ReportedEvent:
    ids, time_us = service.null_ids, now_us if body.time_us is None else body.time_us
    event = ImpressionList(
        shopper=service.second_ids.shopper(ids.without_null("user", body.shopper), time_us),
        request=ids.without_null("request", body.request),
        session=ids.without_null("session", body.session),
        time_us=time_us,
        items=ids.required_items(body.items),
        first_position=body.first_position,
    )
    return ReportedEvent(event, body.context, body.shown)


def _interaction(service: ServiceContext, body: InteractionBody, now_us: int) -> ReportedEvent:
    ids, time_us = service.null_ids, now_us if body.time_us is None else body.time_us
    event = Interaction(
        shopper=service.second_ids.shopper(ids.without_null("user", body.shopper), time_us),
        action=body.action,
        time_us=time_us,
        item=ids.without_null("item", body.item),
        request=ids.without_null("request", body.request),
        session=ids.without_null("session", body.session),
        amounts={amount: value for amount in AMOUNTS if (value := getattr(body, amount)) is not None},
    )
    return ReportedEvent(event, body.context, position=body.position)
