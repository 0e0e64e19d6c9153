"""A link to a server that takes time, counts round trips, and can be held up: what lies between a service and its Redis."""

import math
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass
class Link:
    """Where it listens, and how often somebody asked and then waited for the answer."""

    port: int
    round_trips: int = 0
    held_from: float = math.inf  # the number of the first question that is held up
    open: threading.Event = field(default_factory=threading.Event)  # set, it lets those through that were held up


@contextmanager
def slow_link(to: int, *, seconds: float) -> Iterator[Link]:
    """A link to a port of loopback; each question is on its way for so long, however much is asked at once."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        link = Link(listening.getsockname()[1])
        ends: list[socket.socket] = []

        def accept() -> None:
            while True:
                try:
                    near, _ = listening.accept()
                except OSError:
                    return
                far = socket.create_connection(("127.0.0.1", to))
                ends.extend([near, far])
                asked = threading.Event()
                for one, other, asks in ((near, far, True), (far, near, False)):
                    threading.Thread(target=relay, args=(one, other, asked, asks), daemon=True).start()

        def relay(one: socket.socket, other: socket.socket, asked: threading.Event, asks: bool) -> None:
            try:
                while data := one.recv(1 << 20):
                    if asks and not asked.is_set():
                        link.round_trips += 1
                        asked.set()
                        if link.round_trips >= link.held_from:
                            link.open.wait()
                        time.sleep(seconds)
                    elif not asks:
                        asked.clear()
                    other.sendall(data)
            except OSError:
                pass
            finally:
                for end in (one, other):
                    end.close()

        threading.Thread(target=accept, daemon=True).start()
        try:
            yield link
        finally:
            link.open.set()
            for end in ends:
                end.close()
