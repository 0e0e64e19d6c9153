"""Open a source by its address."""

from components.contract.errors import InputError
from serving.stream.interface import Assignment, Source
from serving.stream.sources.kafka import KafkaSource
from serving.stream.sources.kafka_settings import parse_kafka_address

KINDS = "kafka://HOST:PORT/TOPIC"


def open_source(address: str, assignment: Assignment, *, group: str) -> Source:
    """Open a source. Whether it answers is known by the first `poll`.

    Args:
        address: see docs/how-to/streams.md.
        assignment: is asked for positions and told of partitions that are given up.
        group: consumers of one group share the partitions of a topic.

    Raises:
        InputError: it is no address of a source.
    """
    if address.startswith("kafka://"):
        return KafkaSource(parse_kafka_address(address), assignment, group=group)
    raise InputError(f"expected a source ({KINDS}), got {address.partition('?')[0]}")
