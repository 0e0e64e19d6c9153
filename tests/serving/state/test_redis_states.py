"""What is Redis's alone: round trips, keys and their end, writers in other processes, and loading the pipeline's artifact."""

import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import redis

from components.contract.errors import InputError, StateUnavailable
from components.state.reducer import Features
from components.state.store import Event
from serving.state import snapshot
from serving.state.interface import Change, Plans
from serving.state.item_codes import ItemCodes
from serving.state.marks import MARK_TTL_S
from serving.state.memory import MemoryStates
from serving.state.redis import RedisStates
from serving.state.shards import Call
from serving.state.tombstones import RETENTION_S
from tests.components.state.random_logs import START_US
from tests.serving.state.kinds import ITEMS, PLANS, TTL_S, Kind
from tests.serving.state.test_store_behaviour import SECOND, as_bytes, by_name, change, click

ROOT = Path(__file__).resolve().parents[3]


def made(kind: Kind, plans: Plans = PLANS, codes: ItemCodes | None = None, *, shop: str = "shop") -> RedisStates:
    assert kind.client is not None
    return RedisStates(kind.client, shop=shop, plans=plans, codes=ItemCodes(ITEMS) if codes is None else codes, ttl_s=TTL_S)


def emptied(kind: Kind) -> None:
    assert kind.client is not None
    kind.client.flushall()


def commands(kind: Kind) -> int:
    assert kind.client is not None
    return int(kind.client.info("stats")["total_commands_processed"])  # type: ignore[index]


def test_a_request_is_one_round_trip_whatever_its_length(redis_kind: Kind) -> None:
    emptied(redis_kind)
    store = made(redis_kind)
    before = commands(redis_kind)
    store.known("u", [f"i{n}" for n in range(500)], START_US)
    assert commands(redis_kind) - before == 2  # MGET, and the question itself


def test_a_change_is_read_and_written_in_two_round_trips(redis_kind: Kind) -> None:
    emptied(redis_kind)
    store = made(redis_kind)
    store.record(click("u", 0))  # the script is now known
    calls = lambda: redis_kind.client.info("commandstats")  # type: ignore[union-attr]  # noqa: E731
    before = {name: calls()[name]["calls"] for name in ("cmdstat_mget", "cmdstat_evalsha")}
    store.record(click("u", 1))
    after = {name: calls()[name]["calls"] for name in ("cmdstat_mget", "cmdstat_evalsha")}
    assert {name: after[name] - before[name] for name in before} == {"cmdstat_mget": 1, "cmdstat_evalsha": 1}


def test_every_key_ends(redis_kind: Kind) -> None:
    emptied(redis_kind)
    store = made(redis_kind)
    store.record(click("u", 0))
    assert redis_kind.client is not None
    left = sorted(redis_kind.client.ttl(key) for key in redis_kind.client.scan_iter())
    wanted = [TTL_S, TTL_S, MARK_TTL_S]  # user, item and the change's mark
    assert all(whole - 5 <= seconds <= whole for seconds, whole in zip(left, wanted, strict=True))


@pytest.mark.parametrize(
    ("plans", "shop"),
    [(PLANS, "other"), (replace(PLANS, users=replace(PLANS.users, history_length=4)), "shop")],
    ids=["another shop", "another plan"],
)
def test_another_shop_or_plan_neither_sees_nor_touches_what_is_there(redis_kind: Kind, plans: Plans, shop: str) -> None:
    emptied(redis_kind)
    store, other = made(redis_kind), made(redis_kind, plans, shop=shop)
    store.record(click("u", 0))
    assert by_name(plans.users, other.known("u", [], START_US).user)["total_click"] == [0]
    other.record(click("u", 0))
    other.record(click("u", 1))
    assert by_name(PLANS.users, store.known("u", [], START_US).user)["total_click"] == [1]


def test_a_history_is_read_by_a_service_that_numbers_its_items_otherwise(redis_kind: Kind) -> None:
    emptied(redis_kind)
    writing, reading = ItemCodes(["i0", "i1", "new"]), ItemCodes(["other", "i1"])
    made(redis_kind, codes=writing).record(change(*(Event("u", START_US, "click", code) for code in (2, 1, -1))))
    known = made(redis_kind, codes=reading).known("u", [], START_US)
    assert [reading.name(code) for code in known.user.history_item[0].tolist()] == ["new", "i1", ""]


