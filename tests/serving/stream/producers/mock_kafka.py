"""The client's own mock cluster, which other clients of this machine can use. It takes the topics that are asked for."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from confluent_kafka import Consumer, Producer, TopicPartition


@contextmanager
def mock_kafka(*, brokers: int = 3) -> Iterator[str]:
    """The addresses of a cluster that ends with the block."""
    cluster = Producer({"bootstrap.servers": "mock", "test.mock.num.brokers": brokers})
    metadata = cluster.list_topics(timeout=30)
    yield ",".join(f"{broker.host}:{broker.port}" for broker in metadata.brokers.values())
    del cluster


def stored(brokers: str, topic: str, count: int) -> list[tuple[int, str, bytes]]:
    """Partition, key and value of the topic's first messages, in each partition's order."""
    consumer = Consumer({"bootstrap.servers": brokers, "group.id": "reader", "auto.offset.reset": "earliest"})
    try:
        partitions = consumer.list_topics(topic, timeout=30).topics[topic].partitions
        consumer.assign([TopicPartition(topic, partition, 0) for partition in partitions])
        result: list[tuple[int, str, bytes]] = []
        until_s = time.monotonic() + 60
        while len(result) < count:
            assert time.monotonic() < until_s, f"{len(result)} of {count} messages"
            message = consumer.poll(1)
            if message is not None and message.error() is None:
                key, value = message.key(), message.value()
                result.append((message.partition() or 0, "" if key is None else bytes(key).decode(), bytes(value or b"")))
        return result
    finally:
        consumer.close()
