"""A stream's batches change the state as one event after the other would, whatever is cut off, repeated, or shared."""

from collections.abc import Container

import numpy as np
import pytest
import redis

from components.contract.errors import StateUnavailable
from components.state.keys import session_hash
from components.state.reducer import State
from components.state.store import Event, StateStore
from serving.state.interface import plans_of
from serving.state.item_codes import NO_ITEM, ItemCodes
from serving.state.partitions import partitioned
from serving.state.redis import RedisStates, side_of
from serving.state.shards import Shards
from serving.state.values import decoded
from serving.stream.state.decisions import COUNTED, FORGOTTEN, LATE, REPEATED
from serving.stream.state.event_batch import event_batch
from serving.stream.state.positions import Position
from serving.stream.state.side_writer import Lifetimes, Origin
from serving.stream.state.stream_state import PositionMoved, StreamState
from tests.serving.stream.shop import BEGIN_US, CLICK, IMPRESSION, Row, drawn, events, shop

GAP_S = 1800


def opened(client: "redis.Redis | redis.RedisCluster") -> StreamState:
    lifetimes = Lifetimes(ttl_s=10**6, ids_ttl_s=10**6, window_us=7_200_000_000)
    return StreamState(client, shop="stream_shop", plans=plans_of(shop()), codes=ItemCodes(), gap_s=GAP_S, lifetimes=lifetimes)


def send(state: StreamState, parts: dict[str, tuple[int, list[Row]]], *, late: Container[int] = frozenset()) -> dict[str, list[int]]:
    """Apply a batch of rows by partition, from an offset on; return what became of each."""
    rows = [row for _, some in parts.values() for row in some]
    index = [at for at, (_, some) in enumerate(parts.values()) for _ in some]
    offsets = [begin + at for begin, some in parts.values() for at in range(len(some))]
    for name, (begin, _) in parts.items():
        state.begin(name, begin)
    origin = Origin(
        partitions=list(parts),
        begins=[begin for begin, _ in parts.values()],
        ends=[Position(begin + len(some), max((row[0] for row in some), default=-1)) for begin, some in parts.values()],
        again_from=[begin for begin, _ in parts.values()],
        index=np.array(index, np.int64),
        offsets=np.array(offsets, np.int64),
        late=np.array([at in late for at in range(len(rows))], np.bool_),
    )
    outcome = state.apply(event_batch(events(rows), shop(), state.codes), origin)
    return {name: outcome[np.array(index) == at].tolist() for at, name in enumerate(parts)}


def one_after_the_other(rows: list[Row]) -> tuple[StateStore, StateStore, ItemCodes]:
    """The state that events leave, each taken alone, lists as one event of their number as weight."""
    dataset, codes = shop(), ItemCodes()
    plans = plans_of(dataset)
    assert plans.items is not None
    users, items, names = StateStore(plans.users), StateStore(plans.items), list(dataset.actions)
    seen: dict[tuple[object, ...], int] = {}
    at = 0
    while at < len(rows):
        time_us, user, _, action, _, session = rows[at]
        end = at + 1
        while action == IMPRESSION and end < len(rows) and (rows[end][:2], rows[end][3:]) == (rows[at][:2], rows[at][3:]):
            end += 1
        counted = []
        for row in rows[at:end]:
            content = (row[1], row[2], row[4], row[5]) if action == IMPRESSION else row
            if content not in seen or (action == IMPRESSION and abs(row[0] - seen[content]) > GAP_S * 1_000_000):
                counted.append(row[2])
            seen[content] = max(row[0], seen.get(content, 0))
        if counted and user:
            code = codes.code(counted[0]) if names[action] in plans.users.history_actions else NO_ITEM
            users.record(Event(user, time_us, names[action], code, len(counted), session_hash(session)))
        for item in counted:
            if item and names[action] in plans.items.actions:
                items.record(Event(item, time_us, names[action]))
        at = end
    return users, items, codes


def held(client: "redis.Redis | redis.RedisCluster", names: list[str], side: str, codes: ItemCodes) -> State:
    plans = plans_of(shop())
    plan = plans.users if side == "users" else plans.items
    assert plan is not None
    prefix = side_of("stream_shop", side, plan).prefix
    keys = [prefix + partitioned(name) for name in names]
    values = Shards(client).read(dict(enumerate([key] for key in keys)))
    return decoded(plan, [values[key] for key in keys], codes)


