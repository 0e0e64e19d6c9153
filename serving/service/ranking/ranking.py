"""Rank one request: arms, features, scores, rules, and the record in the log."""

import asyncio
import math
import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, final

from components.contract.dataset import Dataset
from components.contract.errors import InputError, StateUnavailable
from serving.client.prediction import NEWEST, ModelVersion, version_name
from serving.experiments.assign import Assignment, assign, randomization_unit
from serving.experiments.file import Baseline
from serving.exposure.event_types import Exposure, Interleaved, is_sampled
from serving.exposure.log import EventLog
from serving.exposure.pseudonym import pseudonym
from serving.features.events import Changes, ImpressionList
from serving.features.request import Inputs, Request
from serving.rules.apply import Ruled
from serving.service.ranking.deadline_reserve import DeadlineReserve
from serving.service.ranking.fallback_chain import FallbackChain, Scored, fallback_labels
from serving.service.ranking.interleaving import interleave
from serving.service.ranking.segment_popularity import SegmentPopularity
from serving.service.ranking.shadow import Shadow
from serving.service.ranking.shop_files import LiveShopFiles
from serving.service.settings import Settings
from serving.service.state.state_client import StateClient
from serving.service.tracing.tracing import NoTracing, Tracing

STATE_SHARE = 0.4  # of the deadline, for the state
UNKNOWN_STATE = "state"


@dataclass(frozen=True, kw_only=True)
class RankRequest:
    """Ask for a ranking, as `serving.features.request.Request` does, and for what surrounds it.

    Attributes:
        places: how many of the first positions the page certainly shows.
        exclude: products that aren't shown.
        first_position: position, from 0, of the first item of the order.
        source: named source of the candidates, where the request had none.
        about: argument of that source.
        version: of the model to call, whatever the shopper's arm.
    """

    candidates: Sequence[str]
    shopper: str = ""
    session: str = ""
    request: str = ""
    context: Mapping[str, Any] = field(default_factory=dict)
    shown: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    places: int = 0
    exclude: frozenset[str] = frozenset()
    first_position: int = 0
    source: str = ""
    about: str = ""
    version: int | None = None


@dataclass(frozen=True)
class RankResult:
    """Hold a ranking.

    Attributes:
        request: its id, as given or made here.
        order: the candidates' indices in the order to be shown.
        scored: [L] scores and their origin.
        ruled: what each rule did.
        assignment: the shopper's arms.
        label: that was called first, or `version N`; "" for none, or the newest.
        known: whether the state could be read.
        scored_s: when the scores were there or due, by the monotonic clock.
        interleaved: who placed which candidate, where two rankers did; else None.
    """

    request: str
    order: tuple[int, ...]
    scored: Scored
    ruled: Ruled
    assignment: Assignment
    label: str
    known: bool
    scored_s: float
    interleaved: Interleaved | None = None

    @property
    def degraded(self) -> str:
        """Return what failed; "" if nothing did."""
        return "; ".join(part for part in (self.scored.degraded, "" if self.known else UNKNOWN_STATE) if part)


@dataclass(frozen=True)
class Ranker:
    """Hold what scores: the labels to call in order, or a baseline."""

    labels: tuple[ModelVersion, ...]
    baseline: Baseline | None


@dataclass(frozen=True, kw_only=True)
class RankingBackends:
    """Hold what a ranking calls.

    Attributes:
        state: of shoppers and items.
        fallback_chain: gives scores.
        shop: rules, experiments and stock in force.
        changes: turns impressions into state changes.
        log: of exposures, or None.
        records: whether lists that are shown change the state here; else what reads the log's stream does that.
        shadow: compares another version, or None.
        tracing: of requests.
    """

    state: StateClient
    fallback_chain: FallbackChain
    shop: LiveShopFiles
    changes: Changes
    log: EventLog | None
    records: bool = True
    shadow: Shadow | None = None
    tracing: Tracing = NoTracing()  # noqa: RUF009 - holds nothing


