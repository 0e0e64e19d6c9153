"""What every store must do, whether it lies in memory or in Redis."""

import os
import threading
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from components.contract.errors import InputError
from components.state.plan import StatePlan, raw_names
from components.state.reducer import Features
from components.state.store import Event, StateStore
from serving.state.interface import Change, Plans
from serving.state.item_codes import ItemCodes
from tests.components.state.random_logs import MOMENTS, START_US
from tests.components.state.random_logs import PLANS as SOME_PLANS
from tests.serving.state.kinds import PLANS, Kind

SECOND = 1_000_000
NAMES = ("zoë", "a", "b\x00c")


def change(*users: Event, items: tuple[Event, ...] = (), mark: bytes | None = None) -> Change:
    return Change(mark or os.urandom(16), users, items)


def click(user: str, at_s: float, item: int = 0) -> Change:
    at_us = START_US + int(at_s * SECOND)
    return change(Event(user, at_us, "click", item), items=(Event(f"i{item}", at_us, "click"),))


def as_bytes(features: Features) -> list[bytes]:
    return [array.tobytes() for array in features]


def by_name(plan: StatePlan, features: Features) -> dict[str, list[float]]:
    return dict(zip(raw_names(plan), features.values.T.tolist(), strict=True))


events = st.builds(
    Event,
    key=st.sampled_from(NAMES),
    time_us=MOMENTS,
    action=st.sampled_from(SOME_PLANS[0].actions),
    item=st.integers(-1, 5),
    weight=st.integers(1, 9),
    session=st.sampled_from([0, 0, 5, -(2**62)]),
    skew_us=st.sampled_from([0, 0, SECOND, 60 * SECOND]),
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(SOME_PLANS), st.lists(st.tuples(st.lists(events, max_size=3), st.lists(events, max_size=3)), max_size=12), MOMENTS)
def test_a_store_knows_what_the_reducer_knows_bit_for_bit(
    kind: Kind, plan: StatePlan, log: list[tuple[list[Event], list[Event]]], moment: int
) -> None:
    """Late events, ties, guests' sessions and histories that turn around: all as `StateStore`, which the reducer's tests hold."""
    store = kind.made(Plans(plan, SOME_PLANS[1]), None)
    users, items = StateStore(plan), StateStore(SOME_PLANS[1])
    for of_users, of_items in log:
        assert store.record(change(*of_users, items=tuple(of_items)))
        for event in of_users:
            users.record(event)
        for event in of_items:
            items.record(event)
    for shopper in (*NAMES, "stranger", ""):
        known = store.known(shopper, [*NAMES, "stranger"], moment, session=5)
        assert as_bytes(known.user) == as_bytes(users.features(shopper, moment, session=5))
        assert known.items is not None
        assert as_bytes(known.items) == as_bytes(items.features_of([*NAMES, "stranger"], moment))


def test_counts_recency_and_history_by_hand(kind: Kind) -> None:
    codes = ItemCodes(["i0", "i1"])
    store = kind.made(PLANS, codes)
    store.record(
        change(Event("u", START_US, "impression", -1, weight=2), items=tuple(Event(f"i{n}", START_US, "impression") for n in (0, 1)))
    )
    store.record(click("u", 7, item=1))
    known = store.known("u", ["i0", "i1", "i2"], START_US + 14 * SECOND)
    assert known.items is not None
    of_user, of_items = by_name(PLANS.users, known.user), by_name(PLANS.items or PLANS.users, known.items)
    assert of_user["total_impression"] == [2]
    assert of_user["recency_click_s"] == [7]
    assert of_user["session_events"] == [2]
    assert of_items["count_impression_7s"] == [1 / 4, 1 / 4, 0]
    assert of_items["count_click_7s"] == [0, 1 / 2, 0]
    assert known.user.history_len.tolist() == [1]
    assert [codes.name(code) for code in known.user.history_item[0, :1].tolist()] == ["i1"]
    assert known.user.history_age_s[0, 0] == 7


def test_asking_changes_nothing(kind: Kind) -> None:
    store = kind.made(PLANS)
    store.record(click("u", 0))
    first = store.known("u", ["i0"], START_US + SECOND)
    for _ in range(3):
        again = store.known("u", ["i0"], START_US + SECOND)
    assert as_bytes(again.user) == as_bytes(first.user)


def test_a_change_with_the_mark_of_an_earlier_one_counts_once(kind: Kind) -> None:
    store = kind.made(PLANS)
    same = click("u", 0)
    assert [store.record(same), store.record(same), store.record(replace(same, mark=bytes(16)))] == [True, False, True]
    assert by_name(PLANS.users, store.known("u", [], START_US).user)["total_click"] == [2]


