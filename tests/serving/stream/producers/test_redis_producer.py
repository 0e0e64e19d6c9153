"""A producer of Redis Streams against a real Redis."""

import shutil
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import redis

from components.contract.errors import InputError, LogUnavailable
from serving.stream.producers.producer import StreamMessage
from serving.stream.producers.redis_producer import RedisProducer
from serving.stream.sources.redis_settings import parse_redis_address
from tests.serving.state.private_redis import answering, private_redis
from tests.serving.stream.producers.sent import messages, outcome


@pytest.fixture
def server() -> Iterator[redis.Redis]:
    with private_redis() as client:
        yield client


def address(client: redis.Redis, stream: str = "clicks") -> str:
    return f"redis://127.0.0.1:{client.connection_pool.connection_kwargs['port']}/0?stream={stream}"


def producer(url: str, password: str = "") -> RedisProducer:
    return RedisProducer(replace(parse_redis_address(url, {}), password=password))


def stored(client: redis.Redis, stream: str = "clicks", field: bytes = b"value") -> list[bytes]:
    entries = [fields for _, fields in client.xrange(stream)]
    assert all(set(fields) == {field} for fields in entries)  # the only field is what a reader takes for the message
    return [fields[field] for fields in entries]


def test_a_call_is_done_when_redis_has_answered_and_everything_keeps_its_order(server: redis.Redis) -> None:
    writer = producer(address(server))
    for number in range(5):
        assert outcome(writer, [StreamMessage(key, f"{key}{number}".encode()) for key in ("a", "", "b")]) is None
    assert stored(server) == [b"%s%d" % (key, number) for number in range(5) for key in (b"a", b"", b"b")]
    assert outcome(writer, []) is None
    assert writer.close(10)


def test_what_was_acknowledged_survives_a_killed_redis_and_the_writer_goes_on_when_it_is_back(tmp_path: Path) -> None:
    command = shutil.which("redis-server")
    if command is None:
        pytest.skip("no redis-server here: apt-get install redis-server")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    durable = [
        command,
        "--port",
        str(port),
        "--bind",
        "127.0.0.1",
        "--dir",
        str(tmp_path),
        "--appendonly",
        "yes",
        "--appendfsync",
        "always",
    ]
    process = subprocess.Popen(durable, stdout=subprocess.DEVNULL)
    try:
        with redis.Redis(port=port) as client:
            answering(client, process)
            writer = producer(f"redis://127.0.0.1:{port}/0?stream=clicks")
            assert outcome(writer, messages("first")) is None
            process.kill()
            process.wait()
            error = outcome(writer, messages("lost"))
            assert isinstance(error, LogUnavailable)
            assert "didn't store the events" in str(error)
            assert writer.failing
            process = subprocess.Popen(durable, stdout=subprocess.DEVNULL)
            answering(client, process)
            assert outcome(writer, messages("second")) is None
            assert not writer.failing
            assert stored(client) == [b"first", b"second"]
    finally:
        process.kill()
        process.wait()


def test_a_redis_without_an_append_only_file_is_warned_of(server: redis.Redis, caplog: pytest.LogCaptureFixture) -> None:
    producer(address(server))
    assert "keeps no append-only file" in caplog.text
    caplog.clear()
    server.config_set("appendonly", "yes")
    producer(address(server))
    assert not caplog.text
    server.config_set("appendonly", "no")


def test_a_redis_that_isnt_there_refuses_and_the_writer_waits_for_it() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    writer = producer(f"redis://127.0.0.1:{port}/0?stream=clicks")
    assert writer.failing
    assert isinstance(outcome(writer, messages("lost")), LogUnavailable)


def test_a_full_redis_is_told_with_what_to_do(server: redis.Redis) -> None:
    writer = producer(address(server))
    server.config_set("maxmemory", 1)
    error = outcome(writer, messages("lost"))
    assert isinstance(error, LogUnavailable)
    assert "no memory left" in str(error)
    assert "trim the stream (XTRIM)" in str(error)
    server.config_set("maxmemory", 0)
    assert outcome(writer, messages("kept")) is None


def test_more_than_fits_into_memory_is_refused_at_once(server: redis.Redis) -> None:
    writer = producer(address(server))
    error = outcome(writer, [StreamMessage("a", bytes(1 << 20))] * 65)
    assert isinstance(error, LogUnavailable)
    assert "wait for Redis already" in str(error)


def test_a_key_of_another_kind_and_a_wrong_password_are_told_at_the_start(server: redis.Redis) -> None:
    server.set("clicks", "text")
    with pytest.raises(InputError, match=r"expected a stream or nothing under 'clicks', got b'string'"):
        producer(address(server))
    server.config_set("requirepass", "correct-horse")
    with pytest.raises(InputError, match="Redis refuses the client"):
        producer(address(server, "other"), "wrong")
    assert outcome(producer(address(server, "other"), "correct-horse"), messages("kept")) is None


def test_a_keys_messages_are_in_one_of_the_partitions(server: redis.Redis) -> None:
    writer = producer(address(server) + "&partitions=4&field=event")
    sent = [StreamMessage(f"u{number % 20}", f"u{number % 20}-{number}".encode()) for number in range(200)]
    assert outcome(writer, sent) is None
    partitions = [stored(server, f"clicks:{number}", b"event") for number in range(4)]
    assert all(partitions)
    assert sum(map(len, partitions)) == 200
    for user in range(20):
        (mine,) = [own for part in partitions if (own := [value for value in part if value.startswith(b"u%d-" % user)])]
        assert mine == [b"u%d-%d" % (user, number) for number in range(200) if number % 20 == user]
