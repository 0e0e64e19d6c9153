"""The consumer takes each message once into state and log, and sets aside with a reason what it can't take."""

import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import redis
from numpy.typing import NDArray
from prometheus_client import CollectorRegistry

from components.contract.errors import StateUnavailable
from serving.state.interface import plans_of
from serving.state.item_codes import ItemCodes
from serving.state.redis import side_of
from serving.stream.consumer import KEPT_OF_LONG, LATE_REASON, Consumer, ConsumerSettings, Figures
from serving.stream.decode.rejections import NOT_JSON, TOO_LONG
from serving.stream.events_that_count import UNKNOWN_ITEM, Tables
from serving.stream.log import window_log
from serving.stream.log.window_files import WindowFile, parsed
from serving.stream.log.window_log import OFFSET, WindowLog, WindowSettings
from serving.stream.metrics import StreamMetrics
from serving.stream.preparation import FAILED, Preparation
from serving.stream.state.event_batch import EventBatch
from serving.stream.state.positions import floor_key
from serving.stream.state.side_writer import Lifetimes, Origin
from serving.stream.state.stream_state import StreamState
from tests.serving.stream.memory_topic import MemoryTopic, RowDecoder, payloads
from tests.serving.stream.shop import BEGIN_US, CLICK, Row, drawn, shop
from tests.serving.stream.state.test_stream_state import Flaky, assert_same, held


def consume(
    client: "redis.Redis | redis.RedisCluster",
    folder: Path,
    partitions: Mapping[str, Sequence[bytes]],
    *,
    batch: int = 64,
    tables: Tables = Tables(),  # noqa: B008 - frozen
    fails: int = 0,
    deleted: int = 0,
    lateness_s: int = 7_200,
    kind: type[StreamState] = StreamState,
    figures: Figures | None = None,
    window_rows: int = 1,
) -> CollectorRegistry:
    """Consume until nothing is left."""
    registry = CollectorRegistry()
    state = kind(
        client, shop="stream_shop", plans=plans_of(shop()), codes=ItemCodes(), gap_s=1800, lifetimes=Lifetimes(10**6, 10**6, 7_200_000_000)
    )
    log = WindowLog(WindowSettings(folder / "log", folder / "dead", every_s=1e9, most_rows=window_rows))
    consumer = Consumer(
        Preparation(shop(), RowDecoder(), tables, state.codes),
        state,
        log,
        ingested={},
        metrics=StreamMetrics(registry),
        figures=figures,
        settings=ConsumerSettings(batch=batch, lateness_us=lateness_s * 1_000_000),
    )
    topic = MemoryTopic(partitions, consumer, fails=fails)
    topic.deleted = dict.fromkeys(partitions, deleted)
    consumer.run(topic)
    assert topic.closed
    return registry


def logged(folder: Path, kind: str = "log") -> pl.DataFrame:
    names = sorted(path for path in (folder / kind).glob("*.parquet"))
    return pl.concat([pl.read_parquet(path) for path in names], how="diagonal") if names else pl.DataFrame()


def click(at: int, user: str = "u1", item: str = "i1") -> Row:
    return (BEGIN_US + at * 1_000_000, user, item, CLICK, "", "s")


def test_state_and_log_hold_each_event_once(client: redis.Redis, tmp_path: Path) -> None:
    rows = {
        f"t/{p}": [(r[0], r[1] and f"{r[1]}-{p}", r[2] and f"{r[2]}-{p}", *r[3:]) for r in drawn(np.random.default_rng(p), 300)]
        for p in (0, 1)
    }
    consume(client, tmp_path, {name: payloads(some) for name, some in rows.items()}, batch=10_000)
    assert_same(client, [row for some in rows.values() for row in some])
    log = logged(tmp_path)
    assert log.select("time", "user", "item", "action").is_duplicated().sum() == 0
    assert 400 < len(log) < 600
    for partition in rows:
        windows = sorted(name for path in (tmp_path / "log").iterdir() if (name := parsed(path.name)) and name.partition == partition)
        assert [window.begin for window in windows] == [0, *(window.end for window in windows[:-1])]
        assert windows[-1].end == 300


