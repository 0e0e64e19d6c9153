"""Entries of Redis Streams come once, from a position on; what was trimmed before it was read is counted."""

import logging

import pytest
import redis

from components.contract.errors import InputError, SourceUnavailable
from serving.stream.sources.redis_settings import PASSWORD_VARIABLE, parse_redis_address
from serving.stream.sources.redis_streams import RedisStreamsSource
from tests.serving.stream.sources.positions import Positions, read


def address(client: redis.Redis) -> str:
    return f"redis://127.0.0.1:{client.connection_pool.connection_kwargs['port']}/0"


def opened(client: redis.Redis, positions: Positions, query: str = "stream=clicks", **environment: str) -> RedisStreamsSource:
    return RedisStreamsSource(parse_redis_address(f"{address(client)}?{query}", environment), positions)


def test_entries_come_once_across_processes_and_a_position_is_gone_back_to(client: redis.Redis) -> None:
    ids = [client.xadd("clicks", {"event": str(at)}) for at in range(10)]
    positions = Positions()
    first = opened(client, positions)
    assert read(first, positions, 4, most=4) == [b"0", b"1", b"2", b"3"]
    assert first.lag() == {"clicks": 6}
    first.close()
    second = opened(client, positions)
    assert read(second, positions, 6, most=4) == [b"4", b"5", b"6", b"7", b"8", b"9"]
    assert second.poll(most=4, timeout_s=0) == []
    assert second.lag() == {"clicks": 0}
    (milliseconds, sequence) = map(int, ids[-1].split(b"-"))
    assert positions.offsets == {"clicks": (milliseconds << 20 | sequence) + 1}
    second.seek("clicks", 0)
    (again,) = second.poll(most=20, timeout_s=60)
    assert len(again.values) == 10
    assert again.times_us[-1] == milliseconds * 1000
    assert not second.finished()


def test_streams_are_partitions(client: redis.Redis) -> None:
    for at in range(3):
        client.xadd(f"clicks:{at}", {"event": str(at)})
    positions = Positions()
    assert sorted(read(opened(client, positions, "stream=clicks&partitions=3"), positions, 3)) == [b"0", b"1", b"2"]
    assert positions.log == [("assigned", ("clicks:0", "clicks:1", "clicks:2"))]
    positions = Positions()
    assert sorted(read(opened(client, positions, "stream=clicks:0&stream=clicks:2"), positions, 2)) == [b"0", b"2"]


def test_the_message_is_a_field_or_all_of_them(client: redis.Redis) -> None:
    client.xadd("clicks", {"user": "u", "item": "é"})
    positions = Positions()
    assert read(opened(client, positions), positions, 1) == [b'{"user": "u", "item": "\\u00e9"}']
    positions = Positions()
    assert read(opened(client, positions, "stream=clicks&field=item"), positions, 1) == ["é".encode()]
    positions = Positions()
    assert read(opened(client, positions, "stream=clicks&field=body"), positions, 1) == [b""]


def test_entries_that_were_trimmed_before_they_were_read_are_counted(client: redis.Redis, caplog: pytest.LogCaptureFixture) -> None:
    for at in range(10):
        client.xadd("clicks", {"event": str(at)})
    positions = Positions()
    source = opened(client, positions)
    read(source, positions, 10)
    for at in range(10, 18):
        client.xadd("clicks", {"event": str(at)})
    client.xtrim("clicks", maxlen=3, approximate=False)
    with caplog.at_level(logging.ERROR):
        (messages,) = source.poll(most=9, timeout_s=60)
    assert (messages.values, messages.lost) == ([b"15", b"16", b"17"], 5)
    assert "5 entries of stream 'clicks' are lost: they were trimmed before they were read" in caplog.text
    positions.take([messages])
    client.xadd("clicks", {"event": "18"})
    (messages,) = source.poll(most=9, timeout_s=60)
    assert messages.lost == 0
    # A process that begins at a position doesn't know how many there were, but that there may have been some.
    positions.take([messages])
    for at in (19, 20):
        client.xadd("clicks", {"event": str(at)})
    client.xtrim("clicks", maxlen=1, approximate=False)
    (messages,) = opened(client, positions).poll(most=9, timeout_s=60)
    assert (messages.values, messages.lost) == ([b"20"], 0)
    assert "expected stream 'clicks' to reach back to where reading stopped, and it begins after it" in caplog.text