def test_a_call_that_is_repeated_after_its_answer_was_lost_counts_once(redis_kind: Kind) -> None:
    """redis-py repeats a call whose connection broke; the first may have been carried out."""
    emptied(redis_kind)
    store = made(redis_kind)
    run = store._shards.run

    def repeated(calls: Sequence[Call]) -> list[Any]:
        run(calls)
        other.record(click("u", 5))  # of another writer, in between
        return run(calls)

    other = made(redis_kind)
    store._shards.run = repeated  # type: ignore[method-assign]
    assert store.record(click("u", 0))
    assert store.record(click("u", 1))
    assert by_name(PLANS.users, store.known("u", [], START_US).user)["total_click"] == [4]


WRITER = """
import sys
import redis
from serving.state.item_codes import ItemCodes
from tests.serving.state.kinds import PLANS
from tests.serving.state.test_redis_states import RedisStates, TTL_S
from tests.serving.state.test_store_behaviour import click
store = RedisStates(redis.Redis(port=int(sys.argv[1])), shop="shop", plans=PLANS, codes=ItemCodes(["i0"]), ttl_s=TTL_S)
for n in range(60):
    store.record(click("u", n))
"""


def test_writers_in_other_processes_lose_no_event(redis_kind: Kind) -> None:
    emptied(redis_kind)
    assert redis_kind.client is not None
    assert isinstance(redis_kind.client, redis.Redis)
    port = str(redis_kind.client.connection_pool.connection_kwargs["port"])
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, port], cwd=ROOT) for _ in range(3)]
    assert [writer.wait(timeout=120) for writer in writers] == [0, 0, 0]
    known = made(redis_kind, codes=ItemCodes(ITEMS)).known("u", ["i0"], START_US)
    assert known.items is not None
    assert by_name(PLANS.users, known.user)["total_click"] == [180]
    assert by_name(PLANS.items or PLANS.users, known.items)["total_click"] == [180]


def filled(codes: ItemCodes) -> MemoryStates:
    store = MemoryStates(PLANS, codes)
    for n in range(300):
        store.record(click(f"u{n % 90}", n, item=n % 7))
    return store


def same(one: Features, other: Features) -> bool:
    return as_bytes(one) == as_bytes(other)


def test_a_loaded_artifact_is_known_and_progress_is_told(redis_kind: Kind, tmp_path: Path) -> None:
    emptied(redis_kind)
    codes = ItemCodes(ITEMS)
    there = filled(codes)
    snapshot.save(there.snapshot(), tmp_path / "state")
    loaded, told = made(redis_kind, codes=codes), list[tuple[int, int]]()
    assert loaded.load(tmp_path / "state", progress=lambda done, total: told.append((done, total))) == 97
    assert told == [(90, 97), (97, 97)]
    moment = START_US + 400 * SECOND
    items = [f"i{n}" for n in range(8)]
    for user in (*(f"u{n}" for n in range(90)), "stranger"):
        one, other = loaded.known(user, items, moment), there.known(user, items, moment)
        assert same(one.user, other.user)
        assert one.items is not None
        assert other.items is not None
        assert same(one.items, other.items)


def test_loading_leaves_what_live_events_have_written(redis_kind: Kind, tmp_path: Path) -> None:
    emptied(redis_kind)
    snapshot.save(filled(ItemCodes(ITEMS)).snapshot(), tmp_path / "state")
    store = made(redis_kind)
    store.load(tmp_path / "state")
    store.record(click("u0", 1000))
    live = store.known("u0", [], START_US + 1001 * SECOND).user
    assert store.load(tmp_path / "state") == 0
    assert same(store.known("u0", [], START_US + 1001 * SECOND).user, live)


def test_a_folder_of_another_plan_is_refused(redis_kind: Kind, tmp_path: Path) -> None:
    emptied(redis_kind)
    snapshot.save(filled(ItemCodes(ITEMS)).snapshot(), tmp_path / "state")
    longer = replace(PLANS, users=replace(PLANS.users, history_length=9))
    with pytest.raises(InputError, match="history_length: expected 9, found 3"):
        made(redis_kind, longer).load(tmp_path / "state")
    assert not np.any(made(redis_kind, longer).known("u0", [], START_US).user.history_len)


def clicks_of(store: RedisStates, user: str) -> float:
    return by_name(PLANS.users, store.known(user, [], START_US).user)["total_click"][0]


