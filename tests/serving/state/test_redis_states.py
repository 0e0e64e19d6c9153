"""What is Redis's alone: round trips, keys and their end, writers in other processes, and loading the pipeline's artifact."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from components.contract.errors import InputError
from components.state.reducer import Features
from components.state.store import Event
from serving.state import folder
from serving.state.codes import ItemCodes
from serving.state.memory import MemoryStates
from serving.state.redis import MARK_TTL_S, RedisStates
from serving.state.seam import Plans
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
    write = store._write
    store._write = lambda **call: (write(**call), write(**call))[1]  # type: ignore[assignment]
    assert store.record(click("u", 0))
    assert store.record(click("u", 1))
    assert by_name(PLANS.users, store.known("u", [], START_US).user)["total_click"] == [2]


WRITER = """
import sys
import redis
from serving.state.codes import ItemCodes
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
    folder.save(there.snapshot(), tmp_path / "state")
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
    folder.save(filled(ItemCodes(ITEMS)).snapshot(), tmp_path / "state")
    store = made(redis_kind)
    store.load(tmp_path / "state")
    store.record(click("u0", 1000))
    live = store.known("u0", [], START_US + 1001 * SECOND).user
    assert store.load(tmp_path / "state") == 0
    assert same(store.known("u0", [], START_US + 1001 * SECOND).user, live)


def test_a_folder_of_another_plan_is_refused(redis_kind: Kind, tmp_path: Path) -> None:
    emptied(redis_kind)
    folder.save(filled(ItemCodes(ITEMS)).snapshot(), tmp_path / "state")
    longer = replace(PLANS, users=replace(PLANS.users, history_length=9))
    with pytest.raises(InputError, match="history_length: expected 9, found 3"):
        made(redis_kind, longer).load(tmp_path / "state")
    assert not np.any(made(redis_kind, longer).known("u0", [], START_US).user.history_len)
