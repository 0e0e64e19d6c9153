"""What the service can be asked, whichever door it came through: a checked body in, an answer as JSON would hold it out."""

import math
import time
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from components.contract.errors import InputError
from components.contract.sources import AMOUNTS
from components.contract.values.id_text import id_text
from serving.exposure.json_values import to_json
from serving.features.events import ImpressionList, Interaction
from serving.service.http.schemas import EventsBody, ImpressionBody, InteractionBody, RankBody
from serving.service.ranking.ranking import Asked, Ranked
from serving.service.service_context import Parts
from serving.service.state.event_intake import Reported, located


@dataclass(frozen=True)
class Arrival:
    """How a request came.

    Attributes:
        began_s: when, by the monotonic clock.
        patience_s: how long who asked waits, from then on.
        carried: headers; of use are those of a trace.
    """

    began_s: float
    patience_s: float = math.inf
    carried: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Ordered:
    """The answer of `rank`, and what is to be done when it is out; `ranked` is what it was made of."""

    answer: dict[str, Any]
    ranked: Ranked
    after: Callable[[], Coroutine[Any, Any, None]] | None


async def rank(parts: Parts, body: RankBody, arrival: Arrival) -> Ordered:
    """Order candidates.

    Raises:
        InputError: the request can't be answered as it stands.
    """
    now_us = _now_us()
    asked = _asked(parts, body, now_us)
    with parts.tracing.request("rank", arrival.carried):
        ranked = await parts.ranking.rank(asked, now_us=now_us, began_s=arrival.began_s, patience_s=arrival.patience_s)
        parts.tracing.note(candidates=len(asked.candidates), rung=ranked.scored.rung, degraded=ranked.degraded)
    parts.metrics.ranked(ranked)
    if not asked.places:
        return Ordered(_ranked(ranked, asked), ranked, None)
    parts.metrics.shown(parts.ranking.served_by(ranked.assignment), ranked.assignment.arms)

    async def after() -> None:
        await parts.ranking.shown(asked, ranked, now_us=now_us)

    return Ordered(_ranked(ranked, asked), ranked, after)


async def record(parts: Parts, body: EventsBody) -> dict[str, Any]:
    """Take events in, all of them or none.

    Raises:
        InputError: one of them is wrong.
        StateUnavailable: the state couldn't take them.
        LogUnavailable: the log couldn't.
    """
    now_us = _now_us()
    reported = [*_reported(parts, "impressions", body.impressions, now_us), *_reported(parts, "interactions", body.interactions, now_us)]
    await parts.intake.take(reported, now_us=now_us)
    parts.metrics.ahead(sum(each.event.time_us > now_us for each in reported))
    for each in reported:
        assignment = parts.ranking.assignment(each.event.shopper, session=each.event.session, context=each.context)
        served_by = parts.ranking.served_by(assignment)
        if isinstance(each.event, Interaction):
            parts.metrics.acted(each.event.action, served_by, assignment.arms)
        else:
            parts.metrics.shown(served_by, assignment.arms)
    return {"accepted": len(reported)}


async def explain(parts: Parts, body: RankBody, arrival: Arrival) -> dict[str, Any]:
    """Tell what each feature adds to each score.

    Raises:
        InputError: the request can't be answered as it stands.
        ModelUnavailable: the model gave no reasons.
    """
    now_us = _now_us()
    asked = _asked(parts, body, now_us)
    with parts.tracing.request("explain", arrival.carried):
        told = await parts.explaining.explain(asked, now_us=now_us, began_s=arrival.began_s, patience_s=arrival.patience_s)
    answer: dict[str, Any] = to_json(
        {
            "request": told.request,
            "version": told.version,
            "candidates": list(asked.candidates),
            "features": list(told.features),
            "attributions": told.attributions,
            "others": dict(told.others),
        }
    )
    return answer


async def forget(parts: Parts, shopper: str) -> None:
    """Let go of a shopper, whichever of their ids is named.

    Raises:
        StateUnavailable: the state may know them still.
        LogUnavailable: the log wasn't told.
        InputError: the id is none.
    """
    known = parts.null_ids.kept("user", id_text(shopper))
    if not known:
        raise InputError(f"expected a shopper's id, got {shopper!r}, which means a guest; nothing is kept of guests")
    await parts.intake.forget(known, now_us=_now_us())


def failing(parts: Parts) -> list[str]:
    """What the service has to do without for now."""
    log = ["log"] if parts.log is not None and parts.log.failing else []
    return [*(["state"] if parts.knowledge.failing() else []), *log, *parts.failing()]


def _now_us() -> int:
    return time.time_ns() // 1000


def _asked(parts: Parts, body: RankBody, now_us: int) -> Asked:
    if body.version is not None and parts.page is None:
        raise InputError(
            "expected no version: experiments and labels say which one ranks for a shopper, and only a service with the page"
            " (`--page`, for trying) lets a request name one; leave it out"
        )
    exclude, sources = frozenset(body.exclude), parts.shop.now.sources
    of_source = None
    if body.source:
        without = exclude | parts.shop.now.out_of_stock
        of_source = sources.items(body.source, about=body.about, context=body.context, without=without)
    return Asked(
        candidates=parts.null_ids.required_items(body.candidates) if of_source is None else of_source,
        source=body.source,
        about=body.about,
        shopper=parts.second_ids.shopper(parts.null_ids.kept("user", body.shopper), now_us),
        session=parts.null_ids.kept("session", body.session),
        request=parts.null_ids.kept("request", body.request),
        context=body.context,
        shown=body.shown,
        places=body.places,
        exclude=exclude,
        first_position=body.first_position,
        version=body.version,
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


def _reported(parts: Parts, name: str, events: Sequence[ImpressionBody | InteractionBody], now_us: int) -> Iterator[Reported]:
    """The events of a list of the body called `name`."""
    for at, body in enumerate(events):
        with located(path := f"{name}.{at}"):
            made = _shown(parts, body, now_us) if isinstance(body, ImpressionBody) else _done(parts, body, now_us)
        yield replace(made, path=path)


def _shown(parts: Parts, body: ImpressionBody, now_us: int) -> Reported:
    ids, time_us = parts.null_ids, now_us if body.time_us is None else body.time_us
    event = ImpressionList(
        shopper=parts.second_ids.shopper(ids.kept("user", body.shopper), time_us),
        request=ids.kept("request", body.request),
        session=ids.kept("session", body.session),
        time_us=time_us,
        items=ids.required_items(body.items),
        first_position=body.first_position,
    )
    return Reported(event, body.context, body.shown)


def _done(parts: Parts, body: InteractionBody, now_us: int) -> Reported:
    ids, time_us = parts.null_ids, now_us if body.time_us is None else body.time_us
    event = Interaction(
        shopper=parts.second_ids.shopper(ids.kept("user", body.shopper), time_us),
        action=body.action,
        time_us=time_us,
        item=ids.kept("item", body.item),
        request=ids.kept("request", body.request),
        session=ids.kept("session", body.session),
        amounts={amount: value for amount in AMOUNTS if (value := getattr(body, amount)) is not None},
    )
    return Reported(event, body.context, position=body.position)
