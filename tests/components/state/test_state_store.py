"""The online store: a replay event by event equals the batch bit for bit, and outlives a save and a load."""

import sys
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components.contract.errors import InputError
from components.state.artifact import Snapshot, from_table, load, save, to_table
from components.state.plan import StatePlan
from components.state.reducer import Features, empty
from components.state.replay import replay
from components.state.store import Event, StateStore
from tests.components.state.random_logs import EARLY, KEYS, PLANS, ROWS, START_US, Row, columns, in_order

PLAN = PLANS[0]
NAMES = ["zoë", "", "a"]  # of the keys 0 to 2
plans = st.sampled_from(PLANS)
logs = st.lists(ROWS, max_size=40)


def as_event(plan: StatePlan, row: Row) -> Event:
    stamped_us = row.time_us - row.early_us
    return Event(NAMES[row.key], stamped_us, plan.actions[row.action], row.item, row.weight, row.session, skew_us=row.early_us)


def as_bytes(features: Features) -> list[bytes]:
    return [array.tobytes() for array in features]


@settings(max_examples=200, deadline=None)
@given(plans, st.lists(EARLY, max_size=40))
def test_a_replay_event_by_event_equals_the_batch_bit_for_bit(plan: StatePlan, rows: list[Row]) -> None:
    rows = in_order(rows)
    state = empty(plan, KEYS)
    batch = replay(plan, state, columns(rows))
    store = StateStore(plan)
    online: dict[int, Features] = {}
    # As the world goes: by time, all keys mixed, each moment's requests before what they bring about.
    by_time = sorted(range(len(rows)), key=lambda i: rows[i].time_us)
    for moment in sorted({row.time_us for row in rows}):
        now = [i for i in by_time if rows[i].time_us == moment]
        online |= {i: store.features(NAMES[rows[i].key], moment, session=rows[i].session) for i in now if rows[i].is_query}
        for i in now:
            if rows[i].is_event:
                store.record(as_event(plan, rows[i]))
    for q, i in enumerate(i for i, row in enumerate(rows) if row.is_query):
        assert as_bytes(online[i]) == [array[q : q + 1].tobytes() for array in batch]
    assert to_table(*_parts(store.snapshot())).equals(to_table(state, NAMES, plan))


def _parts(snapshot: Snapshot) -> tuple[object, ...]:
    return snapshot.state, snapshot.keys, snapshot.plan


@settings(max_examples=100, deadline=None)
@given(plans, logs, logs)
def test_a_store_goes_on_after_save_and_load_as_if_nothing_had_happened(plan: StatePlan, before: list[Row], after: list[Row]) -> None:
    untouched = StateStore(plan)
    for row in before:
        untouched.record(as_event(plan, row))
    restored = StateStore(plan, from_table(to_table(*_parts(untouched.snapshot())), plan))
    for row in after:
        untouched.record(as_event(plan, row))
        restored.record(as_event(plan, row))
    moment = START_US + 10**11
    assert as_bytes(untouched.features_of(NAMES, moment)) == as_bytes(restored.features_of(NAMES, moment))
    assert to_table(*_parts(untouched.snapshot())).equals(to_table(*_parts(restored.snapshot())))


def filled(plan: StatePlan, keys: range) -> StateStore:
    store = StateStore(plan)
    for n in keys:
        for second in range(n % 7):
            store.record(Event(f"k{n}", START_US + second * 1_000_000, plan.actions[second % 3], item=n + second, session=n % 2))
    return store


def test_equal_states_give_equal_bytes_in_whatever_order_their_keys(tmp_path: Path) -> None:
    snapshot = filled(PLAN, range(100)).snapshot()
    order = np.random.default_rng(5).permutation(len(snapshot.keys))
    save(*_parts(snapshot), tmp_path / "a.parquet")
    save(type(snapshot.state)(*(array[order] for array in snapshot.state)), [snapshot.keys[i] for i in order], PLAN, tmp_path / "b.parquet")
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()
    assert sorted(file.name for file in tmp_path.iterdir()) == ["a.parquet", "b.parquet"]


@pytest.mark.parametrize("plan", PLANS)
def test_the_parts_of_a_folder_are_one_state(tmp_path: Path, plan: StatePlan) -> None:
    for part, keys in enumerate((range(40), range(40, 90), range(0))):
        save(*_parts(filled(plan, keys).snapshot()), tmp_path / f"part-{part}.parquet")
    whole, merged = filled(plan, range(90)), StateStore(plan, load(tmp_path, plan))
    names = [f"k{n}" for n in range(100)]
    assert len(merged) == len(whole) == sum(n % 7 > 0 for n in range(90))
    assert as_bytes(merged.features_of(names, START_US + 9_000_000)) == as_bytes(whole.features_of(names, START_US + 9_000_000))


