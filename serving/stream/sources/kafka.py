"""Read a topic of Kafka. The group only divides the partitions among consumers: positions are the caller's."""

import logging
import re
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, final

import numpy as np
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Message, TopicPartition

from components.contract.base_model import closest
from components.contract.errors import InputError, SourceUnavailable
from serving.stream.interface import Assignment, Messages
from serving.stream.sources.kafka_settings import PASSWORD_VARIABLE, KafkaAddress

_LOG = logging.getLogger(__name__)
_SLICE_S = 0.1  # of waiting, after which partitions that were assigned are started
_CALL_S = 10.0  # of a question to the brokers
_CHECK_S = 1.0  # of asking whether brokers that were down are back
_DRAIN_S = 0.001  # what lies in the client's queue
_SETTINGS: dict[str, Any] = {
    "enable.auto.commit": False,
    "enable.auto.offset.store": False,
    "auto.offset.reset": "error",  # a position that retention ran past is found out, and counted
    "partition.assignment.strategy": "range",  # eager: each start of a partition reads its position anew
    "session.timeout.ms": 10_000,  # a consumer that was killed is missed for no longer
    "heartbeat.interval.ms": 1_000,  # by which the others learn of one that comes or goes
    "allow.auto.create.topics": False,
    "topic.metadata.refresh.interval.ms": 10_000,  # by which partitions are known that were added, and a topic that was deleted
    # What is fetched ahead waits in memory, at most so much of it; then the client stops fetching.
    "queued.max.messages.kbytes": 65_536,
    "fetch.message.max.bytes": 4_194_304,  # of a partition at once: with the client's own 1 MiB a consumer takes in a quarter less
    "fetch.wait.max.ms": 50,
    "fetch.error.backoff.ms": 100,
    "reconnect.backoff.max.ms": 2_000,
    "log_level": 2,  # its lines about lost connections say less than the errors here
}
_REFUSED = {
    KafkaError._AUTHENTICATION,
    KafkaError.SASL_AUTHENTICATION_FAILED,
    KafkaError.TOPIC_AUTHORIZATION_FAILED,
    KafkaError.GROUP_AUTHORIZATION_FAILED,
    KafkaError.CLUSTER_AUTHORIZATION_FAILED,
}
_STATE = re.compile(r" \(after \d+ms in state \w+\)")  # of a connection
_MISSING = {KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_TOPIC, KafkaError._UNKNOWN_PARTITION}


@dataclass
class _Position:
    """Where a partition is read on, None for its beginning; and messages lost before it that no one was told of."""

    next_offset: int | None
    lost: int = 0


