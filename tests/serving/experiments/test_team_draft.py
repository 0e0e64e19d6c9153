"""Team-draft interleaving: every candidate once, rounds of one pick each, fair coins that the request decides."""

import numpy as np

from serving.experiments.team_draft import team_draft

REQUESTS = 4_000


def seeds() -> list[tuple[str, str, str]]:
    return [("salt", "pair", f"r{number}") for number in range(REQUESTS)]


def test_no_candidate_is_lost_or_doubled_and_each_round_gives_each_team_a_pick() -> None:
    rng = np.random.default_rng(0)
    for length in (1, 2, 5, 8):
        for seed in seeds()[:50]:
            draft = team_draft((rng.permutation(length).tolist(), rng.permutation(length).tolist()), seed=seed)
            assert sorted(draft.order) == list(range(length))
            rounds = [draft.teams[first : first + 2] for first in range(0, length - 1, 2)]
            assert all(sorted(each) == [0, 1] for each in rounds)


def test_a_team_picks_the_best_of_its_ranking_that_is_left() -> None:
    # Whoever begins: 0 then 3, or 3 then 0; after that both want 1.
    drafts = {team_draft(([0, 1, 2, 3], [3, 1, 0, 2]), seed=seed) for seed in seeds()[:200]}
    assert {(draft.order, draft.teams) for draft in drafts} == {
        ((0, 3, 1, 2), (0, 1, 0, 1)),
        ((0, 3, 1, 2), (0, 1, 1, 0)),
        ((3, 0, 1, 2), (1, 0, 0, 1)),
        ((3, 0, 1, 2), (1, 0, 1, 0)),
    }


def test_the_same_request_has_the_same_list_and_others_toss_fair_coins() -> None:
    rankings = (list(range(6)), list(range(5, -1, -1)))
    drafts = [team_draft(rankings, seed=seed) for seed in seeds()]
    assert [team_draft(rankings, seed=seed) for seed in seeds()] == drafts
    second_first = np.array([[draft.teams[index] for index in (0, 2, 4)] for draft in drafts])
    assert (np.abs(second_first.mean(axis=0) - 0.5) < 3.3 * 0.5 / REQUESTS**0.5).all()
    assert np.abs(np.corrcoef(second_first.T)[np.triu_indices(3, 1)]).max() < 3.3 / REQUESTS**0.5  # a coin for each round
    assert [team_draft(rankings, seed=("other", *seed[1:])) for seed in seeds()] != drafts


def test_of_equal_rankings_each_position_is_either_teams_as_often() -> None:
    ranking = list(range(7))
    teams = np.array([team_draft((ranking, ranking), seed=seed).teams for seed in seeds()])
    assert (np.abs(teams.mean(axis=0) - 0.5) < 3.3 * 0.5 / REQUESTS**0.5).all()