def assert_same(client: "redis.Redis | redis.RedisCluster", rows: list[Row]) -> None:
    users, items, codes = one_after_the_other(rows)
    for store, side in ((users, "users"), (items, "items")):
        expected = store.snapshot()
        now = held(client, list(expected.keys), side, codes)
        for name in State._fields:
            left, right = getattr(now, name), getattr(expected.state, name)
            if name.startswith("history"):
                filled = np.arange(left.shape[1]) < expected.state.written[:, None]
                left, right = left[filled], right[filled]
            np.testing.assert_array_equal(left, right, err_msg=f"{side}: {name}")


def test_a_cluster_is_left_with_the_same(cluster: redis.RedisCluster) -> None:
    test_batches_cut_anywhere_leave_what_single_events_would(cluster, 11)
    keys, used = opened(cluster).size()
    assert keys == sum(1 for _ in cluster.scan_iter())
    assert used > 1_000_000


@pytest.mark.parametrize("seed", range(4))
def test_batches_cut_anywhere_leave_what_single_events_would(client: "redis.Redis | redis.RedisCluster", seed: int) -> None:
    generator = np.random.default_rng(seed)
    rows, state, at = drawn(generator, 400), opened(client), 0
    while at < len(rows):
        end = min(len(rows), at + int(generator.integers(1, 90)))
        send(state, {"t/0": (at, rows[at:end])})
        at = end
    assert_same(client, rows)


class Flaky:
    """A client's pipelines that break before or after they are sent, as a connection does when a process is killed."""

    def __init__(self, client: redis.Redis, generator: np.random.Generator, share: float) -> None:
        self._client, self._generator, self._share = client, generator, share

    def pipeline(self, *, transaction: bool) -> "Flaky.Pipeline":
        return Flaky.Pipeline(self, self._client.pipeline(transaction=transaction))

    def __getattr__(self, name: str) -> object:
        return getattr(self._client, name)

    class Pipeline:
        def __init__(self, owner: "Flaky", pipeline: redis.client.Pipeline) -> None:
            self._owner, self._pipeline = owner, pipeline

        def __enter__(self) -> "Flaky.Pipeline":
            return self

        def __exit__(self, *_: object) -> None:
            self._pipeline.reset()

        def execute_command(self, *words: object) -> None:
            self._pipeline.execute_command(*words)

        def execute(self, *, raise_on_error: bool = True) -> list[object]:
            generator = self._owner._generator
            if generator.random() < self._owner._share:
                # Of a pipeline a part may be carried out.
                self._pipeline.command_stack = self._pipeline.command_stack[
                    : int(generator.integers(len(self._pipeline.command_stack) + 1))
                ]
                if self._pipeline.command_stack:
                    self._pipeline.execute(raise_on_error=False)
                raise redis.ConnectionError("gone")
            return self._pipeline.execute(raise_on_error=raise_on_error)


@pytest.mark.parametrize("seed", range(4))
def test_what_breaks_off_anywhere_is_taken_up_without_loss_or_repetition(client: redis.Redis, seed: int) -> None:
    """Two partitions whose shoppers differ; every process dies in the midst, and the next one reads from the floor."""
    generator = np.random.default_rng([7, seed])
    parts = {
        f"t/{p}": [(r[0], r[1] and f"{r[1]}-{p}", f"{r[2]}-{p}" if r[2] else "", *r[3:]) for r in drawn(generator, 300)] for p in (0, 1)
    }
    broken = 0
    first: dict[tuple[str, int], int] = {}
    while True:
        state = opened(Flaky(client, generator, 0.25))  # type: ignore[arg-type]
        try:
            while True:
                floors = {name: (state.floor(name) or Position(0)).offset for name in parts}
                batch = {}
                for name, rows in parts.items():
                    begin = max(0, floors[name] - int(generator.integers(3)) * 10)  # the log lies behind, at times
                    end = min(len(rows), begin + int(generator.integers(1, 60)))
                    if begin < end:
                        batch[name] = (begin, rows[begin:end])
                if all(floors[name] == len(rows) for name, rows in parts.items()):
                    break
                for name, outcome in send(state, batch).items():
                    for at, became in enumerate(outcome, batch[name][0]):
                        assert first.setdefault((name, at), became) == became, (name, at)
            break
        except StateUnavailable:
            broken += 1
    assert broken > 10
    assert_same(client, [row for rows in parts.values() for row in rows])


