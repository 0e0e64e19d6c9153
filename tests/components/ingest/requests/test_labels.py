"""An action counts for the impression it came from: the one it names, or else the shopper's last that showed the item."""

import polars as pl
import pytest

from components.ingest.requests.attribution import ATTRIBUTED, BEFORE, CAUSES, ITEM, LATE, NEVER, REQUEST, Attribution, attribute

CLICK, CART = 2, 3
WINDOW = 100

Candidate = tuple[int, str, int, int]  # key, request, item, time of the request
Interaction = tuple[int, str | None, int, int, int]  # key, request, item, time, action
SHOWN_COLUMNS = {"key": pl.Int64, "request": pl.String, "item": pl.Int64, "time": pl.Int64}


def attributed(
    candidates: list[Candidate],
    interactions: list[Interaction],
    *,
    window: int = WINDOW,
    skew: int = 0,
    visits: tuple[list[int], list[int]] | None = None,
) -> Attribution:
    """`visits`: the session of each candidate and interaction; default: none is named."""
    of_shown, of_done = visits or ([0] * len(candidates), [0] * len(interactions))
    shown = pl.DataFrame(candidates, schema=SHOWN_COLUMNS, orient="row").with_columns(pl.Series("session", of_shown, pl.Int64))
    done = pl.DataFrame(interactions, schema=SHOWN_COLUMNS | {"action": pl.Int8}, orient="row")
    done = done.with_columns(pl.Series("session", of_done, pl.Int64))
    return attribute(shown, done, actions=(CLICK, CART), window_us=window, skew_us=skew)


def lost(attributed: Attribution) -> int:
    return int((attributed.causes != ATTRIBUTED).sum())


# Shopper 0 sees items 7 and 8, then 7 again fifty microseconds later; shopper 1 sees 7.
SHOWN: list[Candidate] = [(0, "r0", 7, 1000), (0, "r0", 8, 1000), (0, "r1", 7, 1050), (1, "r2", 7, 1000)]
NOTHING = [[0, 0]] * 4


@pytest.mark.parametrize(
    ("interaction", "index"),
    [
        ((0, "r0", 7, 1040, CLICK), 0),
        ((0, "r0", 8, 1040, CLICK), 1),
        ((0, "r0", 7, 1060, CLICK), 0),  # named, though a later request shows the item as well
        ((0, None, 7, 1040, CLICK), 0),
        ((0, None, 7, 1060, CLICK), 2),  # the last that showed it
        ((0, None, 7, 1050, CLICK), 2),  # at its very moment
        ((0, None, 8, 1060, CLICK), 1),  # the last request doesn't show it
        ((1, None, 7, 1060, CLICK), 3),
        ((0, "r0", 7, 1100, CLICK), 0),  # the window's end belongs to it
        ((0, None, 7, 1150, CLICK), 2),
        ((0, "r0", 7, 1000, CLICK), 0),
    ],
)
def test_an_action_counts_for_one_candidate(interaction: Interaction, index: int) -> None:
    result = attributed(SHOWN, [interaction])
    assert result.labels.tolist() == [[int(at == index), 0] for at in range(4)]
    assert result.causes.tolist() == [ATTRIBUTED]


@pytest.mark.parametrize(
    ("interaction", "cause"),
    [
        ((0, "r0", 7, 1101, CLICK), LATE),
        ((0, "r0", 7, 999, CLICK), BEFORE),
        ((0, None, 7, 999, CLICK), BEFORE),
        ((0, None, 7, 1151, CLICK), LATE),
        ((0, "r1", 8, 1060, CLICK), ITEM),
        ((0, "r2", 7, 1060, CLICK), REQUEST),  # another shopper's request: that is settled elsewhere
        ((0, "r9", 7, 1060, CLICK), REQUEST),  # a request that isn't in the log: not the last one either
        ((0, None, 9, 1060, CLICK), NEVER),
        ((2, None, 7, 1060, CLICK), NEVER),
    ],
)
def test_an_action_without_a_list_says_why(interaction: Interaction, cause: int) -> None:
    result = attributed(SHOWN, [interaction])
    assert result.labels.tolist() == NOTHING
    assert [CAUSES[code] for code in result.causes.tolist()] == [CAUSES[cause]]


