"""Whose request an action names: its actor's, or else the only one's to whom that id was shown then."""

import numpy as np
import polars as pl
import pytest

from components.ingest.requests.attribution import ATTRIBUTED, BEFORE, CAUSES, CROSS_USER, LATE, OTHER, REQUEST
from components.ingest.requests.list_owners import NOBODY, resolve, shared_ids

WINDOW, PAUSE = 100, 30
ANN, BOB, EVE = 11, 12, 13
SCHEMA = {"rid": pl.UInt64, "owner": pl.UInt64, "session": pl.UInt64, "time": pl.Int64}
Row = tuple[int, int, int, int]  # request id, owner, session (0: none), time


def run_ingest(claims: list[Row], shown: list[Row], *, skew: int = 0) -> pl.DataFrame:
    frames = (pl.DataFrame(rows, schema=SCHEMA, orient="row") for rows in (claims, shown))
    return resolve(*frames, window_us=WINDOW, skew_us=skew, pause_us=PAUSE)


SHOWN: list[Row] = [(1, ANN, 0, 1000), (2, ANN, 0, 1000), (2, BOB, 0, 1050), (3, BOB, 7, 1000), (3, EVE, 8, 1000)]


@pytest.mark.parametrize(
    ("claim", "verdict", "index"),
    [
        ((1, ANN, 0, 1010), ATTRIBUTED, 0),
        ((1, EVE, 0, 1010), CROSS_USER, 0),  # a login
        ((1, NOBODY, 0, 1100), CROSS_USER, 0),  # a click log without shoppers, at the window's end
        ((1, EVE, 0, 1101), LATE, None),
        ((1, EVE, 0, 999), BEFORE, None),
        ((9, EVE, 0, 1010), REQUEST, None),
        ((2, ANN, 0, 1060), ATTRIBUTED, 1),  # the actor's own goes first
        ((2, EVE, 0, 1060), OTHER, None),
        ((2, EVE, 0, 1040), CROSS_USER, 1),  # bob's wasn't shown yet
        ((2, EVE, 0, 1120), CROSS_USER, 2),  # ann's is too long ago
        ((3, ANN, 7, 1010), CROSS_USER, 3),  # of the action's own visit
        ((3, ANN, 9, 1010), OTHER, None),
        ((3, ANN, 0, 1010), OTHER, None),
    ],
)
def test_an_action_is_of_the_actor_or_of_the_only_one_who_was_shown_the_id(claim: Row, verdict: int, index: int | None) -> None:
    result = run_ingest([claim], SHOWN)
    actual = result.row(0, named=True)
    assert (CAUSES.get(actual["verdict"], actual["verdict"]), actual["shown"]) == (CAUSES.get(verdict, verdict), index)
    assert actual["moment"] == claim[3]


def test_one_stamped_before_its_list_happens_with_the_first_row_of_it() -> None:
    shown = [(1, ANN, 0, 900), (1, ANN, 0, 1000), (1, ANN, 0, 1004)]
    assert run_ingest([(1, EVE, 0, 998)], shown, skew=3).row(0) == (CROSS_USER, 1, 1000)
    assert run_ingest([(1, EVE, 0, 998)], shown, skew=6).row(0) == (CROSS_USER, 2, 1000)
    assert run_ingest([(1, EVE, 0, 1002)], shown, skew=6).row(0) == (CROSS_USER, 2, 1002)


def test_the_shoppers_own_requests_say_why_none_is_near() -> None:
    shown = [(1, ANN, 0, 1000), (1, BOB, 0, 1300)]
    assert run_ingest([(1, ANN, 0, 1250), (1, EVE, 0, 1290)], shown)["verdict"].to_list() == [LATE, BEFORE]


def test_many_claims_on_an_id_that_many_share_are_settled_as_one_by_one() -> None:
    rng = np.random.default_rng(0)
    shown = sorted({(int(r), int(o), int(s), int(t)) for r, o, s, t in rng.integers([0, 1, 0, 0], [3, 5, 3, 1500], (400, 4))})
    claims = [(int(r), int(o), int(s), int(t)) for r, o, s, t in rng.integers([0, 0, 0, 0], [4, 7, 3, 1500], (300, 4))]
    together = run_ingest(claims, shown, skew=5)
    assert len(together["verdict"].unique()) > 3
    for at, (rid, owner, session, time) in enumerate(claims):
        near = [each for each in shown if each[0] == rid and time - WINDOW <= each[3] <= time + 5]
        own = [each for each in near if each[1] == owner]
        theirs = [each for each in near if session and each[2] == session] or near
        verdict, row = together["verdict"][at], together["shown"][at]
        if own:
            assert (verdict, shown[row][1], shown[row][3]) == (ATTRIBUTED, owner, max(each[3] for each in own))
        elif theirs and len({each[1] for each in theirs}) == 1:
            assert (verdict, shown[row][1], shown[row][3]) == (CROSS_USER, theirs[0][1], max(each[3] for each in theirs))
        elif theirs:
            assert (verdict, row) == (OTHER, None)
        else:
            assert verdict in (BEFORE, LATE, REQUEST)
            assert row is None


def test_ids_of_several_shoppers_are_seen_within_a_visit_where_visits_are_named() -> None:
    frame = pl.DataFrame([*SHOWN, (4, ANN, 7, 1), (4, BOB, 7, 2)], schema=SCHEMA, orient="row")
    assert sorted(shared_ids(frame).rows()) == [(2, 0), (4, 7)]