def test_a_consumer_that_dies_anywhere_is_followed_by_one_that_goes_on(
    client: redis.Redis, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Redis and the process break off at random; what is left is what one run would have left."""
    publish = window_log.publish

    def publish_alive(folder: Path, window: WindowFile, events: pl.DataFrame) -> None:
        if isinstance(sys.exception(), Killed):  # what runs as the interpreter unwinds doesn't in a process that is killed
            raise OSError("killed")
        publish(folder, window, events)

    monkeypatch.setattr(window_log, "publish", publish_alive)
    rows = drawn(np.random.default_rng(3), 900)
    quiet = tmp_path / "quiet"
    consume(client, quiet, {"t/0": payloads(rows)})
    expected = logged(quiet)
    client.flushall()
    generator, deaths, unpublished = np.random.default_rng(6), 0, 0
    while True:
        try:
            dying = Dying(client, generator, 0.05)
            consume(dying, tmp_path, {"t/0": payloads(rows)}, batch=int(generator.integers(5, 40)), window_rows=150)  # type: ignore[arg-type]
            break
        except Killed:
            deaths += 1
            unpublished += not logged(tmp_path).height
    assert deaths > 5
    assert unpublished  # killed before the first window: no file says where the log begins
    assert_same(client, rows)
    assert logged(tmp_path).drop(OFFSET).equals(expected.drop(OFFSET))
    assert logged(tmp_path)[OFFSET].to_list() == expected[OFFSET].to_list()


class Killed(BaseException):
    """The process ends at once."""


class Dying(Flaky):
    """A store whose use ends the process at times."""

    def pipeline(self, *, transaction: bool) -> Flaky.Pipeline:
        pipeline = super().pipeline(transaction=transaction)
        execute = pipeline.execute

        def dying(*, raise_on_error: bool = True) -> list[object]:
            try:
                return execute(raise_on_error=raise_on_error)
            except redis.ConnectionError:
                raise Killed from None

        pipeline.execute = dying  # type: ignore[method-assign]
        return pipeline


def test_what_cant_be_taken_is_set_aside_with_its_reason(client: redis.Redis, tmp_path: Path) -> None:
    messages = payloads([click(1000), click(1), click(1001)])
    large = b'"' + b"x" * (KEPT_OF_LONG + 500) + b'"'
    messages = [messages[0], b'"poison"', messages[1], b'"fault"', large, messages[2], messages[2]]
    unknown = payloads([click(1002, item="never heard of")])
    registry = consume(client, tmp_path, {"t/0": messages + unknown}, tables=Tables(items=pl.Series(["i1"])), lateness_s=600)
    dead = logged(tmp_path, "dead").sort("offset")
    assert dict(zip(dead["offset"], dead["reason"], strict=True)) == {
        1: NOT_JSON, 2: LATE_REASON, 3: FAILED, 4: TOO_LONG, 7: UNKNOWN_ITEM,
    }  # fmt: skip
    assert dead["payload"].to_list()[:3] == messages[1:4]
    assert len(dead["payload"][3]) == KEPT_OF_LONG
    assert "ZeroDivisionError" in dead["detail"][2]
    assert logged(tmp_path)[OFFSET].to_list() == [0, 5]
    assert held(client, ["u1"], "users", ItemCodes()).totals[0].tolist() == [0, 0, 2, 0]
    assert registry.get_sample_value("shelfrank_stream_messages_total", {"outcome": "repeated"}) == 1
    assert registry.get_sample_value("shelfrank_stream_dead_letters_total", {"reason": NOT_JSON}) == 1
    assert (registry.get_sample_value("shelfrank_stream_state_keys") or 0) >= 1
    assert (registry.get_sample_value("shelfrank_stream_state_bytes") or 0) > 100_000


def test_a_source_that_doesnt_answer_is_asked_again(client: redis.Redis, tmp_path: Path) -> None:
    registry = consume(client, tmp_path, {"t/0": payloads([click(1)])}, fails=3)
    assert logged(tmp_path)[OFFSET].to_list() == [0]
    assert registry.get_sample_value("shelfrank_stream_retries_total", {"what": "source"}) == 3


def test_messages_that_retention_deleted_are_counted(client: redis.Redis, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    messages = payloads([click(at) for at in range(10)])
    consume(client, tmp_path, {"t/0": messages[:4]})
    registry = consume(client, tmp_path, {"t/0": messages}, deleted=7)
    assert registry.get_sample_value("shelfrank_stream_lost_messages_total", {"partition": "t/0"}) == 3
    assert "3 messages were deleted" in caplog.text
    assert logged(tmp_path)[OFFSET].to_list() == [0, 1, 2, 3, 7, 8, 9]


def test_whoever_looks_at_the_lag_sees_what_is_applied(client: redis.Redis, tmp_path: Path) -> None:
    lifetimes = Lifetimes(10**6, 10**6, 7_200_000_000)
    state = StreamState(client, shop="stream_shop", plans=plans_of(shop()), codes=ItemCodes(), gap_s=1800, lifetimes=lifetimes)
    log = WindowLog(WindowSettings(tmp_path / "log", tmp_path / "dead"))
    preparation = Preparation(shop(), RowDecoder(), Tables(), state.codes)
    metrics, settings = StreamMetrics(CollectorRegistry()), ConsumerSettings(batch=4)
    consumer = Consumer(preparation, state, log, ingested={}, metrics=metrics, settings=settings)
    topic = MemoryTopic({f"t/{part}": payloads([click(at) for at in range(10 + part)]) for part in (0, 1)}, consumer)
    consumer.run(topic)
    assert topic.shown[-1] == {"t/0": 10, "t/1": 11}


def test_a_store_that_is_gone_ends_a_consumer_that_is_stopped(tmp_path: Path) -> None:
    gone = redis.Redis(port=1, socket_connect_timeout=0.1)
    state = StreamState(gone, shop="stream_shop", plans=plans_of(shop()), codes=ItemCodes(), gap_s=1, lifetimes=Lifetimes(1, 1, 1))
    log = WindowLog(WindowSettings(tmp_path / "log", tmp_path / "dead"))
    preparation = Preparation(shop(), RowDecoder(), Tables(), state.codes)
    consumer = Consumer(preparation, state, log, ingested={}, metrics=StreamMetrics(CollectorRegistry()))
    stopper = threading.Timer(0.3, consumer.stop)
    stopper.start()
    with pytest.raises(StateUnavailable):
        consumer.run(MemoryTopic({"t/0": payloads([click(1)])}, consumer))


def test_a_store_that_lost_its_last_writes_is_read_into_again(client: redis.Redis, tmp_path: Path) -> None:
    """What a power failure takes from Redis' append-only file, state and positions alike, comes from the source once more."""
    messages = payloads([click(at) for at in range(40)])
    consume(client, tmp_path, {"t/0": messages[:10]})
    before = {key: client.dump(key) for key in client.scan_iter()}
    lost = False

    class Losing(StreamState):  # type: ignore[misc]
        def apply(self, batch: EventBatch, origin: Origin) -> NDArray[np.int8]:
            nonlocal lost
            if origin.begins[0] >= 30 and not lost:
                lost = True
                client.flushall()
                for key, value in before.items():
                    client.restore(key, 0, value)
            return super().apply(batch, origin)

    consume(client, tmp_path, {"t/0": messages}, batch=5, kind=Losing)
    assert lost
    assert held(client, ["u1"], "users", ItemCodes()).totals[0].tolist() == [0, 0, 40, 0]
    assert logged(tmp_path)[OFFSET].sort().to_list() == list(range(40))


class Watermarks:
    """Figures that note up to when all events have come."""

    def __init__(self) -> None:
        self.seen_s: list[float] = []

    def begin(self, windows: Sequence[Path], *, now_us: int) -> None:
        self.seen_s.append(0)

    def add(self, events: pl.DataFrame, raw: pl.DataFrame, *, now_us: int, watermark_us: int) -> None:
        self.seen_s.append(max(0.0, (watermark_us - BEGIN_US) / 1e6))


def test_figures_are_told_how_far_the_partition_is_that_is_furthest_behind(
    client: redis.Redis, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second partition's events are older, and it has fewer: it ends while the first one goes on."""
    parts = {"t/0": payloads([click(1000 + at) for at in range(12)]), "t/1": payloads([click(at, "u2") for at in range(1, 5)])}
    watermarks = Watermarks()
    consume(client, tmp_path / "one", parts, batch=4, figures=watermarks)
    assert watermarks.seen_s == [0, 2, 4, 4, 4, 4, 4]
    client.flushall()
    monkeypatch.setattr("serving.stream.watermark.IDLE_S", 0)
    watermarks = Watermarks()
    consume(client, tmp_path / "two", parts, batch=4, figures=watermarks)
    assert watermarks.seen_s == [0, 2, 4, 1005, 1007, 1009, 1011]


def test_a_node_of_a_cluster_that_lost_everything_is_shouted_and_read_into_again(
    cluster: redis.RedisCluster, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A master that comes back empty takes groups with it: this process's events come again, an earlier one's are counted as lost."""
    rows = [click(at, f"u{at % 20}", f"i{at % 20}") for at in range(400)]
    consume(cluster, tmp_path, {"t/0": payloads(rows[:100])})
    plan = plans_of(shop()).users
    with_floor = cluster.get_node_from_key(floor_key(side_of("stream_shop", "users", plan).prefix, "t/0"))
    node = next(node for node in cluster.get_primaries() if node != with_floor)
    lost = False

    class Losing(StreamState):  # type: ignore[misc]
        def apply(self, batch: EventBatch, origin: Origin) -> NDArray[np.int8]:
            nonlocal lost
            if origin.begins[0] >= 300 and not lost:
                lost = True
                cluster.flushall(target_nodes=node)
            return super().apply(batch, origin)

    registry = consume(cluster, tmp_path, {"t/0": payloads(rows)}, batch=50, kind=Losing)
    groups = registry.get_sample_value("shelfrank_stream_groups_lost_total") or 0
    assert groups > 0
    assert "had lost everything" in caplog.text
    counts = held(cluster, [f"u{at}" for at in range(20)], "users", ItemCodes()).totals[:, CLICK]
    assert set(counts.tolist()) == {15, 20}  # without, and with what the earlier process wrote: five of each
    assert logged(tmp_path)[OFFSET].sort().to_list() == list(range(400))