def test_keys_without_an_event_are_not_saved() -> None:
    assert to_table(empty(PLAN, 2), ["a", "b"], PLAN).num_rows == 0


def test_a_state_of_another_plan_is_refused(tmp_path: Path) -> None:
    save(*_parts(filled(PLAN, range(9)).snapshot()), tmp_path / "part-0.parquet")
    longer = replace(PLAN, history_length=50)
    with pytest.raises(InputError, match=r"part-0.parquet was made with another plan \(history_length: expected 50, found 3\)"):
        load(tmp_path, longer)
    with pytest.raises(InputError, match="history_length: expected 50, found 3"):
        StateStore(longer, load(tmp_path))
    save(*_parts(filled(longer, range(9, 12)).snapshot()), tmp_path / "part-1.parquet")
    with pytest.raises(InputError, match=r"part-1.parquet was made with another plan"):
        load(tmp_path)


def test_a_key_in_two_parts_is_refused(tmp_path: Path) -> None:
    for part in (0, 1):
        save(*_parts(filled(PLAN, range(2)).snapshot()), tmp_path / f"part-{part}.parquet")
    with pytest.raises(InputError, match="'k1' stands twice"):
        load(tmp_path)


def test_files_that_are_no_feature_state_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"found no \*.parquet"):
        load(tmp_path)
    with pytest.raises(InputError, match=r"absent.parquet, but it can't be read"):
        load(tmp_path / "absent.parquet")
    part = tmp_path / "part-0.parquet"
    save(*_parts(filled(PLAN, range(9)).snapshot()), part)
    part.write_bytes(part.read_bytes()[:-100])
    with pytest.raises(InputError, match=r"part-0.parquet, but it can't be read"):
        load(tmp_path)
    pq.write_table(pa.table({"key": ["a"]}), part)
    with pytest.raises(InputError, match="another kind of Parquet file"):
        load(tmp_path)


def test_as_many_names_as_rows_are_asked_for() -> None:
    with pytest.raises(InputError, match="each of the state's 2 rows, got 1"):
        to_table(empty(PLAN, 2), ["a"], PLAN)


def test_an_unknown_key_has_no_past_and_reading_it_does_not_make_it_known() -> None:
    store = filled(PLAN, range(9))
    known = len(store)
    features = store.features("stranger", START_US)
    assert as_bytes(features) == as_bytes(StateStore(PLAN).features("anyone", START_US))
    assert np.isnan(features.values).sum() == len(PLAN.actions)
    assert np.nansum(features.values) == 0
    assert features.history_len.tolist() == [0]
    assert len(store) == known


def test_many_keys_at_once_read_as_one_by_one() -> None:
    store = filled(PLAN, range(30))
    names = [f"k{n}" for n in (29, 3, 3, 500, 0)]
    together = store.features_of(names, START_US + 5_000_000, session=1)
    for q, name in enumerate(names):
        assert as_bytes(store.features(name, START_US + 5_000_000, session=1)) == [array[q : q + 1].tobytes() for array in together]


def test_a_growing_store_keeps_what_it_knew() -> None:
    store, keys = StateStore(PLAN), 5_000
    for n in range(keys):
        store.record(Event(f"k{n}", START_US, "click", item=n))
        assert np.isnan(store.features("stranger", START_US).values).sum() == len(PLAN.actions)
    features = store.features_of([f"k{n}" for n in range(keys)], START_US + 1)
    assert features.history_item[:, 0].tolist() == list(range(keys))


def test_reading_changes_nothing() -> None:
    store = filled(PLAN, range(9))
    before = to_table(*_parts(store.snapshot()))
    store.features_of(["k1", "k2", "stranger"], START_US + 10**12, session=3)
    assert to_table(*_parts(store.snapshot())).equals(before)


def test_an_action_outside_the_plan_is_refused_before_anything_changes() -> None:
    store = StateStore(PLAN)
    with pytest.raises(InputError, match="'purchase' isn't in the state plan, which counts impression, click, cart"):
        store.record(Event("k", START_US, "purchase"))
    assert len(store) == 0


def test_events_recorded_by_several_threads_are_all_counted() -> None:
    store, per_thread = StateStore(PLAN), 4_000
    work = lambda: [store.record(Event(f"k{n}", START_US, "click")) for n in range(per_thread)]  # noqa: E731
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    totals = store.snapshot().state.totals
    assert totals.shape == (per_thread, len(PLAN.actions))
    assert (totals[:, 1] == 4).all()