def of_item(store: RedisStates, item: str) -> float:
    items = store.known("", [item], START_US).items
    assert items is not None
    return by_name(PLANS.items or PLANS.users, items)["total_click"][0]


@pytest.mark.parametrize("events", [1, 1_000])
def test_a_calls_events_are_two_round_trips_whatever_their_number(redis_kind: Kind, events: int) -> None:
    emptied(redis_kind)
    assert isinstance(redis_kind.client, redis.Redis)
    to = int(redis_kind.client.connection_pool.connection_kwargs["port"])
    taken_out = 0

    class Counting(redis.ConnectionPool):
        """Whoever asks takes a connection out, sends all that he asks, and waits for all answers."""

        def get_connection(self, *args: Any, **options: Any) -> Any:
            nonlocal taken_out
            taken_out += 1
            return super().get_connection(*args, **options)

    with redis.Redis(connection_pool=Counting(port=to)) as client:
        store = RedisStates(client, shop="shop", plans=PLANS, codes=ItemCodes(ITEMS), ttl_s=TTL_S)
        store.record(click("warm", 0))  # the script is known
        taken_out = 0
        taken = store.record_all([click(f"u{n % 300}", n, item=n % 7) for n in range(events)])
        assert taken_out == 2
    assert taken.counted == (True,) * events
    store = made(redis_kind)
    assert sum(clicks_of(store, f"u{n}") for n in range(300)) == events
    assert sum(of_item(store, f"i{n}") for n in range(7)) == events + 1


def test_many_changes_at_once_are_what_they_are_one_by_one(remote_kind: Kind) -> None:
    """Lists that share items, repetitions within the call, and a mark that comes again after its span."""
    draw = np.random.default_rng(3)
    log = []
    for n in range(120):
        items = tuple(Event(f"i{item}", START_US + n * SECOND, "click") for item in draw.choice(7, 3, replace=False))
        mark = int(draw.integers(60))
        user = Event(f"u{mark % 9}", START_US + n * SECOND, "click", int(draw.integers(7)))
        log.append(Change(mark.to_bytes(16), (user,) if mark % 10 else (), items, START_US + n * SECOND, 30 * SECOND))
    emptied(remote_kind)
    one_by_one, codes = MemoryStates(PLANS, ItemCodes(ITEMS)), ItemCodes(ITEMS)
    counted = tuple(one_by_one.record(change) for change in log)
    assert {True, False} == set(counted)
    store = made(remote_kind, codes=codes)
    assert store.record_all(log).counted == counted
    assert store.record_all(log[-9:]).counted == (False,) * 9
    for n in range(9):
        one, other = (each.known(f"u{n}", list(ITEMS), START_US + 200 * SECOND) for each in (store, one_by_one))
        assert same(one.user, other.user)
        assert one.items is not None
        assert other.items is not None
        assert same(one.items, other.items)


def test_what_comes_too_late_is_not_set_though_it_reaches_redis(redis_kind: Kind) -> None:
    """The service has given the call up, and said so; a server that was paused meanwhile works off what it was sent."""
    emptied(redis_kind)
    store = made(redis_kind)
    run = store._shards.run

    def late(calls: Sequence[Call]) -> list[Any]:
        time.sleep(0.3)
        return run(calls)

    store._shards.run = late  # type: ignore[method-assign]
    with pytest.raises(StateUnavailable, match="in time; send them again"):
        store.record_all([click("u", 0)], until_s=time.monotonic() + 0.1)
    store._shards.run = run  # type: ignore[method-assign]
    assert redis_kind.client is not None
    assert list(redis_kind.client.scan_iter()) == []
    assert store.record_all([click("u", 0)], until_s=time.monotonic() + 60).counted == (True,)


def test_what_the_log_refuses_is_taken_back_unless_somebody_has_built_on_it(remote_kind: Kind) -> None:
    emptied(remote_kind)
    store = made(remote_kind)
    store.record(click("u", 0))
    before = as_bytes(store.known("u", ["i0"], START_US).user)
    call = [click("u", 1), click("v", 1), click("u", 2)]
    store.record_all(call).undo()
    assert as_bytes(store.known("u", ["i0"], START_US).user) == before
    assert (clicks_of(store, "v"), of_item(store, "i0")) == (0, 1)
    taken = store.record_all(call)
    assert taken.counted == (True, True, True)  # their marks are gone too
    store.record(click("u", 3))
    store.record(click("v", 3))
    taken.undo()
    assert (clicks_of(store, "u"), clicks_of(store, "v")) == (4, 2)
    assert store.record_all(call).counted == (False, False, False)


