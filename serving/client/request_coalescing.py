"""One call for requests that are the same: those that come while it is under way share it, those that come soon after get its answer again.

The same means the same bytes: tensors, label, signature and outputs. So an answer can't be another shopper's, nor one of before the
shopper's last click, since these are in the tensors; and what it saves is the model, not the making of tensors. Time is in the tensors
too: who wants two moments to be the same gives both the same time.
"""

import asyncio
import hashlib
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, final

from components.contract.errors import ModelUnavailable
from serving.client.prediction import Prediction, Which

MOST = 1_000


@dataclass(eq=False)
class _Call:
    label: Which
    task: "asyncio.Task[Prediction]"
    began_s: float = field(default_factory=time.monotonic)
    waiting: int = 0


@final
class Reuse:
    """Calls under way and answers of late.

    As soon as a label is answered by another version, what was asked of it before isn't given any more; an answer of the version before
    that comes in late goes to those who wait for it, and to nobody else.

    Args:
        keep_s: for so long from its start a call serves others.
        most: calls that are kept; beyond, the oldest goes.

    Attributes:
        coalesced: how many have joined a call under way.
        cached: how many got an answer that was there.
    """

    def __init__(self, keep_s: float, *, most: int = MOST) -> None:
        self._keep_s, self._most = keep_s, most
        self._calls: dict[bytes, _Call] = {}  # in the order in which they began
        self._versions: dict[Which, tuple[int | None, float]] = {}  # by label, the one that answered last, and since when
        self.coalesced = self.cached = 0

    async def answer(
        self, message: bytes, label: Which, *, timeout_s: float, ask: Callable[[], Coroutine[Any, Any, Prediction]]
    ) -> Prediction:
        """The answer to a message.

        Args:
            message: what is asked.
            label: in it.
            timeout_s: how long a caller who joins waits; the one who calls leaves that to `ask`.
            ask: makes the call.

        Raises:
            ModelUnavailable: the call failed, for all who wait for it; or a caller who joined has no time left.
        """
        key = hashlib.blake2b(message, digest_size=16).digest()
        call = self._calls.get(key)
        mine = call is None or call.began_s + self._keep_s < time.monotonic()
        if call is None or mine:
            call = self._begun(key, label, ask)
        elif call.task.done():
            self.cached += 1
            return call.task.result()
        else:
            self.coalesced += 1
        call.waiting += 1
        try:
            async with asyncio.timeout(None if mine else timeout_s):
                return await asyncio.shield(call.task)
        except TimeoutError as error:
            raise ModelUnavailable("timeout", "the model server's answer to an equal request didn't come in time") from error
        finally:
            call.waiting -= 1
            if not call.waiting and not call.task.done():
                self._drop(key, call)
                call.task.cancel()

    def _begun(self, key: bytes, label: Which, ask: Callable[[], Coroutine[Any, Any, Prediction]]) -> _Call:
        call = _Call(label, asyncio.create_task(ask()))
        self._calls.pop(key, None)
        self._calls[key] = call
        if len(self._calls) > self._most:
            del self._calls[next(iter(self._calls))]
        call.task.add_done_callback(lambda task: self._ended(key, call, task))
        return call

    def _ended(self, key: bytes, call: _Call, task: "asyncio.Task[Prediction]") -> None:
        if task.cancelled() or task.exception() is not None:
            self._drop(key, call)
            return
        version = task.result().version
        usual, since_s = self._versions.setdefault(call.label, (version, call.began_s))
        if version == usual:
            return
        if call.began_s < since_s:
            self._drop(key, call)
            return
        self._versions[call.label] = (version, time.monotonic())
        self._calls = {mine: each for mine, each in self._calls.items() if each is call or each.label != call.label}

    def _drop(self, key: bytes, call: _Call) -> None:
        if self._calls.get(key) is call:
            del self._calls[key]
