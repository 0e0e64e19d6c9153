"""What the mock cluster can't show, on a real broker: retention, restarts, credentials, groups, and topics that go."""

import logging
from collections.abc import Iterator
from itertools import count

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient

from components.contract.errors import InputError, SourceUnavailable
from serving.stream.sources.kafka import KafkaSource
from serving.stream.sources.kafka_settings import PASSWORD_VARIABLE, parse_kafka_address
from tests.engines.kafka.broker import PASSWORD, USER, Broker
from tests.serving.stream.sources.positions import Positions, read, until

_NUMBERS = count()


class Topic:
    """A topic of a test's own, and what reads and writes it."""

    def __init__(self, broker: Broker, *, partitions: int = 1, **config: str) -> None:
        self.broker, self.name, self.partitions = broker, f"topic-{next(_NUMBERS)}", partitions
        broker.create_topic(self.name, partitions=partitions, **config)
        self._opened: list[KafkaSource] = []

    def produce(self, numbers: range, *, padding: int = 0) -> None:
        producer = Producer({"bootstrap.servers": self.broker.address, "acks": "all", "message.max.bytes": 20_000_000, "log_level": 0})
        for number in numbers:
            producer.produce(self.name, b"%d" % number + b" " * padding, partition=number % self.partitions)
            producer.poll(0)
        assert producer.flush(120) == 0

    def source(self, positions: Positions, query: str = "") -> KafkaSource:
        address = parse_kafka_address(f"kafka://{self.broker.address}/{self.name}{query}", {})
        self._opened.append(KafkaSource(address, positions, group=f"group-{self.name}"))
        return self._opened[-1]

    def close(self) -> None:
        for each in self._opened:
            each.close()

    def recreate(self) -> None:
        self.delete()
        until(lambda: self.name not in self._admin.list_topics(timeout=60).topics)
        self.broker.create_topic(self.name, partitions=self.partitions)

    def delete(self) -> None:
        self._admin = AdminClient({"bootstrap.servers": self.broker.address})
        self._admin.delete_topics([self.name])[self.name].result(60)


@pytest.fixture
def topics(kafka_broker: Broker) -> Iterator[list[Topic]]:
    made: list[Topic] = []
    yield made
    for each in made:
        each.close()


def numbers(values: list[bytes]) -> list[int]:
    return sorted(map(int, values))


def test_messages_that_retention_deleted_are_counted_and_shouted(
    kafka_broker: Broker, topics: list[Topic], caplog: pytest.LogCaptureFixture
) -> None:
    topics.append(topic := Topic(kafka_broker, partitions=2))
    topic.produce(range(100))
    kafka_broker.delete_before(topic.name, 0, 30)
    positions = Positions({f"{topic.name}/0": 10})  # of partition 1 nothing was read: nothing is missing
    source, lost, values = topic.source(positions), {}, []
    with caplog.at_level(logging.ERROR):
        while len(values) < 20 + 50:
            for part in source.poll(most=1_000, timeout_s=1):
                lost[part.partition] = lost.get(part.partition, 0) + part.lost
                values += positions.take([part])
    assert lost == {f"{topic.name}/0": 20, f"{topic.name}/1": 0}
    assert (
        "20 messages of partition 0 are lost: offsets 10 to 29 were deleted by the topic's retention before they were read" in caplog.text
    )


@pytest.mark.slow
def test_every_message_comes_once_through_kills_of_the_broker(kafka_broker: Broker, topics: list[Topic]) -> None:
    topics.append(topic := Topic(kafka_broker, partitions=2))
    topic.produce(range(1_000))
    positions = Positions()
    values: list[bytes] = []
    source = topic.source(positions, "?session.timeout.ms=2000&heartbeat.interval.ms=500")

    def take() -> bool:
        values.extend(positions.take(source.poll(most=50, timeout_s=0.5)))
        return False

    for at in range(2):
        values += read(source, positions, 400, most=50)
        kafka_broker.kill()
        with pytest.raises(SourceUnavailable, match="expected an answer of Kafka, got none"):
            until(take)
        kafka_broker.start()
        topic.produce(range(1_000 * (at + 1), 1_000 * (at + 2)))
    values += read(source, positions, 3_000 - len(values))
    assert numbers(values) == list(range(3_000))