@final
class KafkaSource:
    """A consumer of a group. Rebalances, errors and statistics of the client are served in `poll`.

    Args:
        address: brokers, topic and settings of the client.
        assignment: is asked for positions and told of partitions that are given up.
        group: consumers of one group share the partitions.

    Raises:
        InputError: the client doesn't know a setting.
    """

    def __init__(self, address: KafkaAddress, assignment: Assignment, *, group: str) -> None:
        self._address, self._assignment, self._group = address, assignment, group
        settings = {**_SETTINGS, **address.settings, "bootstrap.servers": address.brokers, "group.id": group, "error_cb": self._failed}
        try:
            self._consumer = Consumer(settings)
        except (KafkaException, ValueError) as error:
            raise InputError(f"{address}: {_text(error)}; settings are librdkafka's, such as security.protocol=SASL_SSL") from None
        self._positions: dict[int, _Position] = {}
        self._waiting: list[int] | None = None  # partitions that are assigned and have no position yet
        self._fault: KafkaError | None = None
        self._cause = ""  # of the connection that was lost last
        self._revocation_fault: BaseException | None = None
        self._subscribed = self._warned = self._closed = False

    def poll(self, *, most: int, timeout_s: float) -> list[Messages]:
        """Return the next messages of each partition."""
        deadline = time.monotonic() + timeout_s
        if not self._subscribed:
            self._subscribe(max(timeout_s, _CALL_S))
        while True:
            self._start_partitions()
            batch = self._consumed(most, min(_SLICE_S, max(deadline - time.monotonic(), 0)))
            if self._revocation_fault is not None:
                fault, self._revocation_fault = self._revocation_fault, None
                raise fault
            messages = self._by_partition(batch)
            if messages:
                return messages
            self._raise_fault()
            if time.monotonic() >= deadline and self._waiting is None:
                return []

    def _consumed(self, most: int, timeout_s: float) -> list[Message]:
        """Return messages as soon as there are any: `consume` alone would wait until there are `most`."""
        first = self._consumer.poll(timeout_s)
        if first is None:
            return []
        return [first, *self._consumer.consume(most - 1, _DRAIN_S)] if most > 1 else [first]

    def _by_partition(self, batch: list[Message]) -> list[Messages]:
        by_partition: dict[int, list[Message]] = {}
        for message in batch:
            error, partition = message.error(), message.partition()
            if error is not None:
                self._message_fault(error, partition)
            elif partition is not None:
                by_partition.setdefault(partition, []).append(message)
        made = (self._messages(partition, messages) for partition, messages in by_partition.items() if partition in self._positions)
        return [messages for messages in made if messages is not None]

    def _messages(self, partition: int, messages: list[Message]) -> Messages | None:
        position = self._positions[partition]
        offsets = np.fromiter((message.offset() for message in messages), np.int64, len(messages))
        behind = 0 if position.next_offset is None else int(np.searchsorted(offsets, position.next_offset))
        if behind == len(messages):  # fetched before the position was moved
            return None
        messages, offsets = messages[behind:], offsets[behind:]
        times_ms = np.fromiter((message.timestamp()[1] for message in messages), np.int64, len(messages))
        values = [message.value() or b"" for message in messages]
        position.next_offset, lost, position.lost = int(offsets[-1]) + 1, position.lost, 0
        return Messages(self._name(partition), offsets, position.next_offset, np.maximum(times_ms, 0) * 1000, values, lost)

    def seek(self, partition: str, offset: int) -> None:
        """Read an assigned partition from this position on."""
        self._positions[self._number(partition)] = _Position(offset)
        self._assign()

    def lag(self) -> dict[str, int]:
        """Return by assigned partition how many messages wait behind the position."""
        waiting: dict[str, int] = {}
        for partition, position in self._positions.items():
            limits = self._limits(partition, cached=True)
            if limits is None or limits[1] < 0:
                limits = self._limits(partition, cached=False, timeout_s=_CHECK_S)
            if limits is None:  # nor will the others' be known
                break
            first = limits[0] if position.next_offset is None else position.next_offset
            waiting[self._name(partition)] = max(limits[1] - first, 0)
        return waiting

    def committed(self, positions: Mapping[str, int]) -> None:
        """Tell the broker the positions up to which messages are processed: tools that show lag read them, nothing here
        does."""
        offsets = [TopicPartition(self._address.topic, self._number(name), offset) for name, offset in positions.items()]
        try:
            self._consumer.commit(offsets=offsets, asynchronous=True)
        except KafkaException as error:
            _LOG.info("%s: positions weren't committed: %s", self._address, _text(error))

    def finished(self) -> bool:
        """Return False: a topic has no end."""
        return False

    def close(self) -> None:
        """Leave the group."""
        if not self._closed:
            self._closed = True
            self._consumer.close()
            if self._revocation_fault is not None:
                raise self._revocation_fault

    def _subscribe(self, timeout_s: float) -> None:
        """Join the group, once the topic is there."""
        deadline = time.monotonic() + timeout_s
        while True:
            try:
                topics = self._consumer.list_topics(timeout=_CHECK_S).topics
                break
            except KafkaException as error:
                self._consumer.poll(0)  # serves the callback that has the cause
                cause = self._fault or error.args[0]
                self._raise_refusal(cause)
                if time.monotonic() > deadline:
                    raise self._unavailable(cause) from None
        topic = self._address.topic
        if topic not in topics:
            known = [name for name in topics if not name.startswith("__")]
            raise InputError(f"{self._address}: expected a topic {topic!r}, which isn't there; {closest(topic, known)}; create it first")
        self._fault = None
        self._consumer.subscribe([topic], on_assign=self._assigned, on_revoke=self._revoked, on_lost=self._revoked)
        self._subscribed = True

    def _assigned(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        """Take note: positions are read outside of the client's callback, so that an error of theirs is the caller's."""
        consumer.assign([])
        self._waiting = [each.partition for each in partitions]

    def _revoked(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        self._waiting = None
        names = [self._name(each) for each in self._positions]
        self._positions = {}
        try:
            if names:
                self._assignment.revoked(names)
        except BaseException as error:  # Raised here it would be lost in the client.
            self._revocation_fault = error
        consumer.unassign()

    def _start_partitions(self) -> None:
        """Read the positions of assigned partitions, and read on from there."""
        if self._waiting is None:
            return
        if not self._waiting and not self._warned:
            self._warned = True
            _LOG.warning(
                "%s: expected a partition to read, got none: the consumers of group %r are more than the topic's partitions, and this one"
                " waits for another to end; give the topic more partitions, or start fewer consumers",
                self._address,
                self._group,
            )
        names = [self._name(each) for each in self._waiting]
        positions = self._assignment.assigned(names) if names else {}
        self._positions = {each: _Position(positions.get(name)) for each, name in zip(self._waiting, names, strict=True)}
        self._assign()
        self._waiting = None

    def _assign(self) -> None:
        offsets = ((each, position.next_offset) for each, position in self._positions.items())
        topic = self._address.topic
        self._consumer.assign([TopicPartition(topic, each, OFFSET_BEGINNING if offset is None else offset) for each, offset in offsets])

    def _message_fault(self, error: KafkaError, partition: int | None) -> None:
        """Deal with an error in place of a message: go on after what retention has deleted, else keep the error."""
        if error.code() == KafkaError._AUTO_OFFSET_RESET and partition in self._positions:
            self._skip_deleted(partition)
        elif error.code() in _MISSING:
            raise InputError(
                f"{self._address}: expected the topic {self._address.topic!r}, which isn't there any more ({error.str()}); write to a topic"
                " of another name: positions of the old one don't fit a new one"
            )
        else:
            self._fault = error

    def _skip_deleted(self, partition: int) -> None:
        limits = self._limits(partition, cached=False)
        position = self._positions[partition]
        if limits is None or position.next_offset is None:
            self._fault = KafkaError(KafkaError._TRANSPORT)
            self._assign()
            return
        first, end = limits
        if position.next_offset > end:
            raise InputError(
                f"{self._address}: expected messages up to offset {position.next_offset:,} in partition {partition}, where reading stopped,"
                f" and it ends at {end:,}: the topic was made anew, or a broker lost messages; write to a topic"
                " of another name: positions of the old one don't fit it"
            )
        lost = max(first - position.next_offset, 0)
        if lost:
            _LOG.error(
                "%s: %s messages of partition %s are lost: offsets %s to %s were deleted by the topic's retention before they were read;"
                " give the topic a longer retention, or more consumers",
                self._address,
                f"{lost:,}",
                partition,
                f"{position.next_offset:,}",
                f"{first - 1:,}",
            )
        self._positions[partition] = _Position(max(first, position.next_offset), position.lost + lost)
        self._assign()

    def _limits(self, partition: int, *, cached: bool, timeout_s: float = _CALL_S) -> tuple[int, int] | None:
        """Return a partition's first offset and the one after its last; None without an answer."""
        try:
            limits = self._consumer.get_watermark_offsets(TopicPartition(self._address.topic, partition), timeout=timeout_s, cached=cached)
        except KafkaException:
            return None
        return None if limits is None else (int(limits[0]), int(limits[1]))

    def _failed(self, error: KafkaError) -> None:
        """Keep an error of the client; one of authentication isn't replaced by those that follow from it."""
        if error.code() != KafkaError._ALL_BROKERS_DOWN:
            self._cause = _STATE.sub("", error.str())
        if self._fault is None or self._fault.code() not in _REFUSED:
            self._fault = error

    def _raise_fault(self) -> None:
        """Raise the client's error, if it holds on: the client says once that all brokers are down, and not that they are
        back."""
        fault = self._fault
        if fault is None:
            return
        self._raise_refusal(fault)
        try:
            self._consumer.list_topics(self._address.topic, timeout=_CHECK_S)
        except KafkaException:
            raise self._unavailable(fault) from None
        self._fault = None

    def _raise_refusal(self, fault: KafkaError) -> None:
        if fault.code() not in _REFUSED:
            return
        self._fault = None
        user = self._address.settings.get("sasl.username")
        by = f"the user {user!r}" if user else "a client without user"
        raise InputError(
            f"{self._address}: expected to be let in, and the broker refuses {by}: {_STATE.sub('', fault.str())}; check sasl.mechanism,"
            f" sasl.username, {PASSWORD_VARIABLE} and the user's rights to the topic and to group {self._group!r}"
        )

    def _unavailable(self, fault: KafkaError) -> SourceUnavailable:
        return SourceUnavailable(
            f"{self._address}: expected an answer of Kafka, got none: {self._cause or fault.str()}; check the address, security.protocol"
            " and the network"
        )

    def _name(self, partition: int) -> str:
        return f"{self._address.topic}/{partition}"

    def _number(self, name: str) -> int:
        return int(name.rpartition("/")[2])


def _text(error: Exception) -> str:
    first: Iterable[Any] = error.args
    return "; ".join(each.str() if isinstance(each, KafkaError) else str(each) for each in first)
