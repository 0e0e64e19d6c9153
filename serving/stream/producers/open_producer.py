"""Open the stream that events go to by its address."""

from dataclasses import replace

from components.contract.errors import InputError
from serving.stream.producers.producer import Producer

KINDS = "kafka://HOST:PORT/TOPIC or redis://HOST:PORT/DB?stream=NAME"


def open_producer(address: str, *, redis_password: str = "") -> Producer:
    """Open a producer; the client's package is imported only here, where it is used.

    Args:
        address: of the stream.
        redis_password: where the environment has none.

    Raises:
        InputError: it is no address of a stream, or the broker refuses it.
    """
    if address.startswith("kafka://"):
        from serving.stream.producers.kafka_producer import KafkaProducer
        from serving.stream.sources.kafka_settings import parse_kafka_address

        return KafkaProducer(parse_kafka_address(address))
    if address.startswith(("redis://", "rediss://")):
        from serving.stream.producers.redis_producer import RedisProducer
        from serving.stream.sources.redis_settings import parse_redis_address

        named = parse_redis_address(address)
        return RedisProducer(replace(named, password=named.password or redis_password))
    raise InputError(f"expected a stream for events ({KINDS}), got {address.partition('?')[0]}")
