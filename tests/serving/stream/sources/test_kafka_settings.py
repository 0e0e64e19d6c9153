"""The address of a topic has the client's settings; secrets come from elsewhere and are shown nowhere."""

from pathlib import Path

import pytest

from components.contract.errors import InputError
from serving.stream.sources.kafka_settings import PASSWORD_VARIABLE, parse_kafka_address


def test_settings_come_from_the_address_before_the_file_and_the_password_from_the_environment(tmp_path: Path) -> None:
    file = tmp_path / "kafka.properties"
    file.write_text("# the shop's\nsecurity.protocol = SASL_SSL\nsasl.username=file\nsasl.password=in=file\n\n")
    address = parse_kafka_address(f"kafka://a:9092,b/clicks?sasl.username=me&properties={file}", {})
    assert (address.brokers, address.topic) == ("a:9092,b:9092", "clicks")
    assert address.settings == {"security.protocol": "SASL_SSL", "sasl.username": "me", "sasl.password": "in=file"}
    assert "in=file" not in f"{address} {address!r}"
    assert parse_kafka_address("kafka://a/clicks", {PASSWORD_VARIABLE: "p"}).settings == {"sasl.password": "p"}


@pytest.mark.parametrize(
    ("address", "fault"),
    [
        ("kafka://a:9092", "expected kafka://HOST:PORT/TOPIC, got kafka://a:9092/"),
        ("kafka://me:secret@a/clicks", f"kafka://a/clicks: an address isn't the place for a user and a password; .* {PASSWORD_VARIABLE}"),
        ("kafka://a/clicks?sasl.password=secret", f"'sasl.password' would be seen by all .* {PASSWORD_VARIABLE}"),
        ("kafka://a/clicks?auto.offset.reset=latest", "'auto.offset.reset' can't be set: lost messages are counted, not skipped"),
        ("kafka://a/clicks?properties=/none", "/none: expected a file of Kafka's settings"),
    ],
)
def test_an_address_that_cannot_be_used_is_refused_without_showing_a_password(address: str, fault: str) -> None:
    with pytest.raises(InputError, match=fault) as refused:
        parse_kafka_address(address, {})
    assert "secret" not in str(refused.value)


def test_a_line_of_the_file_that_is_no_setting_is_named_and_not_shown(tmp_path: Path) -> None:
    file = tmp_path / "kafka.properties"
    file.write_text("a=b\nsecret\n")
    with pytest.raises(InputError, match="line 2: expected a setting such as") as refused:
        parse_kafka_address(f"kafka://a/clicks?properties={file}", {})
    assert "secret" not in str(refused.value)
