"""What tests of a stream share: the real broker, and an empty Redis for each test."""

from collections.abc import Iterator

import pytest
import redis

from tests.engines.kafka.broker import kafka_broker
from tests.serving.state.private_redis import private_redis

__all__ = ["kafka_broker"]


@pytest.fixture(scope="module")
def server() -> Iterator[redis.Redis]:
    with private_redis() as client:
        yield client


@pytest.fixture
def client(server: redis.Redis) -> redis.Redis:
    server.flushall()
    return server
