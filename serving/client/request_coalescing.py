"""Share one model call between identical requests that come while it is under way or soon after.

Identical means the same bytes: tensors, label, signature and outputs. So an answer can't be another shopper's, nor
predate the shopper's last click, since these are in the tensors; and what is saved is the model call, not the building
of tensors. Time is in the tensors too: a caller who wants two moments to be equal rounds them to one.
"""

import asyncio
import hashlib
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, final

from components.contract.errors import ModelUnavailable
from serving.client.prediction import ModelVersion, Prediction

MAX_CALLS = 1_000


@dataclass(eq=False)
class _Call:
    label: ModelVersion
    task: "asyncio.Task[Prediction]"
    began_s: float = field(default_factory=time.monotonic)
    waiting: int = 0


@final
class RequestCoalescer:
    """Keep calls under way and recent answers.

    As soon as a label is answered by another version, answers from before are dropped; a late answer of the earlier
    version goes to those who wait for it, and to nobody else.

    Args:
        keep_s: seconds from its start for which a call serves others.
        capacity: calls that are kept; beyond, the oldest is evicted.

    Attributes:
        coalesced: requests that joined a call under way.
        cached: requests answered from a completed call.
    """

    def __init__(self, keep_s: float, *, capacity: int = MAX_CALLS) -> None:
        self._keep_s, self._capacity = keep_s, capacity
        self._calls: dict[bytes, _Call] = {}  # in the order in which they began
        self._versions: dict[ModelVersion, tuple[int | None, float]] = {}  # by label, the one that answered last, and since when
        self.coalesced = self.cached = 0

    async def answer(
        self, message: bytes, label: ModelVersion, *, timeout_s: float, call: Callable[[], Coroutine[Any, Any, Prediction]]
    ) -> Prediction:
        """Return the answer to a request.

        Args:
            message: serialized request.
            label: of the version in it.
            timeout_s: how long a caller who joins waits; the one who calls leaves that to `call`.
            call: makes the call.

        Raises:
            ModelUnavailable: the call failed, for all who wait for it; or a caller who joined ran out of time.
        """
        key = hashlib.blake2b(message, digest_size=16).digest()
        shared = self._calls.get(key)
        is_new = shared is None or shared.began_s + self._keep_s < time.monotonic()
        if shared is None or is_new:
            shared = self._start(key, label, call)
        elif shared.task.done():
            self.cached += 1
            return shared.task.result()
        else:
            self.coalesced += 1
        shared.waiting += 1
        try:
            async with asyncio.timeout(None if is_new else timeout_s):
                return await asyncio.shield(shared.task)
        except TimeoutError as error:
            raise ModelUnavailable("timeout", "the model server's answer to an equal request didn't come in time") from error
        finally:
            shared.waiting -= 1
            if not shared.waiting and not shared.task.done():
                self._drop(key, shared)
                shared.task.cancel()

    def _start(self, key: bytes, label: ModelVersion, call: Callable[[], Coroutine[Any, Any, Prediction]]) -> _Call:
        shared = _Call(label, asyncio.create_task(call()))
        self._calls.pop(key, None)
        self._calls[key] = shared
        if len(self._calls) > self._capacity:
            del self._calls[next(iter(self._calls))]
        shared.task.add_done_callback(lambda task: self._on_done(key, shared, task))
        return shared

    def _on_done(self, key: bytes, call: _Call, task: "asyncio.Task[Prediction]") -> None:
        if task.cancelled() or task.exception() is not None:
            self._drop(key, call)
            return
        version = task.result().version
        current, since_s = self._versions.setdefault(call.label, (version, call.began_s))
        if version == current:
            return
        if call.began_s < since_s:
            self._drop(key, call)
            return
        self._versions[call.label] = (version, time.monotonic())
        self._calls = {other: each for other, each in self._calls.items() if each is call or each.label != call.label}

    def _drop(self, key: bytes, call: _Call) -> None:
        if self._calls.get(key) is call:
            del self._calls[key]
