"""One request from its arrival to its order: arm, features, scores, rules, and the line in the log."""

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
from serving.exposure.event_types import Exposure, is_sampled
from serving.exposure.log import ExposureLog
from serving.exposure.pseudonym import pseudonym
from serving.features.events import Changes, ImpressionList
from serving.features.request import Inputs, Request
from serving.rules.apply import Ruled
from serving.service.ranking.deadline_reserve import DeadlineReserve
from serving.service.ranking.fallback_chain import Ladder, Scored, labels_asked
from serving.service.ranking.segment_popularity import SegmentPopularity
from serving.service.ranking.shadow import Shadow
from serving.service.ranking.shop_files import LiveShopFiles
from serving.service.settings import Settings
from serving.service.state.state_client import Knowledge
from serving.service.telemetry.tracing import NoTracing, Tracing

STATE_SHARE = 0.4  # of the deadline, for the state
UNKNOWN_STATE = "state"


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What is asked, as `serving.features.request.Request`.

    `places` is how many of the first places the page shows for sure; `source` names where the candidates are from, where the request had
    none, and `about` what that source had to be told; `exclude` are products that aren't shown; `first_position` is the place, from 0, at
    which the first of the order is shown; `version` is that of the model to be asked, whatever the shopper's arm.
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
class Ranked:
    """The answer.

    Attributes:
        request: its id, as given or made here.
        order: the candidates' indices in the order to be shown.
        scored: [L] scores and where they come from.
        ruled: what each rule did.
        assignment: the shopper's arms.
        label: that was asked first, or `version N`; "" where none was, or the newest.
        known: whether the state could be read.
        scored_s: when the scores were there or should have been, by the monotonic clock.
    """

    request: str
    order: tuple[int, ...]
    scored: Scored
    ruled: Ruled
    assignment: Assignment
    label: str
    known: bool
    scored_s: float

    @property
    def degraded(self) -> str:
        """What wasn't as it should be; "" where everything was."""
        return "; ".join(part for part in (self.scored.degraded, "" if self.known else UNKNOWN_STATE) if part)


