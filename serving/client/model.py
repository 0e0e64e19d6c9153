"""Call one model on one or several model server replicas over gRPC: by label or version, within a deadline."""

import asyncio
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from typing import final

import grpc

from components.contract.errors import ModelUnavailable
from serving.client.breaker import BreakerSettings
from serving.client.hedging import HedgeBudget, HedgeSettings, LatencyWindow
from serving.client.lru_cache import LruCache
from serving.client.prediction import Check, Endpoint, ModelVersion, Prediction, predict_request
from serving.client.replica import Replica
from serving.client.request_coalescing import RequestCoalescer
from serving.client.tensors import Array

RETRY_DELAY_S = 0.005


@dataclass(frozen=True)
class Counts:
    """Count calls since the start.

    Attributes:
        calls: Predict calls sent.
        hedges: of them, second requests.
        hedges_won: hedges that answered first.
        coalesced: requests that joined a call under way.
        cached: requests answered from a recent call.
    """

    calls: int
    hedges: int
    hedges_won: int
    coalesced: int
    cached: int


@dataclass(frozen=True)
class _Attempt:
    replica: Replica
    began_s: float
    hedge: bool
    is_probe: bool


@final
class ModelClient:
    """Call one model. Create, use and close it within one event loop.

    Args:
        addresses: HOST:PORT of the model servers' gRPC endpoints; all serve the same versions under the same labels.
        model: its name on the servers.
        breaker: circuit breaker of each server's endpoints.
        hedging: when requests are sent to a second server.
        reuse_s: seconds for which an answer serves identical requests (see RequestCoalescer); 0 to disable.
        credentials: of TLS connections; None for plaintext.
        interceptors: of every call.
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
        self._latencies = LruCache[Endpoint, LatencyWindow](partial(LatencyWindow, hedging))
        self._budget = HedgeBudget(hedging)
        self._rotation = count()
        self._coalescer = RequestCoalescer(reuse_s) if reuse_s else None
        self._calls = self._hedges = self._hedges_won = 0

    def connect(self) -> None:
        """Start connecting, so that the first request doesn't wait for it."""
        for replica in self._replicas:
            replica.connect()

    async def predict(
        self,
        tensors: Mapping[str, Array],
        outputs: Sequence[str] = (),
        *,
        label: ModelVersion,
        timeout_s: float,
        check: Check,
        signature: str = "serving_default",
    ) -> Prediction:
        """Return the outputs of a signature.

        Predict is idempotent, so it may be repeated. Of several servers the first is the one with the fewest
        outstanding calls, in rotation; another one is called where that fails, and where it takes longer than most
        calls did: then the first usable answer counts, and the other call is cancelled. A single server that is
        unreachable is called again.

        Args:
            tensors: inputs by name.
            outputs: names of the outputs to return; all when empty.
            label: label or number of the version.
            timeout_s: deadline of the whole call, which the servers see too.
            check: raises ValueError for unusable outputs, so that a model which answers garbage counts as failing.
            signature: name of the signature.

        Raises:
            ModelUnavailable: reason `open` (circuit breaker), `unreachable`, `timeout`, `refused` (it answered with
                another error) or `rubbish` (the answer is unusable). Of several servers, the last one's.
        """
        endpoint = Endpoint(label, signature)
        until_s = time.monotonic() + timeout_s
        message = predict_request(self._model, tensors, outputs, endpoint)
        call = self._call_single if len(self._replicas) == 1 else self._call_hedged
        if self._coalescer is None:
            return await call(message, endpoint, until_s, check)
        return await self._coalescer.answer(message, label, timeout_s=timeout_s, call=lambda: call(message, endpoint, until_s, check))

    def failing(self) -> list[str]:
        """Return the labels whose circuit breaker is open; of several servers, `label at address`."""
        if len(self._replicas) == 1:
            return sorted(self._replicas[0].failing())
        return sorted(f"{label} at {replica.address}" for replica in self._replicas for label in replica.failing())

    async def versions(self, *, timeout_s: float) -> tuple[int, ...]:
        """Return the versions that a server has available, the newest first; of the first server that answers.

        Raises:
            ModelUnavailable: none answers; the last one's error.
        """
        failure = self._circuit_open()
        for replica in self._replicas:
            try:
                return await replica.versions(self._model, timeout_s=timeout_s)
            except ModelUnavailable as error:
                failure = error
        raise failure

    def counts(self) -> Counts:
        """Return the counts so far."""
        coalesced, cached = (self._coalescer.coalesced, self._coalescer.cached) if self._coalescer else (0, 0)
        return Counts(self._calls, self._hedges, self._hedges_won, coalesced, cached)

    async def close(self) -> None:
        """Close the connections."""
        for replica in self._replicas:
            await replica.close()

    async def _call_single(self, message: bytes, endpoint: Endpoint, until_s: float, check: Check) -> Prediction:
        (replica,) = self._replicas
        if not replica.allows(endpoint):
            raise self._circuit_open()
        self._calls += 1
        try:
            return await replica.call(message, endpoint, until_s=until_s, check=check)
        except ModelUnavailable as error:
            if error.reason != "unreachable" or until_s - time.monotonic() <= 2 * RETRY_DELAY_S:
                raise
        await asyncio.sleep(RETRY_DELAY_S)
        self._calls += 1
        return await replica.call(message, endpoint, until_s=until_s, check=check)

    async def _call_hedged(self, message: bytes, endpoint: Endpoint, until_s: float, check: Check) -> Prediction:
        latency = self._latencies[endpoint]
        race = _Race(message, endpoint, until_s, check, self._by_preference(endpoint))
        failure = self._circuit_open()
        hedge_after_s = latency.hedge_after_s(until_s - time.monotonic()) if self._hedging.share else None
        self._budget.deposit()
        try:
            while race.running or self._start(race, hedge=False):
                done, _ = await asyncio.wait(race.running, timeout=hedge_after_s, return_when=asyncio.FIRST_COMPLETED)
                if not done:
                    hedge_after_s = None  # at most one hedge a request
                    self._hedge(race)
                for task in sorted(done, key=lambda each: race.running[each].began_s):
                    error, attempt = task.exception(), race.running.pop(task)
                    if error is None:
                        self._record_win(attempt, race.running.values(), endpoint, latency)
                        return task.result()
                    if not isinstance(error, ModelUnavailable):
                        raise error
                    failure = error
            raise failure
        finally:
            for task in race.running:
                task.cancel()

    def _start(self, race: "_Race", *, hedge: bool) -> bool:
        started = race.start(hedge=hedge)
        self._calls += started
        self._hedges += started and hedge
        return started

    def _hedge(self, race: "_Race") -> None:
        # A request that probes a replica mustn't lose by it, and probes are one a second: their hedges cost no budget.
        probing = all(attempt.is_probe for attempt in race.running.values())
        if (probing or self._budget.allows()) and self._start(race, hedge=True) and not probing:
            self._budget.withdraw()

    def _record_win(self, winner: _Attempt, losers: Iterable[_Attempt], endpoint: Endpoint, latency: LatencyWindow) -> None:
        now_s = time.monotonic()
        latency.add(now_s - winner.began_s)
        self._hedges_won += winner.hedge
        for loser in losers:
            if loser.began_s < winner.began_s:
                latency.add(now_s - loser.began_s)
                loser.replica.record_lost_race(endpoint)

    def _by_preference(self, endpoint: Endpoint) -> Iterator[Replica]:
        """Yield fast replicas first, among them those with the fewest outstanding calls, rotating through equals."""
        first = next(self._rotation) % len(self._replicas)
        rotated = self._replicas[first:] + self._replicas[:first]
        return iter(sorted(rotated, key=lambda replica: (not replica.is_fast(endpoint), replica.outstanding)))

    def _circuit_open(self) -> ModelUnavailable:
        where = ", ".join(replica.address for replica in self._replicas)
        return ModelUnavailable("open", f"the model server at {where} has kept failing, and isn't asked for a moment")


@dataclass(eq=False)
class _Race:
    """Hold the attempts of one request, of which the first usable answer wins."""

    message: bytes
    endpoint: Endpoint
    until_s: float
    check: Check
    untried: Iterator[Replica]
    running: "dict[asyncio.Task[Prediction], _Attempt]" = field(default_factory=dict)

    def start(self, *, hedge: bool) -> bool:
        """Call the next replica whose circuit breaker allows it; return False where none is left."""
        replica = next((each for each in self.untried if each.allows(self.endpoint)), None)
        if replica is None:
            return False
        task = asyncio.create_task(replica.call(self.message, self.endpoint, until_s=self.until_s, check=self.check))
        self.running[task] = _Attempt(replica, time.monotonic(), hedge, replica.is_probe(self.endpoint))
        task.add_done_callback(_retrieve_error)
        return True


def _retrieve_error(task: "asyncio.Task[Prediction]") -> None:
    """Retrieve a task's exception: asyncio logs those of abandoned calls otherwise."""
    if not task.cancelled():
        task.exception()
