"""Measure how fast messages are read from a source, and become clean events.

    python -m benchmarks.stream [--events 400000] [--batch 20000] [--brokers HOST:PORT] [--redis PORT] [--json FILE]

Events of the simulated shop's columns, 150 bytes as JSON. Decoding is measured per core: processor time of the process,
with one thread of Polars; a tenth of the messages are then made unreadable. Sources are measured by the wall clock:
files, Kafka (the broker named, else the client's own mock cluster in this process) and Redis Streams (where a port is
given).
"""

import os

os.environ.setdefault("POLARS_MAX_THREADS", "1")  # before Polars is imported

import argparse
import json
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import fastavro
import numpy as np
import redis
from confluent_kafka import Producer
from rich.console import Console
from rich.table import Table

from components.contract.load import load_dataset
from serving.stream.decode.make_decoder import make_decoder
from serving.stream.interface import Decoder
from serving.stream.sources.open_source import open_source

DATASET = Path(__file__).parents[2] / "examples" / "simulated_shop.yaml"
START_MS, NOW_US = 1_770_000_000_000, 1_900_000_000_000_000
TOPIC = "benchmark"
_TYPES = {"time": "long", "position": "int"}


@dataclass(frozen=True)
class Measured:
    """A row of the table: events a second."""

    name: str
    per_s: float
    clock: str


class _FromTheBeginning:
    """Positions of a consumer that read nothing yet."""

    def assigned(self, partitions: Sequence[str]) -> Mapping[str, int | None]:
        return dict.fromkeys(partitions)

    def revoked(self, partitions: Sequence[str]) -> None:
        pass


def events(number: int, seed: int = 1) -> list[dict[str, Any]]:
    """Draw events: lists of eight, shown, and what was clicked."""
    draw = np.random.default_rng(seed)
    users, items, acts = draw.integers(0, 100_000, number), draw.integers(0, 20_000, number), draw.random(number)
    return [
        {
            "time": START_MS + at * 7,
            "user_id": f"u{users[at]}",
            "item_id": f"i{items[at]}",
            "action": "impression" if acts[at] < 0.8 else "click" if acts[at] < 0.95 else "cart",
            "request_id": f"r{at // 8}",
            "session_id": f"s{users[at]}",
            "position": at % 8,
            "device": "phone",
        }
        for at in range(number)
    ]


def as_json(rows: list[dict[str, Any]]) -> list[bytes]:
    """Write events as JSON."""
    return [json.dumps(row, separators=(",", ":")).encode() for row in rows]


def as_avro(rows: list[dict[str, Any]], schema: Any) -> list[bytes]:
    """Write events as Avro."""
    payloads = []
    for row in rows:
        out = BytesIO()
        fastavro.schemaless_writer(out, schema, row)
        payloads.append(out.getvalue())
    return payloads


def decoding(name: str, decoder: Decoder, payloads: list[bytes], batch: int) -> Measured:
    """Measure a decoder by the processor's time."""
    decoder.decode(payloads[:batch], now_us=NOW_US)
    began = time.process_time()
    for at in range(0, len(payloads), batch):
        decoder.decode(payloads[at : at + batch], now_us=NOW_US)
    return Measured(name, len(payloads) / (time.process_time() - began), "a core")


def reading(name: str, address: str, number: int, batch: int) -> Measured:
    """Measure a source from its first message to its last, by the wall clock."""
    source, began, seen = open_source(address, _FromTheBeginning(), group=f"benchmark-{time.time_ns()}"), 0.0, 0
    counted = 0
    while seen < number:
        messages = source.poll(most=batch, timeout_s=1.0)
        now, arrived = time.perf_counter(), sum(len(part.values) for part in messages)
        counted += arrived if began else 0
        began, seen = began or (now if arrived else 0.0), seen + arrived
    spent = time.perf_counter() - began
    source.close()
    return Measured(name, counted / spent, "wall clock")


@contextmanager
def kafka(brokers: str | None, payloads: list[bytes]) -> Iterator[str]:
    """Write messages to a topic, of a mock cluster if no broker is named, and return its address."""
    settings: dict[str, Any] = {"linger.ms": 20, "compression.type": "lz4", "queue.buffering.max.messages": 1_000_000, "log_level": 0}
    producer = Producer({**settings, **({"bootstrap.servers": brokers} if brokers else {"test.mock.num.brokers": 1})})
    if brokers is None:
        brokers = ",".join(f"{each.host}:{each.port}" for each in producer.list_topics(timeout=30).brokers.values())
    for at, payload in enumerate(payloads):
        producer.produce(TOPIC, payload)
        if at % 10_000 == 0:
            producer.poll(0)
    producer.flush(120)
    yield f"kafka://{brokers}/{TOPIC}"


def measured(number: int, batch: int, brokers: str | None, redis_port: int | None) -> Iterator[Measured]:
    """Measure decoders and sources."""
    dataset, rows = load_dataset(DATASET), events(number)
    payloads = as_json(rows)
    yield decoding("JSON", make_decoder(dataset, 0), payloads, batch)
    poison = [payload[:-1] if at % 10 == 0 else payload for at, payload in enumerate(payloads)]
    yield decoding("JSON, a tenth unreadable", make_decoder(dataset, 0), poison, batch)
    with tempfile.TemporaryDirectory() as folder:
        schema = {"type": "record", "name": "Event", "fields": [{"name": name, "type": _TYPES.get(name, "string")} for name in rows[0]]}
        (Path(folder) / "event.avsc").write_text(json.dumps(schema))
        decoder = make_decoder(dataset, 0, format="avro", schema=Path(folder) / "event.avsc")
        yield decoding("Avro", decoder, as_avro(rows, fastavro.parse_schema(schema)), batch)
        file = Path(folder) / "events.jsonl"
        file.write_bytes(b"\n".join(payloads) + b"\n")
        yield reading("file", str(file), number, batch)
    with kafka(brokers, payloads) as address:
        yield reading("Kafka" if brokers else "Kafka, mock cluster", address, number, batch)
    if redis_port is not None:
        yield _redis(redis_port, payloads, batch)


def _redis(port: int, payloads: list[bytes], batch: int) -> Measured:
    with redis.Redis(port=port) as client:
        client.delete(TOPIC)
        with client.pipeline(transaction=False) as pipe:
            for at, payload in enumerate(payloads):
                pipe.xadd(TOPIC, {"event": payload})
                if at % 5_000 == 0:
                    pipe.execute()
            pipe.execute()
        row = reading("Redis Streams", f"redis://127.0.0.1:{port}/0?stream={TOPIC}", len(payloads), batch)
        client.delete(TOPIC)
    return row


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=400_000)
    parser.add_argument("--batch", type=int, default=20_000)
    parser.add_argument("--brokers", help="of a Kafka, whose topic `benchmark` must be empty")
    parser.add_argument("--redis", type=int, metavar="PORT", help="of a Redis on this machine, whose key `benchmark` is deleted")
    parser.add_argument("--json", type=Path, metavar="FILE")
    args = parser.parse_args()
    rows = list(measured(args.events, args.batch, args.brokers, args.redis))
    table = Table("", "events/s", "measured by")
    for row in rows:
        table.add_row(row.name, f"{row.per_s:,.0f}", row.clock)
    Console().print(table)
    if args.json:
        args.json.write_text(json.dumps([row.__dict__ for row in rows], indent=1))


if __name__ == "__main__":
    main()
