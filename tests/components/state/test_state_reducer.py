"""The reducer against plain Python: what is known at a moment comes from the events before it, and from nothing else."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components.contract.errors import InputError
from components.state.jit import compiled
from components.state.plan import StatePlan
from components.state.reducer import Features, State, blank, empty, rules
from components.state.replay import advance, replay, replay_rows
from tests.components.state.random_logs import KEYS, MOMENTS, PLANS, ROWS, START_US, Row, StepByStep, columns, from_whole_past, in_order

ROOT = Path(__file__).parents[3]
SECOND = 1_000_000
plans = st.sampled_from(PLANS)
logs = st.lists(ROWS, max_size=40).map(in_order)


def all_digits(plan: StatePlan, rows: list[Row]) -> tuple[State, Features]:
    """A replay whose values are float64."""
    queries = sum(row.is_query for row in rows)
    features = blank(plan, queries)._replace(values=np.zeros((queries, plan.width)))
    state = empty(plan, KEYS)
    replay_rows(state, columns(rows), rules(plan), features)
    return state, features


def history(features: Features, q: int) -> list[tuple[int, int, float]]:
    length = features.history_len[q]
    assert not features.history_item[q, length:].any()
    return list(
        zip(
            features.history_item[q, :length].tolist(),
            features.history_action[q, :length].tolist(),
            features.history_age_s[q, :length].tolist(),
            strict=True,
        )
    )


@settings(max_examples=300, deadline=None)
@given(plans, logs)
def test_each_query_knows_exactly_the_events_strictly_before_it(plan: StatePlan, rows: list[Row]) -> None:
    _, features = all_digits(plan, rows)
    queries = [row for row in rows if row.is_query]
    assert len(features.values) == len(queries)
    for q, query in enumerate(queries):
        past = [row for row in rows if row.is_event and row.key == query.key and row.time_us < query.time_us]
        known = from_whole_past(plan, past, query.time_us, query.session)
        np.testing.assert_allclose(features.values[q, : len(known.counts)], known.counts, rtol=1e-9, atol=1e-300)
        np.testing.assert_array_equal(features.values[q, len(known.counts) :], known.vector()[len(known.counts) :])
        assert history(features, q) == [(item, action, float(np.float32(age))) for item, action, age in known.history]


@settings(max_examples=300, deadline=None)
@given(plans, logs)
def test_compiled_code_does_the_same_float_operations_as_plain_python(plan: StatePlan, rows: list[Row]) -> None:
    _, features = all_digits(plan, rows)
    expected = []
    for key, time_us in sorted({(row.key, row.time_us) for row in rows}):
        known = StepByStep(plan)
        for row in rows:
            if row.is_event and row.key == key and row.time_us < time_us:
                known.take(row)
        expected += [known.at(time_us, row.session).vector() for row in rows if row.is_query and (row.key, row.time_us) == (key, time_us)]
    assert features.values.tobytes() == np.array(expected, np.float64).reshape(features.values.shape).tobytes()


@settings(max_examples=200, deadline=None)
@given(plans, st.lists(ROWS, max_size=30), MOMENTS)
def test_events_that_arrive_late_are_taken_in_as_documented(plan: StatePlan, rows: list[Row], moment: int) -> None:
    state, known, features = empty(plan, 1), StepByStep(plan), blank(plan, 1)
    features = features._replace(values=np.zeros((1, plan.width)))
    for row in rows:
        advance(state, 0, row.time_us, row.action, row.item, row.weight, row.session, rules(plan))
        known.take(row)
    query = columns([Row(0, moment, 0, 0, 0, 5, is_event=False, is_query=True)])
    replay_rows(state, query, rules(plan), features)
    expected = known.at(moment, 5)
    assert features.values.tobytes() == np.array([expected.vector()], np.float64).tobytes()
    assert history(features, 0) == [(item, action, float(np.float32(age))) for item, action, age in expected.history]
    now = max([moment, *(row.time_us for row in rows)])
    whole = from_whole_past(plan, sorted(rows, key=lambda row: row.time_us), now, 5)
    np.testing.assert_allclose(features.values[0, : len(whole.counts)], whole.counts, rtol=1e-9, atol=1e-300)
    np.testing.assert_array_equal(features.values[0, len(whole.counts) : -2], [*whole.recencies, *whole.totals])


@settings(max_examples=200, deadline=None)
@given(plans, logs, logs, MOMENTS, st.sampled_from([0, 5]))
def test_nothing_at_or_after_a_query_and_no_other_key_changes_it(
    plan: StatePlan, rows: list[Row], others: list[Row], moment: int, session: int
) -> None:
    past = [row for row in rows if row.key == 1 and row.time_us < moment]
    query = Row(1, moment, 0, 0, 0, session, is_event=False, is_query=True)

    def known(rest: list[Row]) -> bytes:
        log = in_order([*past, query, *(row for row in rest if row.key != 1 or row.time_us >= moment)])
        q = [row for row in log if row.is_query].index(query)
        return b"".join(array[q].tobytes() for array in replay(plan, empty(plan, KEYS), columns(log)))

    assert known(rows) == known(others) == known([])


@settings(max_examples=100, deadline=None)
@given(plans, logs, MOMENTS)
def test_a_log_replayed_in_two_parts_ends_like_one(plan: StatePlan, rows: list[Row], boundary: int) -> None:
    whole, parts = empty(plan, KEYS), empty(plan, KEYS)
    features = replay(plan, whole, columns(rows))
    first = replay(plan, parts, columns([row for row in rows if row.time_us < boundary]))
    second = replay(plan, parts, columns([row for row in rows if row.time_us >= boundary]))
    assert [array.tobytes() for array in whole] == [array.tobytes() for array in parts]
    assert len(features.values) == len(first.values) + len(second.values)


@settings(max_examples=100, deadline=None)
@given(plans, logs)
def test_float32_features_are_the_float64_ones_rounded_once(plan: StatePlan, rows: list[Row]) -> None:
    _, exact = all_digits(plan, rows)
    assert replay(plan, empty(plan, KEYS), columns(rows)).values.tobytes() == exact.values.astype(np.float32).tobytes()


def event(time_s: float, action: int, *, item: int = 0, weight: int = 1, session: int = 0) -> Row:
    return Row(0, START_US + round(time_s * SECOND), action, item, weight, session, is_event=True, is_query=False)


def query(time_s: float, *, session: int = 0) -> Row:
    return Row(0, START_US + round(time_s * SECOND), 0, 0, 0, session, is_event=False, is_query=True)


def test_a_count_halves_with_each_half_life() -> None:
    plan = StatePlan(("impression", "click"), (10.0, 20.0), (), 0, 1_800 * SECOND)
    log = [event(0, 1), query(0), event(10, 1, weight=3), query(20), event(20, 0, weight=25), query(30)]
    values = replay(plan, empty(plan, 1), columns(in_order(log))).values
    # of impression by 10 s and 20 s, of click by 10 s and 20 s
    np.testing.assert_array_equal(values[0, :4], [0, 0, 0, 0])
    np.testing.assert_allclose(values[1, :4], [0, 0, 1 / 4 + 3 / 2, 1 / 2 + 3 / np.sqrt(2)], rtol=1e-7)
    np.testing.assert_allclose(values[2, :4], [25 / 2, 25 / np.sqrt(2), 1 / 8 + 3 / 4, 2**-1.5 + 3 / 2], rtol=1e-7)
    np.testing.assert_array_equal(values[2, 4:8], [10, 20, 25, 4])  # recencies, totals


def test_a_session_ends_after_a_pause_longer_than_the_gap_or_where_another_is_named() -> None:
    plan = StatePlan(("click",), (), (), 0, 10 * SECOND)
    log = [event(0, 0), event(10, 0), query(20), query(20.000001), event(20.5, 0, session=7), event(21, 0), query(22), query(22, session=7)]
    log += [query(22, session=8), event(23, 0, session=8), query(24)]
    session = replay(plan, empty(plan, 1), columns(log)).values[:, -2:]
    np.testing.assert_array_equal(session, [[2, 20], [0, 0], [2, 1.5], [2, 1.5], [0, 0], [1, 1]])


def test_history_never_contains_the_event_of_its_own_moment() -> None:
    plan = PLANS[0]
    clicks = [event(second, 1, item=second)._replace(is_query=True) for second in range(5)]
    features = replay(plan, empty(plan, 1), columns(clicks))
    assert [[item for item, _, _ in history(features, q)] for q in range(5)] == [[], [0], [0, 1], [0, 1, 2], [1, 2, 3]]
    assert features.history_age_s[4].tolist() == [3, 2, 1]


def test_what_is_stamped_early_happened_then_or_with_what_its_key_knew_already() -> None:
    """By hand: taken in at 5 s and stamped 3 s, read at 13 s; what its key knew by then goes to 2 s, to 4 s, or to 5 s."""
    plan = StatePlan(("impression", "click"), (10.0,), ("click",), 1, 1_800 * SECOND)
    early = event(5, 1)._replace(early_us=2 * SECOND)
    for known_s, happened_s in ((2, 3), (4, 4), (5, 5)):
        log = [event(known_s, 0), early, query(5), query(13)]
        features = replay(plan, empty(plan, 1), columns(in_order(log)))
        np.testing.assert_array_equal(features.history_len, [0, 1])
        assert features.history_age_s[1].tolist() == [13 - happened_s]
        np.testing.assert_allclose(features.values[1, 1], 2 ** (-(13 - happened_s) / 10), rtol=1e-7)


def test_rows_out_of_order_are_refused_and_leave_the_state_untouched() -> None:
    plan = PLANS[0]
    for log in ([event(1, 1), event(2, 1), event(0, 1)], [event(1, 1), event(2, 1)._replace(key=1), event(3, 1)]):
        state = empty(plan, 2)
        with pytest.raises(InputError, match="sorted by key and time, but row 2 has"):
            replay(plan, state, columns(log))
        assert [array.tobytes() for array in state] == [array.tobytes() for array in empty(plan, 2)]


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"keys": np.array([0, 3])}, "keys from 0 to 2, got 0 to 3"),
        ({"keys": np.array([-1, 0])}, "keys from 0 to 2, got -1 to 0"),
        ({"actions": np.array([0, 300])}, "actions from 0 to 2, got 0 to 300"),
        ({"actions": np.array([0, -1])}, "actions from 0 to 2, got -1 to 0"),
        ({"items": np.zeros(3, np.int64)}, r"keys has 2 rows and items has the shape \(3,\)"),
        ({"weights": np.array([1.0, 0.5])}, "weights as int64, got float64"),
        ({"times_us": np.array([0.0, 1.0])}, "times_us as int64, got float64"),
        ({"stamps_us": np.array([0, START_US + 2 * SECOND + 1])}, "stamps no later than the moment of their row, but row 1 has"),
    ],
)
def test_columns_that_do_not_fit_are_refused(change: dict[str, np.ndarray], complaint: str) -> None:
    with pytest.raises(InputError, match=complaint):
        replay(PLANS[0], empty(PLANS[0], KEYS), columns([event(0, 1), event(1, 2)])._replace(**change))


def test_a_query_alone_needs_no_action() -> None:
    features = replay(PLANS[0], empty(PLANS[0], 1), columns([query(0)._replace(action=-1)]))
    assert features.values[0].tolist()[-2:] == [0, 0]


FINGERPRINT = """
import hashlib, sys
import numpy as np
from components.state.plan import StatePlan
from components.state.reducer import LogRows, empty
from components.state.replay import replay, replay_rows
def fingerprint():
    plan = StatePlan(("impression", "click"), (60.0, 3600.0), ("click",), 5, 1_800_000_000)
    rng, rows = np.random.default_rng(7), 2_000
    log = LogRows(keys=np.sort(rng.integers(0, 20, rows)), times_us=np.arange(rows) * 7_777_777, stamps_us=np.arange(rows) * 7_777_777,
                      actions=rng.integers(0, 2, rows), items=rng.integers(0, 99, rows), weights=rng.integers(1, 9, rows),
                      sessions=rng.integers(0, 2, rows), is_event=np.ones(rows, bool), is_query=np.ones(rows, bool))
    features = replay(plan, empty(plan, 20), log)
    return hashlib.sha256(b"".join(array.tobytes() for array in features)).hexdigest()
"""


def test_cached_machine_code_gives_the_same_bytes_as_freshly_compiled(tmp_path: Path) -> None:
    script = FINGERPRINT + "print(fingerprint(), sum(replay_rows.stats.cache_hits.values()))"
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path), "PYTHONPATH": str(ROOT)}
    run = lambda: subprocess.run([sys.executable, "-c", script], env=environment, check=True, capture_output=True, text=True).stdout.split()  # noqa: E731
    fresh, cached = run(), run()
    here: dict[str, object] = {}
    exec(FINGERPRINT, here)
    assert (fresh[1], cached[1]) == ("0", "1")
    assert fresh[0] == cached[0] == here["fingerprint"]()  # type: ignore[operator]
    assert fresh[0] != hashlib.sha256(b"").hexdigest()


def test_a_function_whose_cache_can_be_written_nowhere_is_compiled_all_the_same() -> None:
    nowhere: dict[str, object] = {}
    exec(compile("def doubled(x): return 2 * x", "<nowhere>", "exec"), nowhere)
    assert compiled(nowhere["doubled"])(21) == 42  # type: ignore[type-var, operator]
