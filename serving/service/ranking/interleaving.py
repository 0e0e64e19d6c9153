"""Interleave the orders of two rankers, around what rules filter and pin."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from serving.experiments.assign import Interleaving
from serving.experiments.team_draft import team_draft
from serving.exposure.event_types import Interleaved
from serving.rules.apply import Ruled, by_score
from serving.service.ranking.fallback_chain import Scored
from serving.service.ranking.fallback_scores import Scores


@dataclass(frozen=True)
class InterleavedRanking:
    """Hold an interleaved list.

    Attributes:
        scored: places in the list as scores, descending; where a team's ranker failed, the other's scores.
        ruled: the order after the rules.
        record: who placed which candidate; None where a team's ranker failed, as the list then compares nothing.
    """

    scored: Scored
    ruled: Ruled
    record: Interleaved | None


def interleave(
    interleaving: Interleaving, pair: tuple[Scored, Scored], items: Sequence[str], *, request: str, apply: Callable[[Scores], Ruled]
) -> InterleavedRanking:
    """Interleave two rankers' orders of L candidates.

    Candidates that a rule filters or pins aren't drafted: nobody would see a pick, or the rule would have placed it. The
    other rules apply to the interleaved list.

    Args:
        interleaving: of the arm.
        pair: of scores, one for each team.
        items: [L] ids of the candidates.
        request: id of the request; with it the coins are the same.
        apply: the rules to scores.
    """
    if any(scored.failures for scored in pair):
        whole = next((scored for scored in pair if not scored.failures), pair[0])
        failures = tuple(dict.fromkeys(failure for scored in pair for failure in scored.failures))
        return InterleavedRanking(replace(whole, failures=failures), apply(whole.scores), None)
    unmixed = apply(pair[0].scores)
    pinned = {moved.item for effect in unmixed.effects if effect.kind == "pin" for moved in effect.moved}
    free = {index for index in unmixed.order if items[index] not in pinned}
    rankings = [[index for index in by_score(scored.scores).tolist() if index in free] for scored in pair]
    draft = team_draft((rankings[0], rankings[1]), seed=(interleaving.salt, interleaving.experiment, request))
    # The drafted ones first; then those that rules place or remove, in the first team's order.
    order = [*draft.order, *(index for index in by_score(pair[0].scores).tolist() if index not in free)]
    scores = np.empty(len(items))
    scores[order] = np.arange(len(items), 0, -1)
    ruled = apply(scores)
    team_of = dict(zip(draft.order, draft.teams, strict=True))
    times = [scored.model_ms for scored in pair if scored.model_ms is not None]
    record = Interleaved(
        experiment=interleaving.experiment,
        teams=(interleaving.teams[0].name, interleaving.teams[1].name),
        versions=(_version(pair[0]), _version(pair[1])),
        placed=[team_of.get(index) for index in ruled.order],
        scores=(pair[0].scores.tolist(), pair[1].scores.tolist()),
    )
    return InterleavedRanking(Scored(scores, "interleaved", model_ms=max(times, default=None)), ruled, record)


def _version(scored: Scored) -> str:
    return "" if scored.version is None else str(scored.version)
