"""The real broker, for the tests that need one."""

from tests.engines.kafka.broker import kafka_broker

__all__ = ["kafka_broker"]