def test_entries_trimmed_after_they_were_read_or_before_anything_was_are_not_lost(
    client: redis.Redis, caplog: pytest.LogCaptureFixture
) -> None:
    for at in range(10):
        client.xadd("clicks", {"event": str(at)})
    client.xtrim("clicks", maxlen=5, approximate=False)
    positions = Positions()
    source = opened(client, positions)
    (messages,) = source.poll(most=3, timeout_s=60)
    assert messages.lost == 0
    positions.take([messages])
    client.xtrim("clicks", maxlen=3, approximate=False)
    (messages,) = source.poll(most=2, timeout_s=60)
    assert (messages.values, messages.lost) == ([b"8", b"9"], 0)
    positions.take([messages])
    client.xadd("clicks", {"event": "10"})
    assert read(opened(client, positions), positions, 1) == [b"10"]
    assert not caplog.text


def test_a_stream_that_is_not_there_is_waited_for_and_said_once(client: redis.Redis, caplog: pytest.LogCaptureFixture) -> None:
    positions = Positions()
    source = opened(client, positions)
    for _ in range(2):
        assert source.poll(most=9, timeout_s=0.05) == []
    assert caplog.text.count("there is no stream 'clicks' yet; waiting") == 1
    client.xadd("clicks", {"event": "0"})
    assert read(source, positions, 1) == [b"0"]


def test_faults_are_sentences(client: redis.Redis) -> None:
    client.set("text", "x")
    with pytest.raises(InputError, match=r"expected streams to read, and Redis says: WRONGTYPE .*; check `stream`"):
        opened(client, Positions(), "stream=text").poll(most=1, timeout_s=0)
    client.xadd("clicks", {"event": "0"}, id=f"1-{1 << 20}")
    with pytest.raises(InputError, match=r"with sequence numbers below 1,048,576, got 1-1048576; let Redis make the ids"):
        opened(client, Positions()).poll(most=1, timeout_s=0)
    client.config_set("requirepass", "secret")
    try:
        for password in ("", "wrong-password"):
            environment = {PASSWORD_VARIABLE: password} if password else {}
            with pytest.raises(InputError, match=r"expected to be let in, and Redis refuses: .*; check the user") as refused:
                opened(client, Positions(), **environment).poll(most=1, timeout_s=0)
            assert "wrong-password" not in str(refused.value)
    finally:
        redis.Redis(port=client.connection_pool.connection_kwargs["port"], password="secret").config_set("requirepass", "")


def test_a_server_that_does_not_answer_is_asked_again(client: redis.Redis) -> None:
    source = RedisStreamsSource(parse_redis_address("redis://127.0.0.1:1/0?stream=clicks"), Positions())
    for _ in range(2):
        with pytest.raises(SourceUnavailable, match=r"redis://127.0.0.1:1/0\?stream=clicks: expected an answer of Redis, got none"):
            source.poll(most=1, timeout_s=0)


@pytest.mark.parametrize(
    ("given_address", "fault"),
    [
        ("redis://host/0", r"expected redis://HOST:PORT/0\?stream=NAME, got redis://host/0"),
        ("redis://host/0?stream=a&partitions=x", "expected `partitions` to be the number"),
        ("redis://user:secret@host/0?stream=a", f"redis://host/0: a password in an address .* give it in {PASSWORD_VARIABLE}"),
    ],
)
def test_an_address_that_cannot_be_used_is_refused_without_showing_its_password(given_address: str, fault: str) -> None:
    with pytest.raises(InputError, match=fault) as refused:
        parse_redis_address(given_address, {})
    assert "secret" not in str(refused.value)
