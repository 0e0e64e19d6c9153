"""A topic is read from the caller's positions, on the mock cluster that the client has inside."""

from collections.abc import Iterator

import pytest
from confluent_kafka import Producer

from components.contract.errors import InputError, SourceUnavailable, StateUnavailable
from serving.stream.sources.kafka import KafkaSource
from serving.stream.sources.kafka_settings import parse_kafka_address
from tests.serving.stream.sources.positions import Positions, read, until

PARTITIONS = 4  # of a topic that the mock cluster creates


class Cluster:
    """A mock cluster, which lives as long as its producer, and its topics."""

    def __init__(self) -> None:
        self._producer = Producer({"test.mock.num.brokers": 1, "bootstrap.servers": "mock", "log_level": 0})
        (broker,) = self._producer.list_topics(timeout=60).brokers.values()
        self.address = f"{broker.host}:{broker.port}"

    def produce(self, topic: str, numbers: range, *, time_ms: int = 0) -> None:
        for number in numbers:
            self._producer.produce(topic, b"%d" % number, partition=number % PARTITIONS, timestamp=time_ms)
        assert self._producer.flush(60) == 0

    def source(self, topic: str, positions: Positions, query: str = "") -> KafkaSource:
        return KafkaSource(parse_kafka_address(f"kafka://{self.address}/{topic}{query}", {}), positions, group=f"group-{topic}")


@pytest.fixture(scope="module")
def cluster() -> Cluster:
    return Cluster()


@pytest.fixture
def sources() -> Iterator[list[KafkaSource]]:
    opened: list[KafkaSource] = []
    yield opened
    for each in opened:
        each.close()


def numbers(values: list[bytes]) -> list[int]:
    return sorted(map(int, values))


def test_positions_are_the_callers_and_can_be_gone_back_to(cluster: Cluster, sources: list[KafkaSource]) -> None:
    cluster.produce("clicks", range(40), time_ms=1_700_000_000_123)
    cluster._producer.produce("clicks", None, partition=3, timestamp=1_700_000_000_123)
    cluster._producer.flush(60)
    names = tuple(f"clicks/{partition}" for partition in range(PARTITIONS))
    positions = Positions({names[0]: 3, names[1]: 10, names[2]: 9})
    positions.fault = StateUnavailable("the store of positions doesn't answer; it is asked again")
    sources.append(source := cluster.source("clicks", positions))
    with pytest.raises(StateUnavailable):
        until(lambda: bool(source.poll(most=5, timeout_s=0.5)))
    values = []
    while len(values) < 19:
        messages = source.poll(most=7, timeout_s=1)
        assert {time for part in messages for time in part.times_us.tolist()} <= {1_700_000_000_123_000}
        assert all(part.lost == 0 for part in messages)
        values += positions.take(messages)
    assert sorted(values) == sorted([b""] + [b"%d" % number for number in (*range(12, 40, 4), 38, *range(3, 40, 4))])
    assert source.poll(most=5, timeout_s=0.2) == []
    assert source.lag() == dict.fromkeys(names, 0)
    source.seek(names[1], 4)
    positions.offsets[names[1]] = 4
    cluster.produce("clicks", range(40, 44))
    assert numbers(read(source, positions, 10)) == sorted([*range(17, 40, 4), *range(40, 44)])
    assert not source.finished()
    source.close()
    assert positions.log == [("assigned", names), ("revoked", names)]


def test_a_missing_topic_names_the_closest(cluster: Cluster, sources: list[KafkaSource]) -> None:
    cluster.produce("views", range(1))
    sources.append(source := cluster.source("viewz", Positions()))
    with pytest.raises(InputError, match="expected a topic 'viewz', which isn't there; did you mean 'views'\\?; create it first"):
        source.poll(most=1, timeout_s=0)


def test_an_unknown_setting_is_refused_when_it_is_opened(cluster: Cluster) -> None:
    with pytest.raises(InputError, match=r'No such configuration property: "security.protokol"; settings are librdkafka'):
        cluster.source("clicks", Positions(), "?security.protokol=SSL")


def test_a_broker_that_does_not_answer_is_asked_again(monkeypatch: pytest.MonkeyPatch, sources: list[KafkaSource]) -> None:
    monkeypatch.setattr("serving.stream.sources.kafka._CALL_S", 1.0)
    sources.append(source := KafkaSource(parse_kafka_address("kafka://127.0.0.1:1/clicks", {}), Positions(), group="g"))
    for _ in range(2):
        with pytest.raises(SourceUnavailable, match=r"kafka://127\.0\.0\.1:1/clicks: expected an answer of Kafka, got none: .*refused"):
            source.poll(most=1, timeout_s=0)
