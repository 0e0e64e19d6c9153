"""A producer of Kafka against the client's mock cluster."""

import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest

from components.contract.errors import InputError, LogUnavailable
from serving.stream.producers.kafka_producer import KafkaProducer
from serving.stream.producers.producer import StreamMessage
from serving.stream.sources.kafka_settings import parse_kafka_address
from tests.serving.stream.producers.mock_kafka import mock_kafka, stored
from tests.serving.stream.producers.sent import messages, outcome


@pytest.fixture(scope="module")
def brokers() -> Iterator[str]:
    with mock_kafka() as addresses:
        yield addresses


def nowhere() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{probe.getsockname()[1]}"


def producer(address: str) -> KafkaProducer:
    return KafkaProducer(parse_kafka_address(address))


def test_a_call_is_done_when_all_of_it_is_stored_and_a_keys_messages_keep_their_order(brokers: str) -> None:
    kafka = producer(f"kafka://{brokers}/orders")
    for number in range(20):
        sent = [StreamMessage(key, f"{key}{number}.{part}".encode()) for part in range(3) for key in ("a", "b", "c", "")]
        assert outcome(kafka, sent) is None
    assert outcome(kafka, []) is None
    assert kafka.close(30)
    read = stored(brokers, "orders", 240)
    for key in "abc":
        assert [value.decode() for _, its, value in read if its == key] == [f"{key}{n}.{part}" for n in range(20) for part in range(3)]
        assert len({partition for partition, its, _ in read if its == key}) == 1
    assert sum(key == "" for _, key, _ in read) == 60


def test_a_message_that_the_topic_never_takes_isnt_worth_another_try(brokers: str) -> None:
    kafka = producer(f"kafka://{brokers}/large?message.max.bytes=2000")
    assert kafka.most_bytes < 2000
    error = outcome(kafka, messages("small", "x" * 5000, "small"))
    assert isinstance(error, InputError)
    assert "takes no event as large" in str(error)
    assert kafka.close(30)


def test_more_than_fits_into_memory_is_refused_at_once(brokers: str) -> None:
    kafka = producer(f"kafka://{brokers}/many?queue.buffering.max.messages=100&linger.ms=2000")
    error = outcome(kafka, messages(*map(str, range(200))))
    assert isinstance(error, LogUnavailable)
    assert "100 events wait for Kafka already; send these again later" in str(error)
    assert kafka.close(30)


def test_without_a_broker_the_producer_starts_and_refuses(caplog: pytest.LogCaptureFixture) -> None:
    kafka = producer(f"kafka://{nowhere()}/orders")
    assert kafka.failing
    assert "Kafka doesn't answer yet" in caplog.text
    error = outcome(kafka, messages("lost"))
    assert isinstance(error, LogUnavailable)
    assert "didn't store the events within 4 s" in str(error)
    kafka.close(5)


def test_a_broker_that_goes_away_is_noticed_and_what_it_lacks_isnt_acknowledged() -> None:
    with mock_kafka(brokers=1) as brokers:
        kafka = producer(f"kafka://{brokers}/orders")
        assert outcome(kafka, messages("kept")) is None
        assert not kafka.failing
    assert isinstance(outcome(kafka, messages("lost")), LogUnavailable)
    assert kafka.failing
    kafka.close(5)


@pytest.mark.parametrize("setting", ["acks=1", "enable.idempotence=false", "transactional.id=x", "message.timeout.ms=1"])
def test_what_an_acknowledgement_rests_on_cant_be_set(setting: str) -> None:
    with pytest.raises(InputError, match=f"{setting.partition('=')[0]}.*can't be set.*leave it out"):
        producer(f"kafka://127.0.0.1:1/orders?{setting}")


def test_a_setting_that_the_client_doesnt_know_is_an_error() -> None:
    with pytest.raises(InputError, match=r"no\.such.*settings are librdkafka's"):
        producer("kafka://127.0.0.1:1/orders?no.such=1")


def test_kafkas_client_is_imported_only_where_events_go_to_kafka() -> None:
    script = (
        "import sys, serving.service.lifespan; assert 'confluent_kafka' not in sys.modules; import serving.stream.producers.kafka_producer"
    )
    subprocess.run([sys.executable, "-c", script + "; assert 'confluent_kafka' in sys.modules"], check=True, timeout=300)