def test_a_list_in_two_batches_counts_once_in_its_session(client: redis.Redis) -> None:
    state = opened(client)
    shown = [(BEGIN_US, "u1", f"i{at}", IMPRESSION, "r1", "s") for at in range(4)]
    send(state, {"t/0": (0, shown[:3])})
    send(state, {"t/0": (3, shown[3:])})
    now = held(client, ["u1"], "users", ItemCodes())
    assert (now.session_events.tolist(), now.totals[0].tolist()) == ([1], [0, 4, 0, 0])


def test_repeated_and_late_messages_are_told_apart_also_when_read_again(client: redis.Redis) -> None:
    click, other = (BEGIN_US, "u1", "i1", CLICK, "", "s"), (BEGIN_US - 5, "u1", "i2", CLICK, "", "s")
    for _ in range(2):
        assert send(opened(client), {"t/0": (0, [click, click, other])}, late={2}) == {"t/0": [COUNTED, REPEATED, LATE]}
    assert send(opened(client), {"t/1": (0, [click])}) == {"t/1": [REPEATED]}
    assert held(client, ["u1"], "users", ItemCodes()).totals[0].tolist() == [0, 0, 1, 0]


def test_what_was_before_a_forget_changes_nothing_and_the_ids_are_erased(client: redis.Redis) -> None:
    state = opened(client)
    click = (BEGIN_US, "u1", "i1", CLICK, "", "s")
    send(state, {"t/0": (0, [click])})
    states = RedisStates(client, shop="stream_shop", plans=plans_of(shop()), codes=ItemCodes(), ttl_s=100)
    states.announce()
    states.forget("u1", time_us=BEGIN_US + 10)
    assert not [key for key in client.scan_iter() if b"u1" in key]
    assert send(state, {"t/0": (1, [(BEGIN_US + 5, *click[1:]), (BEGIN_US + 11, *click[1:])])}) == {"t/0": [FORGOTTEN, COUNTED]}
    assert held(client, ["u1"], "users", ItemCodes()).totals[0].tolist() == [0, 0, 1, 0]


def test_another_process_that_writes_the_same_keys_loses_nothing(client: redis.Redis) -> None:
    """A key that changes between reading and writing is computed anew."""
    state, shards = opened(client), Shards.run
    click = (BEGIN_US, "u1", "i1", CLICK, "", "s")
    send(opened(client), {"t/1": (0, [click])})
    intruder = opened(client)

    def late(self: Shards, calls: list[object]) -> list[object]:
        if (done := getattr(late, "done", 0)) < 1:
            late.done = done + 1  # type: ignore[attr-defined]
            send(intruder, {"t/1": (1, [(BEGIN_US + 1, *click[1:])])})
        return shards(self, calls)  # type: ignore[arg-type]

    state._shards.run = late.__get__(state._shards)  # type: ignore[method-assign,attr-defined]
    send(state, {"t/0": (0, [(BEGIN_US + 2, *click[1:])])})
    assert held(client, ["u1"], "users", ItemCodes()).totals[0].tolist() == [0, 0, 3, 0]
    assert held(client, ["i1"], "items", ItemCodes()).totals[0].sum() == 3


def test_a_store_that_lost_its_last_writes_is_read_into_again(client: redis.Redis) -> None:
    state = opened(client)
    click = (BEGIN_US, "u1", "i1", CLICK, "", "s")
    send(state, {"t/0": (0, [click])})
    before = {key: client.dump(key) for key in client.scan_iter()}
    send(state, {"t/0": (1, [(BEGIN_US + 1, *click[1:])])})
    client.flushall()
    for key, value in before.items():
        client.restore(key, 0, value)
    with pytest.raises(PositionMoved) as moved:
        send(state, {"t/0": (2, [(BEGIN_US + 2, *click[1:])])})
    assert moved.value.offset == 1


def of_group(client: redis.Redis, user: str) -> dict[bytes, bytes]:
    """All that the store has in a shopper's group."""
    tag = partitioned(user).partition(b"}")[0]
    return {key: client.dump(key) for key in client.scan_iter() if tag in key}


def lose(client: redis.Redis, user: str, before: dict[bytes, bytes]) -> None:
    """Take a shopper's group back to what it had before, as a failover of a cluster to a replica that lags does."""
    client.delete(*of_group(client, user))
    for key, value in before.items():
        client.restore(key, 0, value)


