"""The service's producer on a real broker: a topic that isn't there, a broker that is killed and comes back."""

import time

import pytest
from confluent_kafka import Consumer, TopicPartition

from components.contract.errors import InputError, LogUnavailable
from serving.stream.producers.kafka_producer import KafkaProducer
from serving.stream.sources.kafka_settings import parse_kafka_address
from tests.engines.kafka.broker import PASSWORD, USER, Broker
from tests.serving.stream.producers.sent import messages, outcome

pytestmark = pytest.mark.slow


def producer(broker: Broker, topic: str, settings: str = "", **environment: str) -> KafkaProducer:
    return KafkaProducer(parse_kafka_address(f"kafka://{broker.address}/{topic}{settings}", environment))


def stored(broker: Broker, topic: str) -> list[bytes]:
    consumer = Consumer({"bootstrap.servers": broker.address, "group.id": "reader"})
    try:
        consumer.assign([TopicPartition(topic, 0, 0)])
        end = consumer.get_watermark_offsets(TopicPartition(topic, 0), timeout=60)[1]
        read: list[bytes] = []
        while len(read) < end:
            message = consumer.poll(60)
            assert message is not None
            read.append(bytes(message.value() or b""))
        return read
    finally:
        consumer.close()


def test_a_topic_that_isnt_there_is_told_at_the_start(kafka_broker: Broker) -> None:
    with pytest.raises(InputError, match="expected the topic 'no-such', and the broker doesn't have it; create it"):
        producer(kafka_broker, "no-such")


def test_a_message_larger_than_the_broker_takes_is_the_senders_fault(kafka_broker: Broker) -> None:
    kafka_broker.create_topic("small", max_message_bytes="2000")
    kafka = producer(kafka_broker, "small", "?compression.type=none")
    error = outcome(kafka, messages("x" * 5000))
    assert isinstance(error, InputError)
    assert "`max.message.bytes`" in str(error)
    assert outcome(kafka, messages("small")) is None
    assert kafka.close(30)


def test_a_wrong_password_is_told_at_the_start(kafka_broker: Broker) -> None:
    kafka_broker.create_topic("secured")
    address = f"kafka://{kafka_broker.sasl_address}/secured?security.protocol=SASL_PLAINTEXT&sasl.mechanism=PLAIN&sasl.username={USER}"
    with pytest.raises(InputError, match=f"the broker refuses the user '{USER}'.*SHELFRANK_KAFKA_PASSWORD"):
        KafkaProducer(parse_kafka_address(address, {"SHELFRANK_KAFKA_PASSWORD": "wrong"}))
    kafka = KafkaProducer(parse_kafka_address(address, {"SHELFRANK_KAFKA_PASSWORD": PASSWORD}))
    assert outcome(kafka, messages("kept")) is None
    assert kafka.close(30)


def test_what_was_acknowledged_survives_a_killed_broker_and_the_producer_goes_on_when_it_is_back(kafka_broker: Broker) -> None:
    kafka_broker.create_topic("kept-events")
    kafka = producer(kafka_broker, "kept-events")
    acknowledged = [f"first {number}" for number in range(50) if outcome(kafka, messages(f"first {number}")) is None]
    assert len(acknowledged) == 50
    kafka_broker.kill()
    error = outcome(kafka, messages("lost"))
    assert isinstance(error, LogUnavailable)
    assert "send them again later" in str(error)
    assert kafka.failing
    kafka_broker.start()
    until_s = time.monotonic() + 120
    while outcome(kafka, messages("second")) is not None:
        assert time.monotonic() < until_s
    assert not kafka.failing
    assert kafka.close(30)
    read = [value.decode() for value in stored(kafka_broker, "kept-events")]
    assert [value for value in read if value.startswith("first")] == acknowledged
    assert "second" in read