@final
class Ranking:
    """Rank requests of one shop."""

    def __init__(self, dataset: Dataset, settings: Settings, backends: RankingBackends) -> None:
        self._settings, self._state, self._fallback_chain = settings, backends.state, backends.fallback_chain
        self._shop, self._changes, self._tracing = backends.shop, backends.changes, backends.tracing
        self._log, self._records, self._shadow = backends.log, backends.records, backends.shadow
        self._step_us = int(settings.reuse_ms * 1e3)
        self._popularity = SegmentPopularity(dataset)
        self._reserve = DeadlineReserve()
        self._columns = {feature.name: feature.key for feature in dataset.input_features("events")}

    async def rank(self, rank_request: RankRequest, *, now_us: int, began_s: float, patience_s: float = math.inf) -> RankResult:
        """Rank the candidates.

        Args:
            rank_request: to answer.
            now_us: microseconds since 1970.
            began_s: arrival of the request by the monotonic clock; the deadline counts from there.
            patience_s: the caller's deadline, in seconds from then; the shorter of it and the service's counts.

        Raises:
            InputError: the request is invalid.
        """
        deadline_s = min(self._settings.deadline_ms / 1e3, patience_s)
        request = self.request(rank_request, now_us)
        # The caller measures the deadline from before the request was sent, whoever set it.
        until_s = began_s + deadline_s - self._reserve.seconds(deadline_s, of_caller=True)
        state_s = min(deadline_s * STATE_SHARE, max(until_s - time.monotonic(), 0.0))  # less where the request was queued
        with self._tracing.span("state"):
            inputs, known = await self._state.inputs(self._round_time(request), timeout_s=state_s)
        shop, assignment = self._shop.now, self.assignment_of(rank_request, now_us)
        interleaving = None if rank_request.version is not None else assignment.interleaving
        rankers = [Ranker(self.labels_to_call(rank_request, assignment), assignment.baseline if rank_request.version is None else None)]
        if interleaving is not None:
            rankers = [Ranker(self._labels(team.model), team.baseline) for team in interleaving.teams]
        calls = [self._scores(ranker, request, inputs, until_s=until_s) for ranker in rankers]
        scores = await asyncio.gather(*calls) if interleaving else [await calls[0]]
        scored_s = min(time.monotonic(), until_s)
        with self._tracing.span("rules"):
            excluded = {"excluded": rank_request.exclude, "out_of_stock": shop.out_of_stock}
            apply = partial(shop.rules.apply, assignment.rules, rank_request.candidates, tensors=inputs.tensors, excluded=excluded)
            if interleaving is None:
                scored, interleaved = scores[0], None
                ruled = apply(scored.scores)
            else:
                mixed = interleave(interleaving, (scores[0], scores[1]), request.candidates, request=request.request, apply=apply)
                scored, ruled, interleaved = mixed.scored, mixed.ruled, mixed.record
        label = "" if interleaving is not None or scored.level == "baseline" else version_name(rankers[0].labels[0])
        ranked = RankResult(request.request, ruled.order, scored, ruled, assignment, label, known, scored_s, interleaved)
        if self._log is not None:
            self._log.offer(self._exposure(rank_request, request, inputs, ranked))
        if self._shadow is not None:
            self._shadow.offer(request, inputs.tensors, scored)
        return ranked

    async def _scores(self, ranker: Ranker, request: Request, inputs: Inputs, *, until_s: float) -> Scored:
        length, in_segment = len(request.candidates), partial(self._popularity.within, inputs)
        if ranker.baseline is not None:
            return self._fallback_chain.baseline(ranker.baseline, inputs.tensors, length, request=request.request, in_segment=in_segment)
        return await self._fallback_chain.scores(inputs.tensors, length, labels=ranker.labels, until_s=until_s, in_segment=in_segment)

    def observe_answer(self, ranked: RankResult) -> None:
        """Note that a response is made: later ones reserve as much of their deadline as it took after the scores."""
        self._reserve.observe(time.monotonic() - ranked.scored_s)

    async def record_impressions(self, rank_request: RankRequest, ranked: RankResult, *, now_us: int) -> None:
        """Record the positions that the page certainly shows in the state. Best effort, as their lines in the log are.

        Where the dataset takes no guests a guest's list counts for nobody.
        """
        items = [rank_request.candidates[index] for index in ranked.order[: rank_request.places]]
        if not items or not self._records:
            return
        try:
            event = ImpressionList(
                shopper=rank_request.shopper,
                request=ranked.request,
                session=rank_request.session,
                time_us=now_us,
                items=items,
                first_position=rank_request.first_position,
            )
            change = self._changes.from_event(event, now_us=now_us, context=rank_request.context)
            if change is not None:
                await self._state.record([change], timeout_s=self._settings.deadline_ms / 1e3)
        except (InputError, StateUnavailable):
            return

    def assignment_of(self, rank_request: RankRequest, now_us: int) -> Assignment:
        """Return the arms that a request is answered by."""
        return self.assignment(rank_request.shopper, session=rank_request.session, context=rank_request.context, time_us=now_us)

    def assignment(self, shopper: str, *, session: str, context: Mapping[str, Any], time_us: int) -> Assignment:
        """Return the arms of a shopper, or of a guest ("") by the experiments file's unit for guests, at a time."""
        experiments = self._shop.now.experiments
        if experiments is None:
            return Assignment()
        return assign(experiments, randomization_unit(experiments, shopper, session=session, context=context), time_us=time_us)

    def labels_to_call(self, rank_request: RankRequest, assignment: Assignment) -> tuple[ModelVersion, ...]:
        """Return the labels to call in order; the version alone where the request names one."""
        if rank_request.version is not None:
            return (rank_request.version,)
        return self._labels(assignment.model)

    def _labels(self, arm: str | None) -> tuple[str, ...]:
        return fallback_labels(arm, self._settings.label, self._settings.previous)

    def served_by(self, assignment: Assignment) -> str:
        """Return what ranks for a shopper of these arms without failures: a label of the model, a baseline, or `interleaved`."""
        if assignment.interleaving is not None:
            return "interleaved"
        return assignment.baseline or fallback_labels(assignment.model, self._settings.label, "")[0] or NEWEST

    def request(self, rank_request: RankRequest, now_us: int) -> Request:
        """Return the request with an id.

        Raises:
            InputError: too many candidates, or a duplicate.
        """
        candidates = list(rank_request.candidates)
        if len(candidates) > self._settings.most_candidates:
            raise InputError(
                f"expected at most {self._settings.most_candidates:,} candidates, got {len(candidates):,}; send the best of them"
            )
        if len(set(candidates)) < len(candidates):
            twice = next(item for index, item in enumerate(candidates) if item in candidates[:index])
            raise InputError(f"expected each candidate once, got {twice!r} twice; leave the second out")
        return Request(
            shopper=rank_request.shopper,
            candidates=candidates,
            time_us=now_us,
            session=rank_request.session,
            request=rank_request.request or secrets.token_hex(12),
            context=rank_request.context,
            shown=rank_request.shown,
            positions=range(rank_request.first_position, rank_request.first_position + len(candidates))
            if rank_request.first_position
            else None,
        )

    def _round_time(self, request: Request) -> Request:
        """Round the time up, so that requests can share a call. Not down: the state may hold later events."""
        if not self._step_us:
            return request
        return replace(request, time_us=-(-request.time_us // self._step_us) * self._step_us)

    def _exposure(self, rank_request: RankRequest, request: Request, inputs: Inputs, ranked: RankResult) -> Exposure:
        by_model = ranked.scored.version is not None or ranked.scored.level in ("model", "previous")
        return Exposure(
            request=request.request,
            time_us=request.time_us,
            shopper=pseudonym(rank_request.shopper, self._settings.salt),
            session=rank_request.session,
            items=request.candidates,
            scores=ranked.scored.scores.tolist() if by_model else None,
            order=ranked.order,
            shown=rank_request.places,
            first_position=rank_request.first_position,
            label=ranked.label,
            version="" if ranked.scored.version is None else str(ranked.scored.version),
            arms=ranked.assignment.arms,
            interleaved=ranked.interleaved,
            degraded=ranked.degraded,
            source=rank_request.source,
            model_ms=ranked.scored.model_ms,
            effects=ranked.ruled.effects,
            context={self._columns[name]: value for name, value in rank_request.context.items()},
            values={self._columns[name]: values for name, values in rank_request.shown.items()},
            features=inputs.tensors if is_sampled(request.request, self._settings.logged_features) else None,
        )
