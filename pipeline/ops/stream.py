"""Consume a stream of events on this machine: `shelfrank stream`."""

import gc
import json
import logging
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, final

import polars as pl
from prometheus_client import CollectorRegistry, ProcessCollector

from components.contract.dataset import Dataset
from components.contract.errors import InputError, StateUnavailable
from components.contract.values.event_time import AHEAD_US
from components.ingest.counts import Counts
from components.ingest.events.event_columns import impression_code
from serving.service.state.log_replay import SOURCES
from serving.service.state.opened_state import TTL_S
from serving.state.interface import plans_of
from serving.state.item_codes import ItemCodes
from serving.state.redis import RedisStates, open_client
from serving.stream.consumer import Consumer, ConsumerSettings
from serving.stream.decode.decoder import EventDecoder
from serving.stream.events_that_count import Tables, counting, load_tables
from serving.stream.figures.live_figures import LiveFigures
from serving.stream.figures.prometheus import FiguresCollector
from serving.stream.figures.rebuild import rebuild
from serving.stream.interface import Source
from serving.stream.log.window_files import ends
from serving.stream.log.window_log import WindowLog, WindowSettings
from serving.stream.metrics import StreamMetrics
from serving.stream.preparation import Preparation
from serving.stream.state.side_writer import Lifetimes
from serving.stream.state.stream_state import StreamState

if TYPE_CHECKING:
    import redis

_LOG = logging.getLogger(__name__)
IDS_TTL_S = 7 * 24 * 3600  # as long as brokers keep messages by default: what is older isn't read again
REDIS_TIMEOUT_S = 10.0
GC_AFTER = 1_000_000  # objects more than at the last collection
START_S = 60.0  # that are waited for Redis: it may be starting, too


@dataclass(frozen=True)
class Store:
    """A Redis, or a node of a Redis Cluster."""

    url: str
    cluster: bool = False
    password: str = ""


@dataclass(frozen=True)
class StreamConfig:
    """What is read, and where to.

    Attributes:
        store: of the state.
        windows: of the event log.
        state: of the last ingestion; None where the dataset file needs nothing of it.
        load: bring that state into the store first.
        consumer: see there.
        metrics: host and port for Prometheus; None for none.
    """

    store: Store
    windows: WindowSettings
    state: Path | None = None
    load: bool = False
    consumer: ConsumerSettings = field(default_factory=ConsumerSettings)
    metrics: tuple[str, int] | None = None


@final
class LiveFiguresOfLog:
    """Live figures that begin with what the event log holds of the partitions that are read."""

    def __init__(self, figures: LiveFigures, events_of: Callable[[pl.DataFrame], pl.DataFrame]) -> None:
        self._figures, self._events_of = figures, events_of

    def begin(self, windows: Sequence[Path], *, now_us: int) -> None:
        """Begin anew with the windows of the event log."""
        rebuild(self._figures, windows, self._events_of, now_us=now_us)

    def add(self, events: pl.DataFrame, raw: pl.DataFrame, *, now_us: int, watermark_us: int) -> None:
        """Take the events that counted of a batch."""
        self._figures.add(events, raw, now_us=now_us, watermark_us=watermark_us)


def stream(dataset: Dataset, config: StreamConfig, decoder: EventDecoder, open_source: Callable[[Consumer], Source]) -> StreamMetrics:
    """Consume until SIGTERM or SIGINT, or until the source is finished; return what was counted.

    Raises:
        InputError: an option, a source or a store can't be used.
        StateUnavailable: the process was stopped while the store didn't answer; nothing is lost.
    """
    # A batch makes hundreds of thousands of small objects that its end frees; looking for cycles among them takes a quarter of the time.
    gc.freeze()
    gc.set_threshold(GC_AFTER)
    tables = load_tables(dataset, config.state)
    plans, codes, client = plans_of(dataset), ItemCodes(), connect(config.store)
    lifetimes = Lifetimes(TTL_S, IDS_TTL_S, 2 * config.consumer.lateness_us)
    state = StreamState(client, shop=dataset.name, plans=plans, codes=codes, gap_s=int(dataset.session_gap), lifetimes=lifetimes)
    stores = RedisStates(client, shop=dataset.name, plans=plans, codes=codes, ttl_s=TTL_S)
    stores.announce()
    if config.load:
        assert config.state is not None
        _LOG.info("%d keys were brought into Redis", stores.load(config.state))
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    metrics = StreamMetrics(registry)
    consumer = Consumer(
        Preparation(dataset, decoder, tables, codes),
        state,
        WindowLog(config.windows),
        ingested=ingested_positions(config.state) if config.load else {},
        metrics=metrics,
        figures=_live_figures(dataset, tables, decoder, registry),
        settings=config.consumer,
    )
    if config.metrics is not None:
        _serve_metrics(*config.metrics, registry)
    with _stopping(consumer):
        consumer.run(open_source(consumer))
    return metrics


def _live_figures(dataset: Dataset, tables: Tables, decoder: EventDecoder, registry: CollectorRegistry) -> LiveFiguresOfLog | None:
    """Return live figures, exported to Prometheus; None where no lists are shown."""
    if impression_code(dataset) is None:
        return None
    figures = LiveFigures(dataset, users=tables.users)
    registry.register(FiguresCollector(figures))

    def events_of(raw: pl.DataFrame) -> pl.DataFrame:
        return counting(decoder.events_of(raw, now_us=time.time_ns() // 1_000 + AHEAD_US), tables, Counts())[0]

    return LiveFiguresOfLog(figures, events_of)


def connect(store: Store) -> "redis.Redis | redis.RedisCluster":
    """Connect to the store.

    Raises:
        InputError: the address isn't one, or Redis refuses.
        StateUnavailable: there is none after START_S.
    """
    import redis

    until_s = time.monotonic() + START_S
    while True:
        try:
            client = open_client(store.url, cluster=store.cluster, password=store.password, timeout_s=REDIS_TIMEOUT_S, longest_pause_s=0.5)
            client.ping()
            return client
        except (redis.AuthenticationError, redis.ResponseError, ValueError) as error:
            raise InputError(
                f"Redis refuses the connection: {error}; check --redis, SHELFRANK_REDIS_PASSWORD and --redis-cluster"
            ) from error
        except (redis.RedisError, redis.exceptions.RedisClusterException) as error:
            mode = ", and in cluster mode" if store.cluster else ""
            sentence = f"expected a Redis at --redis, got: {error}; is it up{mode}?"
            if time.monotonic() > until_s:
                raise StateUnavailable(sentence) from error
            _LOG.warning("%s (tried again for %.0f s)", sentence, until_s - time.monotonic())
            time.sleep(1.0)


def ingested_positions(state: Path | None) -> dict[str, int]:
    """Return by partition up to where an ingestion's data has it, by the names of the windows that it read."""
    path = None if state is None else state / SOURCES
    return {} if path is None or not path.exists() else ends(json.loads(path.read_text(encoding="utf-8"))["files"])


@contextmanager
def _stopping(consumer: Consumer) -> Iterator[None]:
    """Stop the consumer by SIGTERM and SIGINT, after the batch at hand."""

    def stop(number: int, _frame: object) -> None:
        _LOG.info("stopped by %s: the batch at hand is the last", signal.Signals(number).name)
        consumer.stop()

    before = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _serve_metrics(host: str, port: int, registry: CollectorRegistry) -> None:
    from prometheus_client import start_http_server

    try:
        start_http_server(port, host, registry)
    except (OSError, OverflowError) as error:
        raise InputError(f"--metrics-port: can't listen on port {port} of {host}: {error}; give another one") from None
