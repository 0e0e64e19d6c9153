"""Send messages and wait for what becomes of them."""

from collections.abc import Sequence
from concurrent.futures import Future

from components.contract.errors import ShelfRankError
from serving.stream.producers.producer import Producer, StreamMessage

WAIT_S = 60


def outcome(producer: Producer, messages: Sequence[StreamMessage]) -> ShelfRankError | None:
    done: Future[ShelfRankError | None] = Future()
    producer.send(messages, done.set_result)
    return done.result(WAIT_S)


def messages(*texts: str, key: str = "a") -> list[StreamMessage]:
    return [StreamMessage(key, text.encode()) for text in texts]
