"""Define what writes messages to a stream."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from components.contract.errors import ShelfRankError

ANSWER_S = 4.0  # within which the broker has to have taken a message; the door waits a little longer
MOST_BYTES = 1 << 20  # of a message: consumers set larger ones aside
MOST_WAITING_BYTES = 64 << 20  # of messages that the broker hasn't taken
Done = Callable[[ShelfRankError | None], None]


@dataclass(frozen=True)
class StreamMessage:
    """Hold a message; those of one key stay in order. Without a key ("") it may go anywhere."""

    key: str
    value: bytes


class Producer(Protocol):
    """Define a writer of one stream, for several threads."""

    @property
    def most_bytes(self) -> int:
        """Return the greatest size of a message's key and value."""
        ...

    @property
    def failing(self) -> bool:
        """Return whether the broker is known not to answer."""
        ...

    def send(self, messages: Sequence[StreamMessage], done: Done) -> None:
        """Send messages in order, without waiting.

        `done` is called once, from any thread: with None when the broker has stored all of them, with LogUnavailable
        where it may lack some (the sender tries again), or with InputError where it will never take one.
        """
        ...

    def close(self, timeout_s: float) -> bool:
        """Send what waits, and stop; return False where that takes longer."""
        ...
