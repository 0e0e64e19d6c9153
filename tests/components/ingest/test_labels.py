"""An action counts for the impression it came from: the one it names, or else the shopper's last that showed the item."""

import polars as pl
import pytest

from components.ingest.labels import Attribution, attribute

CLICK, CART = 2, 3
WINDOW = 100

Candidate = tuple[int, str, int, int]  # key, request, item, time of the request
Interaction = tuple[int, str | None, int, int, int]  # key, request, item, time, action


def found(candidates: list[Candidate], interactions: list[Interaction], *, window: int = WINDOW) -> Attribution:
    shown = pl.DataFrame(candidates, schema={"key": pl.Int64, "request": pl.String, "item": pl.Int64, "time": pl.Int64}, orient="row")
    done = pl.DataFrame(
        interactions,
        schema={"key": pl.Int64, "request": pl.String, "item": pl.Int64, "time": pl.Int64, "action": pl.Int8},
        orient="row",
    )
    return attribute(shown, done, actions=(CLICK, CART), window_us=window)


# Shopper 0 sees items 7 and 8, then 7 again fifty microseconds later; shopper 1 sees 7.
SHOWN: list[Candidate] = [(0, "r0", 7, 1000), (0, "r0", 8, 1000), (0, "r1", 7, 1050), (1, "r2", 7, 1000)]
NOTHING = [[0, 0]] * 4


@pytest.mark.parametrize(
    ("interaction", "place"),
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
def test_an_action_counts_for_one_candidate(interaction: Interaction, place: int) -> None:
    labels, unattributed = found(SHOWN, [interaction])
    assert labels.tolist() == [[int(at == place), 0] for at in range(4)]
    assert unattributed == 0


@pytest.mark.parametrize(
    "interaction",
    [
        (0, "r0", 7, 1101, CLICK),  # too late
        (0, "r0", 7, 999, CLICK),  # before it was shown
        (0, None, 7, 999, CLICK),
        (0, None, 7, 1151, CLICK),
        (0, "r1", 8, 1060, CLICK),  # not in that request
        (0, "r2", 7, 1060, CLICK),  # another shopper's request
        (0, "r9", 7, 1060, CLICK),  # a request that isn't in the log: not the last one either
        (0, None, 9, 1060, CLICK),
        (2, None, 7, 1060, CLICK),
    ],
)
def test_an_action_without_an_impression_is_counted_as_such(interaction: Interaction) -> None:
    labels, unattributed = found(SHOWN, [interaction])
    assert labels.tolist() == NOTHING
    assert unattributed == 1


def test_a_late_action_does_not_fall_back_on_an_earlier_impression() -> None:
    """At 1151 the last request is too long ago; the one before it all the more."""
    assert found(SHOWN, [(0, None, 7, 1151, CLICK)], window=100).unattributed == 1
    assert found(SHOWN, [(0, None, 7, 1151, CLICK)], window=101).labels.tolist() == [[0, 0], [0, 0], [1, 0], [0, 0]]


def test_each_action_has_its_own_label_and_twice_is_once() -> None:
    labels, unattributed = found(SHOWN, [(0, "r0", 7, 1001, CLICK), (0, "r0", 7, 1002, CLICK), (0, "r0", 7, 1003, CART)])
    assert labels.tolist() == [[1, 1], [0, 0], [0, 0], [0, 0]]
    assert unattributed == 0


def test_of_requests_at_one_moment_the_last_by_name_counts() -> None:
    shown = [(0, "b", 7, 1000), (0, "a", 7, 1000)]
    assert found(shown, [(0, None, 7, 1001, CLICK)]).labels.tolist() == [[1, 0], [0, 0]]
    assert found(shown[::-1], [(0, None, 7, 1001, CLICK)]).labels.tolist() == [[0, 0], [1, 0]]


def test_the_order_of_the_actions_does_not_matter() -> None:
    done: list[Interaction] = [(0, None, 7, 1060, CLICK), (1, None, 7, 1001, CART), (0, "r0", 8, 1001, CART), (0, None, 9, 1001, CLICK)]
    wanted = [[0, 0], [0, 1], [1, 0], [0, 1]]
    for order in (done, done[::-1]):
        labels, unattributed = found(SHOWN, order)
        assert (labels.tolist(), unattributed) == (wanted, 1)


def test_without_actions_or_without_candidates_there_are_no_labels() -> None:
    assert found(SHOWN, []).labels.tolist() == NOTHING
    labels, unattributed = found([], [(0, None, 7, 1060, CLICK)])
    assert (labels.shape, unattributed) == ((0, 2), 1)
