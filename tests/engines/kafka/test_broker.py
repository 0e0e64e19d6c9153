"""The real broker keeps what it acknowledged through `kill -9`, and deletes what it is asked to."""

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

from tests.engines.kafka.broker import Broker

pytestmark = pytest.mark.slow


def test_acknowledged_messages_survive_a_kill_on_the_same_address(kafka_broker: Broker) -> None:
    kafka_broker.create_topic("kept", partitions=2)
    producer = Producer({"bootstrap.servers": kafka_broker.address, "acks": "all"})
    for number in range(100):
        producer.produce("kept", b"%d" % number, partition=number % 2)
    assert producer.flush(60) == 0
    address, pid = kafka_broker.address, kafka_broker.pid
    kafka_broker.kill()
    kafka_broker.start()
    assert kafka_broker.address == address
    assert kafka_broker.pid != pid
    kafka_broker.delete_before("kept", 0, 20)
    kafka_broker.add_partitions("kept", 3)
    consumer = Consumer({"bootstrap.servers": address, "group.id": "reader"})
    try:
        limits = [consumer.get_watermark_offsets(TopicPartition("kept", partition), timeout=60) for partition in range(3)]
    finally:
        consumer.close()
    assert limits == [(20, 50), (0, 50), (0, 0)]