@final
class Ranking:
    """Answers requests of one shop."""

    def __init__(
        self,
        dataset: Dataset,
        settings: Settings,
        *,
        knowledge: Knowledge,
        ladder: Ladder,
        shop: LiveShopFiles,
        changes: Changes,
        log: ExposureLog | None,
        shadow: Shadow | None = None,
        tracing: Tracing = NoTracing(),  # noqa: B008 - holds nothing
    ) -> None:
        self._settings, self._knowledge, self._ladder, self._shop = settings, knowledge, ladder, shop
        self._changes, self._log, self._shadow = changes, log, shadow
        self._tracing = tracing
        self._step_us = int(settings.reuse_ms * 1e3)
        self._popularity = SegmentPopularity(dataset)
        self._reserve = DeadlineReserve()
        self._columns = {feature.name: feature.key for feature in dataset.given("events")}

    async def rank(self, asked: Asked, *, now_us: int, began_s: float, patience_s: float = math.inf) -> Ranked:
        """Order the candidates.

        Args:
            asked: the request.
            now_us: the moment, microseconds since 1970.
            began_s: when the request came, by the monotonic clock; the deadline counts from there.
            patience_s: how long who asked waits, from then on; where that is shorter than the deadline it is the deadline.

        Raises:
            InputError: the request can't be answered as it stands.
        """
        deadline_s = min(self._settings.deadline_ms / 1e3, patience_s)
        request = self.request(asked, now_us)
        # Whoever it is that set the deadline, who asked measures it, from before the request left there.
        until_s = began_s + deadline_s - self._reserve.seconds(deadline_s, of_caller=True)
        state_s = min(deadline_s * STATE_SHARE, max(until_s - time.monotonic(), 0.0))  # less where the request had to wait for its turn
        with self._tracing.span("state"):
            inputs, known = await self._knowledge.inputs(self._rounded(request), timeout_s=state_s)
        shop, assignment = self._shop.now, self.assignment(asked.shopper, session=asked.session, context=asked.context)
        labels, length = self.asked_first(asked, assignment), len(asked.candidates)
        within = partial(self._popularity.within, inputs)
        if assignment.baseline is None or asked.version is not None:
            scored = await self._ladder.scores(inputs.tensors, length, labels=labels, until_s=until_s, within=within)
        else:
            scored = self._ladder.baseline(assignment.baseline, inputs.tensors, length, request=request.request, within=within)
        scored_s = min(time.monotonic(), until_s)
        with self._tracing.span("rules"):
            left_out = {"excluded": asked.exclude, "out_of_stock": shop.out_of_stock}
            ruled = shop.rules.applied(assignment.rules, asked.candidates, scored.scores, inputs.tensors, left_out=left_out)
        label = "" if scored.rung == "baseline" else version_name(labels[0])
        ranked = Ranked(request.request, ruled.order, scored, ruled, assignment, label, known, scored_s)
        if self._log is not None:
            self._log.offer(self._exposure(asked, request, inputs, ranked))
        if self._shadow is not None:
            self._shadow.offer(request, inputs.tensors, scored)
        return ranked

    def answered(self, ranked: Ranked) -> None:
        """Note that an answer is made: the next ones keep as much of their deadline as it took after the scores."""
        self._reserve.observe(time.monotonic() - ranked.scored_s)

    async def shown(self, asked: Asked, ranked: Ranked, *, now_us: int) -> None:
        """Let the places that the page shows for sure move the state. Best effort, as their lines in the log are.

        Where the dataset takes no guests a guest's list counts for nobody.
        """
        items = [asked.candidates[at] for at in ranked.order[: asked.places]]
        if not items:
            return
        try:
            event = ImpressionList(
                shopper=asked.shopper,
                request=ranked.request,
                session=asked.session,
                time_us=now_us,
                items=items,
                first_position=asked.first_position,
            )
            change = self._changes.from_event(event, now_us=now_us, context=asked.context)
            if change is not None:
                await self._knowledge.record([change], timeout_s=self._settings.deadline_ms / 1e3)
        except (InputError, StateUnavailable):
            return

    def assignment(self, shopper: str, *, session: str, context: Mapping[str, Any]) -> Assignment:
        """The arms of a shopper, or of a guest ("") by what the experiments file draws guests by."""
        experiments = self._shop.now.experiments
        if experiments is None:
            return Assignment()
        return assign(experiments, randomization_unit(experiments, shopper, session=session, context=context))

    def asked_first(self, asked: Asked, assignment: Assignment) -> tuple[ModelVersion, ...]:
        """The labels to ask one after the other; the version alone where one is asked for."""
        if asked.version is not None:
            return (asked.version,)
        return labels_asked(assignment.model, self._settings.label, self._settings.previous)

    def served_by(self, arm: Assignment) -> str:
        """What orders for a shopper of these arms while all is well: a label of the model, or a baseline."""
        return arm.baseline or labels_asked(arm.model, self._settings.label, "")[0] or NEWEST

    def request(self, asked: Asked, now_us: int) -> Request:
        """The request with an id.

        Raises:
            InputError: too many candidates, or one of them twice.
        """
        candidates = list(asked.candidates)
        if len(candidates) > self._settings.most_candidates:
            raise InputError(
                f"expected at most {self._settings.most_candidates:,} candidates, got {len(candidates):,}; send the best of them"
            )
        if len(set(candidates)) < len(candidates):
            twice = next(item for at, item in enumerate(candidates) if item in candidates[:at])
            raise InputError(f"expected each candidate once, got {twice!r} twice; leave the second out")
        return Request(
            shopper=asked.shopper,
            candidates=candidates,
            time_us=now_us,
            session=asked.session,
            request=asked.request or secrets.token_hex(12),
            context=asked.context,
            shown=asked.shown,
            positions=range(asked.first_position, asked.first_position + len(candidates)) if asked.first_position else None,
        )

    def _rounded(self, request: Request) -> Request:
        """At a moment that others of this request share. Not an earlier one: its state may hold what happened since."""
        if not self._step_us:
            return request
        return replace(request, time_us=-(-request.time_us // self._step_us) * self._step_us)

    def _exposure(self, asked: Asked, request: Request, inputs: Inputs, ranked: Ranked) -> Exposure:
        by_model = ranked.scored.version is not None or ranked.scored.rung in ("model", "previous")
        return Exposure(
            request=request.request,
            time_us=request.time_us,
            shopper=pseudonym(asked.shopper, self._settings.salt),
            session=asked.session,
            items=request.candidates,
            scores=ranked.scored.scores.tolist() if by_model else None,
            order=ranked.order,
            shown=asked.places,
            first_position=asked.first_position,
            label=ranked.label,
            version="" if ranked.scored.version is None else str(ranked.scored.version),
            arms=ranked.assignment.arms,
            degraded=ranked.degraded,
            source=asked.source,
            model_ms=ranked.scored.model_ms,
            effects=ranked.ruled.effects,
            context={self._columns[name]: value for name, value in asked.context.items()},
            values={self._columns[name]: values for name, values in asked.shown.items()},
            features=inputs.tensors if is_sampled(request.request, self._settings.logged_features) else None,
        )