def test_a_tolerance_takes_in_what_is_stamped_before_its_list_and_says_when_it_happened() -> None:
    result = attributed(
        SHOWN, [(0, "r0", 7, 990, CLICK), (0, None, 8, 989, CART), (0, None, 7, 1045, CART), (0, "r0", 7, 1020, CLICK)], skew=10
    )
    assert result.labels.tolist() == [[1, 0], [0, 0], [0, 1], [0, 0]]
    assert result.causes.tolist() == [ATTRIBUTED, BEFORE, ATTRIBUTED, ATTRIBUTED]
    assert result.moments.tolist() == [1000, 989, 1050, 1020]


def test_an_action_that_names_a_request_happened_after_it_whatever_its_item() -> None:
    result = attributed(SHOWN, [(0, "r1", 8, 1045, CLICK)], skew=10)
    assert (result.causes.tolist(), result.moments.tolist()) == ([ITEM], [1050])


def test_of_several_requests_of_one_id_the_nearest_before_counts() -> None:
    shown: list[Candidate] = [(0, "3", 7, 1000), (0, "3", 7, 1080), (0, "3", 8, 1080), (0, "3", 8, 1200)]
    done: list[Interaction] = [(0, "3", 7, 1070, CLICK), (0, "3", 7, 1090, CART), (0, "3", 8, 1090, CLICK), (0, "3", 7, 1205, CLICK)]
    result = attributed(shown, done)
    assert result.labels.tolist() == [[1, 0], [0, 1], [1, 0], [0, 0]]
    assert result.causes.tolist() == [ATTRIBUTED, ATTRIBUTED, ATTRIBUTED, ITEM]


def test_an_action_belongs_to_the_request_of_its_own_visit() -> None:
    """By hand: request 3 of visit 11 shows item 7, that of visit 12 item 8, a moment later."""
    shown: list[Candidate] = [(0, "3", 7, 1000), (0, "3", 8, 1010)]
    click = lambda item: (0, "3", item, 1020, CLICK)  # noqa: E731
    done: list[Interaction] = [click(7), click(8), click(7), click(7)]
    result = attributed(shown, done, visits=([11, 12], [11, 12, 12, 0]))
    assert result.labels.tolist() == [[1, 0], [1, 0]]
    assert result.causes.tolist() == [ATTRIBUTED, ATTRIBUTED, ITEM, ATTRIBUTED]
    assert attributed(shown, [click(7)], visits=([11, 12], [13])).causes.tolist() == [ATTRIBUTED]  # a visit without such a request


def test_a_late_action_does_not_fall_back_on_an_earlier_impression() -> None:
    """At 1151 the last request is too long ago; the one before it all the more."""
    assert lost(attributed(SHOWN, [(0, None, 7, 1151, CLICK)], window=100)) == 1
    assert attributed(SHOWN, [(0, None, 7, 1151, CLICK)], window=101).labels.tolist() == [[0, 0], [0, 0], [1, 0], [0, 0]]


def test_each_action_has_its_own_label_and_twice_is_once() -> None:
    result = attributed(SHOWN, [(0, "r0", 7, 1001, CLICK), (0, "r0", 7, 1002, CLICK), (0, "r0", 7, 1003, CART)])
    assert result.labels.tolist() == [[1, 1], [0, 0], [0, 0], [0, 0]]
    assert lost(result) == 0


def test_of_requests_at_one_moment_the_last_by_name_counts() -> None:
    shown = [(0, "b", 7, 1000), (0, "a", 7, 1000)]
    assert attributed(shown, [(0, None, 7, 1001, CLICK)]).labels.tolist() == [[1, 0], [0, 0]]
    assert attributed(shown[::-1], [(0, None, 7, 1001, CLICK)]).labels.tolist() == [[0, 0], [1, 0]]


def test_the_order_of_the_actions_does_not_matter() -> None:
    done: list[Interaction] = [(0, None, 7, 1060, CLICK), (1, None, 7, 1001, CART), (0, "r0", 8, 1001, CART), (0, None, 9, 1001, CLICK)]
    wanted = [[0, 0], [0, 1], [1, 0], [0, 1]]
    for order in (done, done[::-1]):
        result = attributed(SHOWN, order)
        assert (result.labels.tolist(), lost(result)) == (wanted, 1)


def test_without_actions_or_without_candidates_there_are_no_labels() -> None:
    assert attributed(SHOWN, []).labels.tolist() == NOTHING
    result = attributed([], [(0, None, 7, 1060, CLICK), (0, "r0", 7, 1060, CLICK)], skew=5)
    assert (result.labels.shape, result.causes.tolist()) == ((0, 2), [NEVER, REQUEST])
