"""Which versions are wanted, and which step comes next: the rules without files or threads."""

import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.model_server.lifecycle.lifecycle_policy import Load, Unload, next_step
from serving.model_server.lifecycle.version_status import State
from serving.model_server.lifecycle.versions import Every, Latest, Policy, Specific, by_version, select

START, AVAILABLE, END = State.START, State.AVAILABLE, State.END


def test_folders_are_read_as_numbers() -> None:
    assert by_version(["1", "002", "abc", ".tmp", "-3", "4.0", "", "²", str(2**63)]) == {1: "1", 2: "002"}


def test_of_two_folders_with_one_number_one_is_served_and_told(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        assert by_version(["1", "01"]) == {1: "1"}
    assert "two folders of version 1" in caplog.text


@pytest.mark.parametrize(
    ("policy", "served"),
    [
        (Latest(), {3}),
        (Latest(2), {2, 3}),
        (Latest(9), {1, 2, 3}),
        (Every(), {1, 2, 3}),
        (Specific(frozenset({1, 9})), {1}),
        (Specific(frozenset()), set()),
    ],
)
def test_the_policy_chooses(policy: Policy, served: set[int]) -> None:
    assert set(select({1: "1", 2: "2", 3: "3"}, policy)) == served


@pytest.mark.parametrize(
    ("want", "held", "backing_off", "step"),
    [
        pytest.param({2}, {1: AVAILABLE, 2: START}, set(), Load(2), id="the-new-one-first"),
        pytest.param({2}, {1: AVAILABLE, 2: AVAILABLE}, set(), Unload(1), id="then-the-old-one-goes"),
        pytest.param({2}, {1: AVAILABLE, 2: END}, set(), None, id="a-bad-one-does-not-displace-it"),
        pytest.param({2}, {1: AVAILABLE, 2: START}, {2}, None, id="a-failed-one-rests"),
        pytest.param(set(), {1: AVAILABLE}, set(), Unload(1), id="nothing-wanted"),
        pytest.param({1, 2, 3}, {1: START, 2: START, 3: START}, set(), Load(3), id="the-newest-first"),
        pytest.param({1, 3}, {1: START, 3: END}, set(), Load(1), id="past-a-bad-one"),
        pytest.param({3}, {1: AVAILABLE, 2: AVAILABLE, 3: AVAILABLE}, set(), Unload(1), id="the-oldest-goes-first"),
        pytest.param({1}, {1: AVAILABLE}, set(), None, id="in-step"),
    ],
)
def test_the_next_step_keeps_something_answering(
    want: set[int], held: dict[int, State], backing_off: set[int], step: Load | Unload | None
) -> None:
    assert next_step(want, held, backing_off=backing_off) == step


@given(st.lists(st.frozensets(st.integers(1, 4), min_size=1), min_size=1, max_size=6), st.frozensets(st.integers(1, 4)))
def test_once_a_model_answers_it_never_stops_while_versions_are_wanted(wishes: list[frozenset[int]], bad: frozenset[int]) -> None:
    held: dict[int, State] = {}
    answered = False
    for want in wishes:
        held = {version: state for version, state in held.items() if version in want or state is AVAILABLE}
        held |= dict.fromkeys(want - held.keys(), START)
        while step := next_step(want, held, backing_off=set()):
            if isinstance(step, Load):
                held[step.version] = END if step.version in bad else AVAILABLE
            else:
                del held[step.version]
            answered = answered or AVAILABLE in held.values()
            assert not answered or AVAILABLE in held.values()
        assert want - bad <= {version for version, state in held.items() if state is AVAILABLE}
