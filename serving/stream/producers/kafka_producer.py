"""Write to a topic of Kafka, idempotently: a message that the client sends again is stored once, and in its order."""

import logging
import threading
from collections.abc import Sequence
from typing import Any, final

from confluent_kafka import KafkaError, KafkaException, Message
from confluent_kafka import Producer as Client

from components.contract.errors import InputError, LogUnavailable, ShelfRankError
from serving.stream.producers.producer import ANSWER_S, MOST_BYTES, MOST_WAITING_BYTES, Done, StreamMessage
from serving.stream.sources.kafka_settings import PASSWORD_VARIABLE, KafkaAddress

_LOG = logging.getLogger(__name__)
_FIRST_S = 5.0  # for the broker's answer at the start
_OVERHEAD_BYTES = 512  # of a message beside its key and value
_POLL_S = 0.1
_SETTINGS: dict[str, Any] = {
    "enable.idempotence": True,
    "acks": "all",
    "linger.ms": 5,
    "compression.type": "lz4",
    "partitioner": "murmur2_random",  # as Kafka's own clients: a shop's other producers put a shopper where this one does
    "message.timeout.ms": int(ANSWER_S * 1000),
    "queue.buffering.max.kbytes": MOST_WAITING_BYTES >> 10,
    "queue.buffering.max.messages": 400_000,
    "reconnect.backoff.max.ms": 2_000,
    "log_level": 2,  # its lines about lost connections say less than the errors here
}
_PROMISED = ("enable.idempotence", "acks", "request.required.acks", "transactional.id", "message.timeout.ms")
_REFUSED = {
    KafkaError._AUTHENTICATION,
    KafkaError.SASL_AUTHENTICATION_FAILED,
    KafkaError.TOPIC_AUTHORIZATION_FAILED,
    KafkaError.CLUSTER_AUTHORIZATION_FAILED,
}
_MISSING = {KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_TOPIC, KafkaError._UNKNOWN_PARTITION}
_DOWN = {KafkaError._ALL_BROKERS_DOWN, KafkaError._RESOLVE, KafkaError._TRANSPORT}


