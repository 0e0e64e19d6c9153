"""Measure `shelfrank stream` from end to end: how fast events get from a broker into Redis and the event log, and how soon.

    python -m benchmarks.stream.end_to_end [--events 1000000] [--consumers 1 2 4] [--sources kafka redis] [--freshness 5000]

Broker, Redis (with an append-only file) and consumers are processes of this machine. Throughput is taken from a tenth of
the events on, when every process has started, until all are in the state: events of 150 bytes as JSON in 4 partitions,
of 100,000 shoppers and 20,000 products, some far more often than others. Processor seconds are per event, of consumers,
Redis and broker. Freshness is the time from the producer's sending a click, among so many events a second, until the
features of its shopper, as the service reads them from Redis, are others.
"""

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil
import redis
from confluent_kafka import Producer
from rich.console import Console
from rich.table import Table

from components.contract.load import parse_dataset
from serving.state.interface import plans_of
from serving.state.item_codes import ItemCodes
from serving.state.redis import RedisStates
from tests.engines.kafka.broker import Broker, free_ports

PARTITIONS = 4
TOPIC = "events"
BEGIN_US = 1_770_000_000_000_000
SHOP = """
name: benchmark
events:
  path: "*.jsonl"
  columns: {time: time, user: user, item: item, action: action, request: request, session: session}
actions: {search: {item: false}, click: {label: 1}, purchase: {label: 4}}
candidates: {from: sampling}
half_lives: [1h, 7d]
features:
  - {name: item, kind: id, side: item, buckets: 20000}
  - {name: history, kind: history, side: user, length: 30, actions: [click, purchase], fields: [item]}
  - {name: clicks, kind: state, side: user, measure: count, action: click}
  - {name: item_clicks, kind: state, side: item, measure: count, action: click}
"""


@dataclass(frozen=True)
class Throughput:
    """A row of the first table."""

    source: str
    consumers: int
    per_s: float
    cpu_us: dict[str, float]  # per event, by process
    rss_mib: float  # the greatest of the consumers


def payloads(events: int, *, seed: int = 1) -> Iterator[tuple[int, bytes]]:
    """Yield events as JSON, each with its partition."""
    generator = np.random.default_rng(seed)
    users = (generator.pareto(1.1, events) * 2000).astype(int) % 100_000
    items = (generator.pareto(1.0, events) * 50).astype(int) % 20_000
    actions = generator.choice(["click"] * 8 + ["purchase", "search"], events)
    for at in range(events):
        user, action = int(users[at]), str(actions[at])
        item = f'"item{items[at]:06d}"' if action != "search" else "null"
        event = f'"time":{BEGIN_US + at * 20},"user":"user{user:07d}","item":{item},"action":"{action}"'
        text = f'{{{event},"request":"r{at:09d}","session":"s{user}"}}'
        yield user % PARTITIONS, text.encode()


@contextmanager
def redis_server(folder: Path) -> Iterator[tuple[int, psutil.Process]]:
    """A Redis with an append-only file; yields port and process."""
    (port,) = free_ports(1)
    command = ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--dir", str(folder), "--save", "", "--appendonly", "yes"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        client = redis.Redis(port=port)
        while True:
            try:
                client.ping()
                break
            except redis.ConnectionError:
                time.sleep(0.05)
        yield port, psutil.Process(process.pid)
    finally:
        process.terminate()
        process.wait()


@contextmanager
def consumers(number: int, source: str, store: int, folder: Path, *options: str) -> Iterator[list[tuple[psutil.Process, int]]]:
    """Consumers with their metrics' ports."""
    (folder / "shop.yaml").write_text(SHOP)
    ports = free_ports(number)
    started = []
    try:
        for port in ports:
            command = [
                sys.executable, "-m", "pipeline.cli", "stream", str(folder / "shop.yaml"), "--from", source, "--redis", f"redis://127.0.0.1:{store}/0",
                "--log", str(folder / "log"), "--metrics-port", str(port), "--window", "10", *options,
            ]  # fmt: skip
            started.append(subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=(folder / "consumers.log").open("a")))
        yield [(psutil.Process(process.pid), port) for process, port in zip(started, ports, strict=True)]
    finally:
        for process in started:
            process.send_signal(signal.SIGTERM)
        for process in started:
            process.wait(120)


def applied(ports: Sequence[int]) -> float:
    """Return how many messages the consumers have applied."""
    total = 0.0
    for port in ports:
        try:
            text = urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5).read().decode()
        except OSError:
            continue
        total += sum(float(line.rpartition(" ")[2]) for line in text.splitlines() if line.startswith("shelfrank_stream_messages_total{"))
    return total


def processor_s(process: psutil.Process) -> float:
    """Return the processor time of a process so far."""
    times = process.cpu_times()
    return float(times.user + times.system)


def fill_kafka(broker: Broker, events: int) -> str:
    """Write events to a topic; return the source's address."""
    broker.create_topic(TOPIC, partitions=PARTITIONS)
    settings = {
        "enable.idempotence": True,
        "linger.ms": 50,
        "compression.type": "lz4",
        "queue.buffering.max.messages": 1_000_000,
        "log_level": 0,
    }
    producer = Producer({"bootstrap.servers": broker.address, **settings})
    for at, (partition, payload) in enumerate(payloads(events)):
        producer.produce(TOPIC, payload, partition=partition)
        if at % 10_000 == 0:
            producer.poll(0.01)
    producer.flush()
    return f"kafka://{broker.address}/{TOPIC}"


