"""One model, asked over gRPC of one or several model servers that serve it: by label or version, within a deadline."""

import asyncio
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import count
from typing import final

import grpc

from components.contract.errors import ModelUnavailable
from serving.client.breaker import BreakerSettings
from serving.client.hedging import Budget, HedgeSettings, Latency
from serving.client.prediction import Check, Door, Prediction, Which, asking
from serving.client.recent import Recent
from serving.client.replica import Replica
from serving.client.request_coalescing import Reuse
from serving.client.tensors import Array

PAUSE_S = 0.005  # before the second try


@dataclass(frozen=True)
class Counts:
    """Since the start: calls that were made, those of them that were hedges, hedges that answered first; and requests that needed no call
    since they joined one under way, or got an answer that was there."""

    calls: int
    hedges: int
    hedges_won: int
    coalesced: int
    cached: int


@dataclass(frozen=True)
class _Try:
    replica: Replica
    began_s: float
    hedge: bool
    suspect: bool


@final
class ModelClient:
    """Asks one model. To be made, used and closed within one event loop.

    Args:
        addresses: HOST:PORT of each model server's gRPC; at least one, and all serve the same versions under the same labels.
        model: its name there.
        breaker: of each server's labels and signatures.
        hedging: how requests are sent to a second server where the first is slow.
        reuse_s: how long an answer serves requests that are the same (see Reuse); 0 for not at all.
    """

    def __init__(
        self,
        addresses: Sequence[str],
        model: str,
        *,
        breaker: BreakerSettings = BreakerSettings(),  # noqa: B008 - frozen
        hedging: HedgeSettings = HedgeSettings(),  # noqa: B008 - frozen
        reuse_s: float = 0.0,
        credentials: grpc.ChannelCredentials | None = None,
        interceptors: Sequence[grpc.aio.ClientInterceptor] = (),
    ) -> None:
        self._replicas = tuple(Replica(address, breaker, credentials=credentials, interceptors=interceptors) for address in addresses)
        self._model, self._hedging = model, hedging
        self._latencies = Recent[Door, Latency](partial(Latency, hedging))
        self._budget = Budget(hedging)
        self._turns = count()
        self._reuse = Reuse(reuse_s) if reuse_s else None
        self._calls = self._hedges = self._hedges_won = 0

    def connect(self) -> None:
        """Begin to connect, so that the first request needn't."""
        for replica in self._replicas:
            replica.connect()

    async def predict(
        self,
        tensors: Mapping[str, Array],
        outputs: Sequence[str] = (),
        *,
        label: Which,
        timeout_s: float,
        check: Check,
        signature: str = "serving_default",
    ) -> Prediction:
        """Outputs of a signature.

        Predict changes nothing on a server, so it may be asked again. With several servers the first is that with the fewest calls
        outstanding, in turn; another one is asked where that fails, and where it takes longer than most calls did: then the first good
        answer counts, and the other call is cancelled. One server alone is asked once more where it couldn't be reached.

        Args:
            tensors: by the signature's names.
            outputs: which are wanted; all when empty.
            label: which version.
            timeout_s: for all of it; it is the deadline that the servers see.
            check: raises ValueError for outputs that aren't what was asked for, so that a model which answers rubbish counts as failing.
            signature: which.

        Raises:
            ModelUnavailable: `open` (it has kept failing and isn't asked), `unreachable`, `timeout`, `refused` (it answered with another
                error) or `rubbish` (its answer can't be used). Of several servers, what the last one said.
        """
        door = Door(label, signature)
        until_s = time.monotonic() + timeout_s
        message = asking(self._model, tensors, outputs, door)
        ask = self._alone if len(self._replicas) == 1 else self._raced
        if self._reuse is None:
            return await ask(message, door, until_s, check)
        return await self._reuse.answer(message, label, timeout_s=timeout_s, ask=lambda: ask(message, door, until_s, check))

    def failing(self) -> list[str]:
        """The labels whose last tries failed, so many that they aren't asked all the time; of several servers, `label at address`."""
        if len(self._replicas) == 1:
            return sorted(self._replicas[0].failing())
        return sorted(f"{label} at {replica.address}" for replica in self._replicas for label in replica.failing())

    async def versions(self, *, timeout_s: float) -> tuple[int, ...]:
        """The versions that a server has ready, the newest first; of several servers, the first in turn that tells.

        Raises:
            ModelUnavailable: none does; what the last one said.
        """
        failure = self._open()
        for replica in self._replicas:
            try:
                return await replica.versions(self._model, timeout_s=timeout_s)
            except ModelUnavailable as error:
                failure = error
        raise failure

    def counts(self) -> Counts:
        """What was done so far."""
        coalesced, cached = (self._reuse.coalesced, self._reuse.cached) if self._reuse else (0, 0)
        return Counts(self._calls, self._hedges, self._hedges_won, coalesced, cached)

    async def close(self) -> None:
        """Let go of the connections."""
        for replica in self._replicas:
            await replica.close()

    async def _alone(self, message: bytes, door: Door, until_s: float, check: Check) -> Prediction:
        (replica,) = self._replicas
        if not replica.allows(door):
            raise self._open()
        self._calls += 1
        try:
            return await replica.ask(message, door, until_s=until_s, check=check)
        except ModelUnavailable as error:
            if error.reason != "unreachable" or until_s - time.monotonic() <= 2 * PAUSE_S:
                raise
        await asyncio.sleep(PAUSE_S)
        self._calls += 1
        return await replica.ask(message, door, until_s=until_s, check=check)

    async def _raced(self, message: bytes, door: Door, until_s: float, check: Check) -> Prediction:
        latency = self._latencies[door]
        others = self._in_turn(door)
        running: dict[asyncio.Task[Prediction], _Try] = {}
        failure = self._open()
        wait_s = latency.hedge_after_s(until_s - time.monotonic()) if self._hedging.share else None
        self._budget.earn()

        def begun(*, hedge: bool) -> bool:
            replica = next((each for each in others if each.allows(door)), None)
            if replica is None:
                return False
            task = asyncio.create_task(replica.ask(message, door, until_s=until_s, check=check))
            running[task] = _Try(replica, time.monotonic(), hedge, replica.suspect(door))
            task.add_done_callback(_seen)
            self._calls += 1
            self._hedges += hedge
            return True

        try:
            while running or begun(hedge=False):
                done, _ = await asyncio.wait(running, timeout=wait_s, return_when=asyncio.FIRST_COMPLETED)
                if not done:
                    wait_s = None
                    # Who tries a suspect mustn't lose by it; there is one in a second.
                    free = all(each.suspect for each in running.values())
                    if (free or self._budget.allows()) and begun(hedge=True) and not free:
                        self._budget.take()
                for task in sorted(done, key=lambda each: running[each].began_s):
                    error, ended = task.exception(), running.pop(task)
                    if error is None:
                        self._won(ended, running.values(), door, latency)
                        return task.result()
                    if not isinstance(error, ModelUnavailable):
                        raise error
                    failure = error
            raise failure
        finally:
            for task in running:
                task.cancel()

    def _won(self, winner: _Try, others: Iterable[_Try], door: Door, latency: Latency) -> None:
        now_s = time.monotonic()
        latency.add(now_s - winner.began_s)
        self._hedges_won += winner.hedge
        for other in others:
            if other.began_s < winner.began_s:
                latency.add(now_s - other.began_s)
                other.replica.beaten(door)

    def _in_turn(self, door: Door) -> Iterator[Replica]:
        first = next(self._turns) % len(self._replicas)
        turned = self._replicas[first:] + self._replicas[:first]
        return iter(sorted(turned, key=lambda replica: (not replica.keeps_up(door), replica.outstanding)))

    def _open(self) -> ModelUnavailable:
        where = ", ".join(replica.address for replica in self._replicas)
        return ModelUnavailable("open", f"the model server at {where} has kept failing, and isn't asked for a moment")


def _seen(task: "asyncio.Task[Prediction]") -> None:
    """So that nobody complains of the failure of a call whose answer isn't waited for any more."""
    if not task.cancelled():
        task.exception()
