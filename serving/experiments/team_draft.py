"""Interleave two rankings by team draft (Radlinski, Kurup & Joachims 2008, "How does clickthrough data reflect retrieval quality?").

As two captains pick teams: in each round a coin says which ranking picks first, and each adds its best candidate that
isn't in the list yet. A click on a candidate is a vote for the ranking that placed it. If the rankings are as good as
each other, so are their chances of a click at every position, whatever the position bias.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from serving.experiments.hash_fraction import hash_fraction


@dataclass(frozen=True)
class Draft:
    """Hold an interleaved list: the candidates' indices in order, and for each the team that placed it (0 or 1)."""

    order: tuple[int, ...]
    teams: tuple[int, ...]


def team_draft(rankings: tuple[Sequence[int], Sequence[int]], *, seed: Sequence[str]) -> Draft:
    """Interleave two rankings of the same candidates; each is in the list once.

    Args:
        rankings: [L] indices each, best first.
        seed: texts that the coins follow from, such as salt, experiment and request: the same texts give the same list.
    """
    order: list[int] = []
    teams: list[int] = []
    drafted: set[int] = set()
    following = [iter(ranking) for ranking in rankings]
    while len(order) < len(rankings[0]):
        first = int(hash_fraction(*seed, "team draft", str(len(order))) >= 0.5)
        for team in (first, 1 - first):
            candidate = next((each for each in following[team] if each not in drafted), None)
            if candidate is not None:
                drafted.add(candidate)
                order.append(candidate)
                teams.append(team)
    return Draft(tuple(order), tuple(teams))