@final
class KafkaProducer:
    """Produce to one topic. A broker that doesn't answer at the start may come later.

    Args:
        address: brokers, topic and settings of the client.

    Raises:
        InputError: the client doesn't know a setting, or the broker the topic; or it refuses the client.
    """

    def __init__(self, address: KafkaAddress) -> None:
        self._address, self._down, self._closing = address, False, False
        self._refusal: KafkaError | None = None  # of the client, by any broker
        for name in _PROMISED:
            if name in address.settings:
                raise InputError(f"{address}: {name!r} can't be set: an event is acknowledged only when it is stored, once; leave it out")
        self._lock = threading.Lock()
        self._client = self._connected()
        self._check_topic()
        self._thread = threading.Thread(target=self._run, name="kafka-delivery", daemon=True)
        self._thread.start()

    @property
    def most_bytes(self) -> int:
        """See Producer."""
        return min(MOST_BYTES, int(self._address.settings.get("message.max.bytes", 1_000_000))) - _OVERHEAD_BYTES

    @property
    def failing(self) -> bool:
        """See Producer."""
        return self._down

    def send(self, messages: Sequence[StreamMessage], done: Done) -> None:
        """See Producer."""
        delivery = _Delivery(self, len(messages), done)
        for index, message in enumerate(messages):
            key = message.key.encode() if message.key else None
            try:
                self._client.produce(self._address.topic, message.value, key, on_delivery=delivery.report)
            except BufferError:
                full = LogUnavailable(f"{self._address}: {len(self._client):,} events wait for Kafka already; send these again later")
                delivery.skip(len(messages) - index, full)
                return
            except KafkaException as error:
                delivery.skip(len(messages) - index, self.explained(error.args[0]))
                return

    def close(self, timeout_s: float) -> bool:
        """See Producer."""
        left = self._client.flush(timeout_s)
        self._closing = True
        self._thread.join(timeout_s)
        return not left

    def delivered(self) -> None:
        """Note that the broker has stored a message."""
        self._down, self._refusal = False, None

    def explained(self, error: KafkaError) -> ShelfRankError:
        """Return what an error of a message means for its sender."""
        code, where = error.code(), str(self._address)
        if code == KafkaError.MSG_SIZE_TOO_LARGE:
            return InputError(
                f"{where}: the topic takes no event as large as one of these ({error.str()}); send less with it, or raise the topic's"
                " `max.message.bytes` and the address's `message.max.bytes`"
            )
        if code in _MISSING:
            return LogUnavailable(f"{where}: {self._missing()}; then send the events again")
        if code in _REFUSED or self._refusal is not None:
            return LogUnavailable(f"{where}: {self._refused(self._refusal or error)}; then send the events again")
        if code in (KafkaError._MSG_TIMED_OUT, KafkaError._TIMED_OUT, *_DOWN):
            return LogUnavailable(f"{where}: Kafka didn't store the events within {ANSWER_S:g} s ({error.str()}); send them again later")
        return LogUnavailable(f"{where}: Kafka didn't store the events: {error.str()}; send them again later")

    def _connected(self) -> Client:
        settings = {**_SETTINGS, **self._address.settings, "bootstrap.servers": self._address.brokers, "error_cb": self._failed}
        try:
            return Client(settings)
        except (KafkaException, ValueError) as error:
            text = "; ".join(each.str() if isinstance(each, KafkaError) else str(each) for each in error.args)
            raise InputError(f"{self._address}: {text}; settings are librdkafka's, such as security.protocol=SASL_SSL") from None

    def _check_topic(self) -> None:
        try:
            topic = self._client.list_topics(self._address.topic, timeout=_FIRST_S).topics[self._address.topic]
        except KafkaException as error:
            self._client.poll(_POLL_S)  # what the broker said of the client comes by `_failed`
            if self._refusal is not None:
                raise InputError(f"{self._address}: {self._refused(self._refusal)}") from None
            self._down = True
            _LOG.warning("%s: Kafka doesn't answer yet (%s); events are refused until it does", self._address, error.args[0].str())
            return
        if topic.error is not None and topic.error.code() in _MISSING:
            raise InputError(f"{self._address}: {self._missing()}")
        if topic.error is not None and topic.error.code() in _REFUSED:
            raise InputError(f"{self._address}: {self._refused(topic.error)}")

    def _missing(self) -> str:
        return (
            f"expected the topic {self._address.topic!r}, and the broker doesn't have it; create it, with as many partitions as consumers"
            " will ever share it"
        )

    def _refused(self, error: KafkaError) -> str:
        user = self._address.settings.get("sasl.username")
        by = f"the user {user!r}" if user else "a client without user"
        return f"the broker refuses {by}: {error.str()}; check sasl.mechanism, sasl.username, {PASSWORD_VARIABLE} and the right to write"

    def _failed(self, error: KafkaError) -> None:
        """Take note of an error of the client; after a fatal one begin with a new client."""
        if error.code() in _REFUSED:
            self._refusal = error
        if error.code() in _DOWN and not self._down:
            self._down = True
            _LOG.warning("%s: Kafka doesn't answer (%s); events are refused until it does", self._address, error.str())
        if error.fatal():
            _LOG.error("%s: the client can't go on (%s), and begins anew", self._address, error.str())
            with self._lock:
                old, self._client = self._client, self._connected()
            old.purge()  # the messages' senders are told
            threading.Thread(target=old.flush, args=(ANSWER_S,), daemon=True).start()

    def _run(self) -> None:
        while not self._closing:
            self._client.poll(_POLL_S)


@final
class _Delivery:
    """Collect the reports on the messages of one call."""

    def __init__(self, producer: KafkaProducer, messages: int, done: Done) -> None:
        self._producer, self._waiting, self._done = producer, messages, done
        self._error: ShelfRankError | None = None
        self._lock = threading.Lock()  # a call may send while the first reports come
        if not messages:
            done(None)

    def report(self, error: KafkaError | None, _message: Message) -> None:
        """Count a message that is stored, or failed."""
        if error is None:
            self._producer.delivered()
        self.skip(1, None if error is None else self._producer.explained(error))

    def skip(self, messages: int, error: ShelfRankError | None) -> None:
        """Count messages that ended by this error."""
        with self._lock:
            self._error = self._error or error
            self._waiting -= messages
            ended = not self._waiting
        if ended:
            self._done(self._error)
