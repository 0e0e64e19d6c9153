"""Open a source by its address."""

from pathlib import Path
from urllib.parse import parse_qs

from components.contract.errors import InputError
from serving.stream.interface import Assignment, Source
from serving.stream.sources.dead_letters import DeadLettersSource
from serving.stream.sources.files import FilesSource
from serving.stream.sources.kafka import KafkaSource
from serving.stream.sources.kafka_settings import parse_kafka_address
from serving.stream.sources.redis_settings import parse_redis_address
from serving.stream.sources.redis_streams import RedisStreamsSource
from serving.stream.sources.standard_input import StandardInputSource

KINDS = "kafka://HOST:PORT/TOPIC, redis://HOST:PORT/0?stream=NAME, a file or glob of JSON Lines, dead-letters:FOLDER, or -"

_TABLES = (".csv", ".tsv", ".parquet", ".pq")


def open_source(address: str, assignment: Assignment, *, group: str, follow: bool = False) -> Source:
    """Open a source. Whether a broker answers is known by the first `poll`.

    Args:
        address: of one of the KINDS; docs/how-to/streams.md has their options.
        assignment: is asked for positions and told of partitions that are given up.
        group: consumers of one group share the partitions of a topic.
        follow: whether to wait for further lines and files at the end of files.

    Raises:
        InputError: it is no address of a source, or there is no such file.
    """
    scheme, colon, rest = address.partition("://")
    if scheme == "kafka" and colon:
        return KafkaSource(parse_kafka_address(address), assignment, group=group)
    if scheme in ("redis", "rediss") and colon:
        return RedisStreamsSource(parse_redis_address(address), assignment)
    if colon:
        raise InputError(f"expected a source ({KINDS}), got {scheme}://{rest.rpartition('@')[2].partition('?')[0]}")
    if address == "-":
        return StandardInputSource(assignment)
    if address.startswith("dead-letters:"):
        folder, _, query = address.removeprefix("dead-letters:").partition("?")
        return DeadLettersSource(Path(folder), assignment, reason=parse_qs(query).get("reason", [None])[-1])
    if address.lower().endswith(_TABLES):
        raise InputError(f"{address}: expected JSON Lines, a message a line, got a table by its ending; the dataset file reads it in a run")
    return FilesSource(address, assignment, follow=follow)
