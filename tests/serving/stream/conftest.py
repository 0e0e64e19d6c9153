"""What tests of a stream share: the real broker, and an empty Redis for each test."""

from collections.abc import Iterator

import pytest
import redis

from tests.engines.kafka.broker import kafka_broker
from tests.serving.state.private_cluster import private_cluster
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


@pytest.fixture
def cluster() -> Iterator[redis.RedisCluster]:
    with private_cluster() as ports, redis.RedisCluster("127.0.0.1", ports[0]) as client:
        yield client
