"""The broker for the tests of this folder."""

from tests.engines.kafka.broker import kafka_broker

__all__ = ["kafka_broker"]