def test_a_mark_that_comes_again_after_its_span_is_another_change(kind: Kind) -> None:
    """By hand: with a span of ten seconds, changes at 0, 8 and 16 are one (each follows the last within ten), that at 27 is another."""
    store = kind.made(PLANS)
    same = replace(click("u", 0), span_us=10 * SECOND)
    assert [store.record(replace(same, time_us=START_US + at * SECOND)) for at in (0, 8, 16, 27)] == [True, False, False, True]
    assert by_name(PLANS.users, store.known("u", [], START_US).user)["total_click"] == [2]


def test_what_is_stamped_a_little_before_the_newest_event_happened_with_it(kind: Kind) -> None:
    def known(first: Event, second: Event, who: str) -> list[bytes]:
        store = kind.made(PLANS)
        store.record(change(first, second))
        return as_bytes(store.known(who, [], START_US).user)

    def twice(who: str, *, early_us: int, skew_us: int) -> list[bytes]:
        first = Event(who, START_US, "click")
        return known(first, replace(first, time_us=START_US - early_us, skew_us=skew_us), who)

    exact = twice("a", early_us=0, skew_us=0)
    assert twice("b", early_us=SECOND, skew_us=SECOND) == exact
    # Beyond the tolerance it is late, as ever.
    late = twice("c", early_us=SECOND + 1, skew_us=SECOND)
    assert late == twice("d", early_us=SECOND + 1, skew_us=0)
    assert late != exact


def test_a_shopper_who_is_forgotten_is_a_stranger_and_may_come_again(kind: Kind) -> None:
    store = kind.made(PLANS)
    for user in ("a", "b", "c"):
        store.record(click(user, 0))
    before = as_bytes(store.known("a", [], START_US + SECOND).user)
    store.forget("b")
    store.forget("nobody")
    stranger = as_bytes(store.known("stranger", [], START_US + SECOND).user)
    assert as_bytes(store.known("b", [], START_US + SECOND).user) == stranger
    assert as_bytes(store.known("a", [], START_US + SECOND).user) == before
    store.record(click("d", 0))
    store.record(click("b", 0))
    for user in ("a", "b", "c", "d"):
        assert as_bytes(store.known(user, [], START_US + SECOND).user) == before
    items = store.known("a", ["i0"], START_US).items
    assert items is not None
    assert by_name(PLANS.items or PLANS.users, items)["total_click"] == [5]


def test_an_action_that_is_not_counted_is_refused_and_nothing_taken_in(kind: Kind) -> None:
    store = kind.made(PLANS)
    with pytest.raises(InputError, match="'wave' isn't in the state plan"):
        store.record(change(Event("u", START_US, "click"), Event("u", START_US, "wave")))
    assert not store.known("u", [], START_US).user.values[0, -1]
    assert by_name(PLANS.users, store.known("u", [], START_US).user)["total_click"] == [0]


def test_writers_at_once_lose_no_event(kind: Kind) -> None:
    """Eight writers change the same two items and three shoppers; what they did is added up afterwards."""
    store = kind.made(PLANS)
    writers, each = 8, 25
    failed: list[BaseException] = []

    def write(writer: int) -> None:
        try:
            for n in range(each):
                store.record(click(f"u{n % 3}", writer + n, item=n % 2))
        except BaseException as error:
            failed.append(error)
            raise

    threads = [threading.Thread(target=write, args=(writer,)) for writer in range(writers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert not failed
    items = store.known("", ["i0", "i1"], START_US).items
    assert items is not None
    assert by_name(PLANS.items or PLANS.users, items)["total_click"] == [13 * writers, 12 * writers]
    clicks = [by_name(PLANS.users, store.known(f"u{n}", [], START_US).user)["total_click"][0] for n in range(3)]
    assert clicks == [9 * writers, 8 * writers, 8 * writers]


def test_a_store_without_item_features_knows_nothing_of_items(kind: Kind) -> None:
    store = kind.made(Plans(PLANS.users, None))
    store.record(click("u", 0))
    known = store.known("u", ["i0"], START_US + SECOND)
    assert known.items is None
    assert by_name(PLANS.users, known.user)["total_click"] == [1]


def test_ids_of_any_script_and_length_stand_in_a_history(kind: Kind) -> None:
    names = ["", "ß" * 300, "a|b,c\n", "商品", "\x00", "\U00010348"]
    codes = ItemCodes(name for name in names if name)
    store = kind.made(Plans(replace(PLANS.users, history_length=8), PLANS.items), codes)
    for second, name in enumerate(names):
        store.record(change(Event("u", START_US + second * SECOND, "click", codes.code(name))))
    user = store.known("u", [], START_US + 10 * SECOND).user
    assert [codes.name(code) for code in user.history_item[0, : len(names)].tolist()] == names
    assert np.array_equal(user.history_age_s[0, : len(names)], np.arange(10, 4, -1, np.float32))
