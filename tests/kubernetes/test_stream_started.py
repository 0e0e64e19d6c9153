"""The stream's command of the rendered manifests as a process of this machine, on a real Kafka and a real Redis: folders and addresses are
other ones, and the broker asks for a password without TLS; all else is as it is rendered."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import polars as pl
import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

from tests.engines.kafka.broker import PASSWORD, USER, Broker
from tests.kubernetes.rendered import ROOT, command, config, only, pod, rendered
from tests.serving.state.private_redis import private_redis

pytestmark = pytest.mark.slow
MESSAGES, BEGIN_US = 600, 1_790_000_000_000_000
DEADLINE_S = 120


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
        return port


def produce(address: str, topic: str, partitions: int) -> None:
    """Write clicks of 60 shoppers, each in a partition of its own."""
    producer = Producer({"bootstrap.servers": address})
    for number in range(MESSAGES):
        shopper = number % 60
        event = {
            "time": BEGIN_US + number * 1_000_000,
            "user_id": f"u{shopper:06d}",
            "item_id": f"p{number % 7:06d}",
            "action": "click",
            "request_id": f"r{number}",
            "session_id": f"s{shopper}",
            "position": 0,
        }
        producer.produce(topic, json.dumps(event), partition=shopper % partitions)
    assert producer.flush(60) == 0


@contextmanager
def started(folder: Path, broker: Broker, redis_port: int, port: int) -> Iterator["subprocess.Popen[bytes]"]:
    """Start the container's command."""
    (folder / "config").mkdir()
    (folder / "volume").mkdir()
    for name, content in config(rendered("stream"), "dataset").items():
        (folder / "config" / name).write_text(content)
    program, *words = command(rendered("stream"), pod(rendered("stream"), "stream").container("stream"))
    assert program == "shelfrank"
    login = f"security.protocol=SASL_PLAINTEXT&sasl.mechanism=PLAIN&sasl.username={USER}"
    mapped = []
    for word in words:
        if word.startswith("--from="):
            word = f"{word.partition('?')[0]}?{login}".replace("shop-kafka-bootstrap.kafka.svc:9093", broker.sasl_address)
        for rendered_as, here in (
            ("redis://redis:6379", f"redis://127.0.0.1:{redis_port}"),
            ("/config/", f"{folder}/config/"),
            ("/shelfrank/", f"{folder}/volume/"),
            ("0.0.0.0", "127.0.0.1"),
            ("--metrics-port=9100", f"--metrics-port={port}"),
        ):
            word = word.replace(rendered_as, here)
        mapped.append(word)
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "SHELFRANK_KAFKA_PASSWORD": PASSWORD}
    with (folder / "stream.log").open("ab") as log:
        process = subprocess.Popen([sys.executable, "-m", "pipeline.cli", *mapped], env=environment, stdout=log, stderr=log, cwd=folder)
        try:
            yield process
        finally:
            process.kill()
            process.wait()


def metrics(port: int) -> dict[str, float]:
    """By name, summed over labels; nothing while the page isn't there."""
    path = pod(rendered("stream"), "stream").container("stream")["readinessProbe"]["httpGet"]["path"]
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as page:
            lines = page.read().decode().splitlines()
    except (OSError, urllib.error.URLError):
        return {}
    sums: dict[str, float] = {}
    for line in lines:
        if not line.startswith("#"):
            series, _, value = line.rpartition(" ")
            name = series.partition("{")[0]
            sums[name] = sums.get(name, 0) + float(value)
    return sums


def wait_until(what: Callable[[], bool], process: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not what():
        assert process.poll() is None, log.read_text()[-3000:]
        assert time.monotonic() < deadline, log.read_text()[-3000:]
        time.sleep(0.2)


def test_events_of_the_topic_come_into_state_and_log_and_the_lag_is_seen_by_others(kafka_broker: Broker, tmp_path: Path) -> None:
    topic = only(rendered("engines/kafka"), "KafkaTopic", "events")
    name, partitions = topic["metadata"]["name"], topic["spec"]["partitions"]
    group = only(rendered("stream"), "ScaledObject", "stream")["spec"]["triggers"][0]["metadata"]["consumerGroup"]
    kafka_broker.create_topic(name, partitions=partitions, **{key.replace(".", "_"): str(value) for key, value in retention(topic).items()})
    produce(kafka_broker.address, name, partitions)
    port, log = free_port(), tmp_path / "stream.log"
    with private_redis() as client:
        redis_port = client.connection_pool.connection_kwargs["port"]
        with started(tmp_path, kafka_broker, redis_port, port) as process:
            wait_until(lambda: metrics(port).get("shelfrank_stream_messages_total") == MESSAGES, process, log)
            wait_until(lambda: metrics(port).get("shelfrank_stream_lag_messages") == 0, process, log)
            process.send_signal(signal.SIGTERM)
            assert process.wait(DEADLINE_S) == 0, log.read_text()[-3000:]
        assert client.dbsize() > 60
    events = pl.concat([pl.read_parquet(path) for path in (tmp_path / "volume" / "events").glob("events-*.parquet")], how="diagonal")
    assert sorted(events["request_id"]) == sorted(f"r{number}" for number in range(MESSAGES))
    # What KEDA asks the broker for.
    reader = Consumer({"bootstrap.servers": kafka_broker.address, "group.id": group})
    try:
        committed = reader.committed([TopicPartition(name, each) for each in range(partitions)], timeout=60)
    finally:
        reader.close()
    assert [each.offset for each in committed] == [MESSAGES // partitions] * partitions


def retention(topic: dict[str, dict[str, dict[str, object]]]) -> dict[str, object]:
    """The topic's settings but for the number of replicas, which one broker can't have."""
    return {key: value for key, value in topic["spec"]["config"].items() if key != "min.insync.replicas"}
