"""Parse the address of a Kafka topic to the client's settings; secrets come from the environment or a file, never from the address."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit

from components.contract.errors import InputError

PASSWORD_VARIABLE = "SHELFRANK_KAFKA_PASSWORD"
_SECRETS = ("password", "secret", "oauthbearer.config", "ssl.key.pem")
_RESERVED = {  # settings that a source's promises depend on
    "group.id": "it is a setting of its own",
    "enable.auto.commit": "positions are kept with the state, not with the broker",
    "enable.auto.offset.store": "positions are kept with the state, not with the broker",
    "auto.offset.reset": "lost messages are counted, not skipped",
    "partition.assignment.strategy": "positions are read anew whenever partitions move",
    "enable.partition.eof": "a topic has no end",
    "bootstrap.servers": "the address names the brokers",
}


@dataclass(frozen=True)
class KafkaAddress:
    """Brokers, a topic and the client's further settings. Its text has neither user nor settings."""

    brokers: str
    topic: str
    settings: Mapping[str, str] = field(default_factory=dict, repr=False)

    def __str__(self) -> str:
        return f"kafka://{self.brokers}/{self.topic}"


def parse_kafka_address(address: str, environment: Mapping[str, str] = os.environ) -> KafkaAddress:
    """Parse `kafka://HOST:PORT[,HOST:PORT]/TOPIC?security.protocol=...&properties=FILE`.

    Settings are librdkafka's. Those of the address go before those of the file; the password is the environment's
    SHELFRANK_KAFKA_PASSWORD, or `sasl.password` of the file.

    Raises:
        InputError: it is no such address, or has a password, or a setting that isn't the user's to choose.
    """
    parts = urlsplit(address)
    brokers, topic = parts.netloc, unquote(parts.path.strip("/"))
    shown = f"kafka://{brokers.rpartition('@')[2]}/{topic}"
    if parts.scheme != "kafka" or not brokers or not topic or "/" in topic:
        raise InputError(f"expected kafka://HOST:PORT/TOPIC, got {shown}")
    if "@" in brokers:
        raise InputError(
            f"{shown}: an address isn't the place for a user and a password; give the user as ?sasl.username=NAME,"
            f" and the password in {PASSWORD_VARIABLE}"
        )
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    file = options.pop("properties", None)
    for name in options:
        if any(secret in name for secret in _SECRETS):
            raise InputError(
                f"{shown}: {name!r} would be seen by all who see the command line; give the password in {PASSWORD_VARIABLE},"
                " or the setting in a file: ?properties=FILE"
            )
    settings = {**(_properties(Path(file)) if file else {}), **options}
    for name, reason in _RESERVED.items():
        if name in settings:
            raise InputError(f"{shown}: {name!r} can't be set: {reason}; leave it out")
    if password := environment.get(PASSWORD_VARIABLE):
        settings["sasl.password"] = password
    return KafkaAddress(",".join(each if ":" in each else f"{each}:9092" for each in brokers.split(",")), topic, settings)


def _properties(path: Path) -> dict[str, str]:
    """Read a file of lines `name=value`; blank lines and comments (`#`) are skipped."""
    try:
        lines = path.read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: expected a file of Kafka's settings, lines such as security.protocol=SASL_SSL: {error}") from None
    settings: dict[str, str] = {}
    for number, line in enumerate(lines, 1):
        name, equals, value = line.partition("=")
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        if not equals:  # not shown: it may hold a password
            raise InputError(f"{path}, line {number}: expected a setting such as security.protocol=SASL_SSL, got a line without =")
        settings[name.strip()] = value.strip()
    return settings