def test_no_load_brings_back_who_was_forgotten_and_what_comes_later_counts(remote_kind: Kind, tmp_path: Path) -> None:
    emptied(remote_kind)
    snapshot.save(filled(ItemCodes(ITEMS)).snapshot(), tmp_path / "state")
    store, second = made(remote_kind), made(remote_kind)
    store.load(tmp_path / "state")
    assert clicks_of(store, "u0") > 0
    store.forget("u0", time_us=START_US + 500 * SECOND)
    assert second.load(tmp_path / "state") == 0
    assert clicks_of(second, "u0") == 0
    assert clicks_of(second, "u1") > 0
    second.record(click("u0", 499))  # was on its way
    assert clicks_of(second, "u0") == 0
    second.record(click("u0", 501))
    second.load(tmp_path / "state")
    assert clicks_of(store, "u0") == 1


def test_who_is_forgotten_is_so_under_every_plan_that_a_service_keeps_there(redis_kind: Kind) -> None:
    emptied(redis_kind)
    longer = replace(PLANS, users=replace(PLANS.users, history_length=4))
    before, after = made(redis_kind), made(redis_kind, longer)
    for store in (before, after):
        store.announce()
        store.record(click("u", 0))
    after.forget("u")
    assert clicks_of(before, "u") == 0
    assert redis_kind.client is not None
    assert [key for key in redis_kind.client.scan_iter() if key.endswith(b"}u")] == []


def test_a_change_under_way_does_not_bring_back_who_is_forgotten_meanwhile(remote_kind: Kind) -> None:
    emptied(remote_kind)
    store, other = made(remote_kind), made(remote_kind)
    store.record(click("u", 0))
    run = store._shards.run

    def after_forgetting(calls: Sequence[Call]) -> list[Any]:
        store._shards.run = run  # type: ignore[method-assign]
        for name in ("u", "new"):
            other.forget(name, time_us=START_US + 9 * SECOND)
        return run(calls)

    store._shards.run = after_forgetting  # type: ignore[method-assign]
    store.record_all([click("u", 1), click("new", 1), click("u", 10)])
    assert (clicks_of(store, "u"), clicks_of(store, "new"), of_item(store, "i0")) == (1, 0, 4)


def test_a_tombstone_ends(redis_kind: Kind) -> None:
    emptied(redis_kind)
    made(redis_kind).forget("u")
    assert redis_kind.client is not None
    (left,) = (redis_kind.client.ttl(key) for key in redis_kind.client.scan_iter())
    assert RETENTION_S - 5 <= left <= RETENTION_S


def test_a_large_call_gets_through_beside_writers_of_the_same_items(redis_kind: Kind) -> None:
    emptied(redis_kind)
    assert isinstance(redis_kind.client, redis.Redis)
    port = str(redis_kind.client.connection_pool.connection_kwargs["port"])
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, port], cwd=ROOT) for _ in range(2)]
    store = made(redis_kind)
    shown = [
        change(Event(f"s{n}", START_US, "impression", -1, 7), items=tuple(Event(item, START_US, "impression") for item in ITEMS))
        for n in range(200)
    ]
    assert store.record_all(shown, until_s=time.monotonic() + 60).counted == (True,) * 200
    assert [writer.wait(timeout=120) for writer in writers] == [0, 0]
    known = store.known("", ["i0"], START_US).items
    assert known is not None
    assert [by_name(PLANS.items or PLANS.users, known)[name] for name in ("total_impression", "total_click")] == [[200], [120]]


def test_a_store_that_is_gone_is_an_outage_and_a_fault_of_ours_is_not(redis_kind: Kind) -> None:
    assert redis_kind.client is not None
    store = RedisStates(redis.Redis(port=1, retry=None), shop="s", plans=PLANS, codes=ItemCodes(ITEMS), ttl_s=TTL_S)
    with pytest.raises(StateUnavailable, match="gave no answer"):
        store.known("u", [], START_US)
    with pytest.raises(AttributeError):
        made(redis_kind).known(None, [], START_US)  # type: ignore[arg-type]