def shopping(at: int, user: str) -> Row:
    return (BEGIN_US + at * 1_000_000, user, "", 0, "", "s")


def totals(client: redis.Redis, *names: str) -> list[int]:
    return held(client, list(names), "users", ItemCodes()).totals[:, 0].tolist()


def test_groups_that_lost_unlike_much_are_read_into_again_from_the_one_that_lost_most(client: redis.Redis) -> None:
    """Only the group that lost least is touched by the next batch."""
    state, rows = opened(client), [shopping(at, user) for at, user in enumerate(["u1", "u2", "u1", "u2", "u1", "u1"])]
    send(state, {"t/0": (0, rows[:2])})
    second = of_group(client, "u2")
    send(state, {"t/0": (2, rows[2:4])})
    first = of_group(client, "u1")
    send(state, {"t/0": (4, rows[4:5])})
    lose(client, "u1", first)
    lose(client, "u2", second)
    with pytest.raises(PositionMoved) as moved:
        send(state, {"t/0": (5, rows[5:])})
    assert (moved.value.offset, moved.value.groups_lost) == (2, 0)
    send(state, {"t/0": (2, rows[2:])})
    assert totals(client, "u1", "u2") == [4, 2]


def test_a_group_whose_position_is_gone_is_read_into_again_from_where_this_process_began_with_it(client: redis.Redis) -> None:
    """What lies before came into the state from elsewhere, and would be applied twice."""
    state, rows = opened(client), [shopping(at, user) for at, user in enumerate(["u1", "u2", "u1"], 7)]
    send(state, {"t/0": (7, rows[:1])})
    send(state, {"t/0": (8, rows[1:2])})
    lose(client, "u1", {})
    with pytest.raises(PositionMoved) as moved:
        send(state, {"t/0": (9, rows[2:])})
    assert (moved.value.offset, moved.value.groups_lost) == (7, 0)
    floor = state.floor("t/0")
    assert floor is not None
    assert floor.offset == 7
    send(state, {"t/0": (7, rows)})
    assert totals(client, "u1", "u2") == [2, 1]


def test_a_group_that_lost_what_an_earlier_process_wrote_is_counted(client: redis.Redis) -> None:
    rows = [shopping(at, user) for at, user in enumerate(["u1", "u2", "u1", "u2", "u1"])]
    send(opened(client), {"t/0": (0, rows[:2])})
    state = opened(client)
    send(state, {"t/0": (2, rows[2:4])})
    lose(client, "u1", {})
    with pytest.raises(PositionMoved) as moved:
        send(state, {"t/0": (4, rows[4:])})
    assert (moved.value.offset, moved.value.groups_lost) == (2, 1)
    send(state, {"t/0": (2, rows[2:])})
    assert totals(client, "u1", "u2") == [2, 2]


def test_ids_of_a_partition_that_lags_behind_another_are_kept(client: redis.Redis) -> None:
    """A guest's session is remembered by one key, whichever partitions its events come from."""
    old, new = (BEGIN_US, "", "i1", CLICK, "", "s"), (BEGIN_US + 10**11, "", "i2", CLICK, "", "s")
    state = opened(client)
    send(state, {"t/0": (0, [old])})
    send(state, {"t/1": (0, [new])})
    assert send(opened(client), {"t/0": (0, [old, old])}) == {"t/0": [COUNTED, REPEATED]}


def test_a_repetition_whose_first_is_forgotten_meanwhile_is_not_taken_for_late(client: redis.Redis) -> None:
    """The first came by another partition, whose reader has gone far beyond it."""
    click, later = (BEGIN_US, "u1", "i1", CLICK, "", "s"), (BEGIN_US + 10**11, "u1", "i1", CLICK, "", "s")
    old = (BEGIN_US - 5, "u1", "i2", CLICK, "", "s")
    send(opened(client), {"t/1": (0, [click])})
    assert send(opened(client), {"t/0": (0, [click, old])}, late={1}) == {"t/0": [REPEATED, LATE]}
    send(opened(client), {"t/1": (1, [later])})  # as far as this reader knows the first id isn't needed any more
    assert send(opened(client), {"t/0": (0, [click, old])}) == {"t/0": [REPEATED, LATE]}