def fill_redis(port: int, events: int) -> str:
    """Write events to streams of Redis; return the source's address."""
    client = redis.Redis(port=port)
    pipeline = client.pipeline(transaction=False)
    for at, (partition, payload) in enumerate(payloads(events), 1):
        pipeline.xadd(f"{TOPIC}:{partition}", {"event": payload})
        if at % 5_000 == 0 or at == events:
            pipeline.execute()
    return f"redis://127.0.0.1:{port}/0?stream={TOPIC}&partitions={PARTITIONS}"


def throughput(kind: str, number: int, events: int) -> Throughput:
    """Measure one combination."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        store, store_process = stack.enter_context(redis_server(folder))
        processes = {"redis": store_process}
        if kind == "kafka":
            broker = Broker(folder)
            stack.callback(broker.kill)
            broker.start()
            processes["kafka"] = psutil.Process(broker.pid)
            source = fill_kafka(broker, events)
        else:
            (folder / "source").mkdir()
            port, processes["source"] = stack.enter_context(redis_server(folder / "source"))
            source = fill_redis(port, events)
        running = stack.enter_context(consumers(number, source, store, folder))
        ports = [port for _, port in running]
        while applied(ports) < events / 10:
            time.sleep(0.05)
        first = (
            time.monotonic(),
            applied(ports),
            {name: processor_s(process) for name, process in processes.items()},
            sum(processor_s(process) for process, _ in running),
        )
        while (count := applied(ports)) < events:
            time.sleep(0.05)
        seconds, done = time.monotonic() - first[0], count - first[1]
        cpu = {name: (processor_s(process) - first[2][name]) / done * 1e6 for name, process in processes.items()}
        cpu["consumers"] = (sum(processor_s(process) for process, _ in running) - first[3]) / done * 1e6
        return Throughput(kind, number, done / seconds, cpu, max(process.memory_info().rss for process, _ in running) / 2**20)


def freshness(per_s: int, *, clicks: int = 500) -> list[float]:
    """Return how many seconds each of some clicks took until its shopper's features were others."""
    dataset = parse_dataset(SHOP)
    taken: list[float] = []
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        store, _ = stack.enter_context(redis_server(folder))
        broker = Broker(folder)
        stack.callback(broker.kill)
        broker.start()
        source = fill_kafka(broker, 1000)
        running = stack.enter_context(consumers(1, source, store, folder))
        while applied([running[0][1]]) < 1000:
            time.sleep(0.05)
        states = RedisStates(redis.Redis(port=store), shop=dataset.name, plans=plans_of(dataset), codes=ItemCodes(), ttl_s=3600)
        producer = Producer({"bootstrap.servers": broker.address, "linger.ms": 5, "log_level": 0})
        background = payloads(10**7, seed=2)
        began, sent = time.monotonic(), 0

        def send_due() -> None:
            """Send the events that are due among the clicks."""
            nonlocal sent
            due = int((time.monotonic() - began) * per_s)
            for _ in range(due - sent):
                partition, payload = next(background)
                producer.produce(TOPIC, payload, partition=partition)
            sent = max(sent, due)
            producer.poll(0.0005)

        for click in range(clicks + 50):
            while time.monotonic() < began + click * 0.05:
                send_due()
            shopper = f"fresh{click}"
            event = {"time": BEGIN_US + 2 * 10**8, "user": shopper, "item": "item000001", "action": "click", "request": "", "session": "s"}
            at = time.monotonic()
            producer.produce(TOPIC, json.dumps(event).encode(), partition=click % PARTITIONS)
            while not states.known(shopper, [], time.time_ns() // 1000).user.history_len[0]:
                send_due()
            if click >= 50:
                taken.append(time.monotonic() - at)
    return taken


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--consumers", type=int, nargs="*", default=[1, 2, 4])
    parser.add_argument("--sources", nargs="*", choices=("kafka", "redis"), default=["kafka", "redis"])
    parser.add_argument("--freshness", type=int, default=5_000, metavar="EVENTS_PER_S", help="0: don't measure it")
    args = parser.parse_args()
    if shutil.which("redis-server") is None:
        parser.error("no redis-server here: apt-get install redis-server")
    os.environ["PYTHONPATH"] = str(Path(__file__).parents[2])
    console = Console()
    table = Table("source", "consumers", "events a second", "µs of processor an event", "memory of a consumer, MiB")
    for kind in args.sources:
        for number in args.consumers:
            row = throughput(kind, number, args.events)
            cpu = ", ".join(f"{name} {value:.1f}" for name, value in row.cpu_us.items())
            table.add_row(row.source, str(row.consumers), f"{row.per_s:,.0f}", cpu, f"{row.rss_mib:.0f}")
    if table.rows:
        console.print(table)
    if args.freshness:
        taken = np.array(freshness(args.freshness)) * 1000
        quantiles = ", ".join(
            f"{name} {value:.0f} ms" for name, value in zip(("p50", "p90", "p99"), np.quantile(taken, [0.5, 0.9, 0.99]), strict=True)
        )
        console.print(f"from a click to changed features at {args.freshness:,} events a second: {quantiles}, greatest {taken.max():.0f} ms")


if __name__ == "__main__":
    main()