@pytest.mark.slow
def test_partitions_move_to_another_consumer_and_back(kafka_broker: Broker, topics: list[Topic]) -> None:
    topics.append(topic := Topic(kafka_broker, partitions=4))
    topic.produce(range(80))
    mine, theirs = Positions(), Positions()
    source = topic.source(mine)
    seen = read(source, mine, 80)
    source.committed(dict.fromkeys(mine.offsets, 1))  # what the broker knows has no effect
    theirs.offsets = mine.offsets  # one store of positions
    other = topic.source(theirs)

    def take() -> None:
        seen.extend(mine.take(source.poll(most=100, timeout_s=0.1)) + theirs.take(other.poll(most=100, timeout_s=0.1)))

    def both_read() -> bool:
        take()
        return len(source.lag()) == len(other.lag()) == 2

    until(both_read)
    assert ("revoked", tuple(f"{topic.name}/{at}" for at in range(4))) in mine.log
    topic.produce(range(80, 160))
    while len(seen) < 160:
        take()
    other.close()
    topic.produce(range(160, 200))
    seen += read(source, mine, 40)
    assert numbers(seen) == list(range(200))


@pytest.mark.slow
def test_a_consumer_without_partition_says_so_and_takes_over(
    kafka_broker: Broker, topics: list[Topic], caplog: pytest.LogCaptureFixture
) -> None:
    topics.append(topic := Topic(kafka_broker))
    topic.produce(range(3))
    first, second = Positions(), Positions()
    busy = topic.source(first)
    read(busy, first, 3)
    second.offsets = first.offsets
    idle = topic.source(second)

    def one_waits() -> bool:
        for source, positions in ((busy, first), (idle, second)):
            positions.take(source.poll(most=10, timeout_s=0.1))
        return "expected a partition to read, got none: the consumers of group" in caplog.text

    until(one_waits)
    for _ in range(10):
        one_waits()
    assert caplog.text.count("expected a partition to read, got none") == 1
    waiting, positions = (idle, second) if busy.lag() else (busy, first)
    (busy if busy.lag() else idle).close()
    topic.produce(range(3, 6))
    assert numbers(read(waiting, positions, 3)) == [3, 4, 5]


@pytest.mark.slow
def test_credentials_are_checked_and_the_password_is_not_shown(kafka_broker: Broker, topics: list[Topic]) -> None:
    topics.append(topic := Topic(kafka_broker))
    topic.produce(range(3))
    query = f"?security.protocol=SASL_PLAINTEXT&sasl.mechanism=PLAIN&sasl.username={USER}"
    url = f"kafka://{kafka_broker.sasl_address}/{topic.name}{query}"
    positions = Positions()
    source = KafkaSource(parse_kafka_address(url, {PASSWORD_VARIABLE: PASSWORD}), positions, group="let-in")
    assert numbers(read(source, positions, 3)) == [0, 1, 2]
    source.close()
    wrong = KafkaSource(parse_kafka_address(url, {PASSWORD_VARIABLE: "battery-staple"}), positions, group="kept-out")
    with pytest.raises(InputError, match=f"the broker refuses the user '{USER}': .*check sasl.mechanism") as refused:
        wrong.poll(most=1, timeout_s=0)
    assert "battery-staple" not in str(refused.value)
    wrong.close()


@pytest.mark.slow
def test_large_messages_come_whatever_the_client_fetches_at_a_time(kafka_broker: Broker, topics: list[Topic]) -> None:
    topics.append(topic := Topic(kafka_broker, max_message_bytes="10000000"))
    topic.produce(range(4), padding=3_000_000)
    positions = Positions()
    small = "?fetch.message.max.bytes=1000&queued.max.messages.kbytes=100"
    assert numbers(read(topic.source(positions, small), positions, 4)) == [0, 1, 2, 3]


@pytest.mark.slow
def test_a_topic_made_anew_is_refused(kafka_broker: Broker, topics: list[Topic]) -> None:
    topics.append(topic := Topic(kafka_broker))
    topic.produce(range(10))
    positions = Positions()
    source = topic.source(positions)
    read(source, positions, 10)
    source.close()
    topic.recreate()
    source = topic.source(positions)
    with pytest.raises(InputError, match="expected messages up to offset 10 in partition 0, where reading stopped, and it ends at 0"):
        until(lambda: bool(source.poll(most=1, timeout_s=0.5)))


@pytest.mark.slow
def test_added_partitions_are_read_and_a_deleted_topic_is_said(kafka_broker: Broker, topics: list[Topic]) -> None:
    topics.append(topic := Topic(kafka_broker))
    topic.produce(range(10))
    positions = Positions()
    source = topic.source(positions)
    read(source, positions, 10)
    kafka_broker.add_partitions(topic.name, 2)
    topic.partitions = 2
    topic.produce(range(10, 20))
    assert numbers(read(source, positions, 10)) == list(range(10, 20))
    topic.delete()
    with pytest.raises(InputError, match=f"expected the topic '{topic.name}', which isn't there any more"):
        until(lambda: bool(source.poll(most=1, timeout_s=0.5)))
