"""Use the state store within a deadline: a shopper that can't be looked up in time counts as a new one."""

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol, TypeVar, final

from components.contract.errors import StateUnavailable
from serving.client.breaker import BreakerSettings, CircuitBreaker
from serving.features.build_tensors import RequestFeatures
from serving.features.request import Inputs, Request
from serving.state.interface import Change, StateStores

THREADS = 16  # for reads, and as many for writes
GRACE_S = 0.5  # beyond the deadline, for a write under way
_LOG = logging.getLogger(__name__)
Answer = TypeVar("Answer")
Log = Callable[[], Awaitable[None]]


class RecordedChanges(Protocol):
    """Hold changes that a store has recorded."""

    @property
    def undo(self) -> Callable[[], None]:
        """Return a function that reverts them."""
        ...


class RemoteStates(StateStores, Protocol):
    """Define a store behind a network."""

    def record_all(self, changes: Sequence[Change], *, until_s: float | None = None) -> RecordedChanges:
        """Record changes, all of them or none, before a time of the monotonic clock; raise StateUnavailable."""
        ...

    def ask_logs(self, keys: Sequence[str], *, time_us: int) -> None:
        """Ask all services that share the store to erase a shopper from their logs; raise StateUnavailable."""
        ...


class StateClient(Protocol):
    """Define how the service reads and writes its state, within one event loop."""

    async def inputs(self, request: Request, *, timeout_s: float) -> tuple[Inputs, bool]:
        """Return the tensors of a request, and whether the state was known; else they are a new shopper's.

        Raises:
            InputError: see RequestFeatures.
        """
        ...

    async def record(self, changes: Sequence[Change], *, timeout_s: float, log: Log | None = None) -> None:
        """Record changes, in the state and the log: both or neither.

        Args:
            changes: to be recorded.
            timeout_s: for the state.
            log: writes them, within a time of its own; raises LogUnavailable.

        Raises:
            StateUnavailable: they aren't recorded. After a broken connection some may be; a retry does no harm.
            LogUnavailable: the log couldn't write them.
        """
        ...

    async def forget(self, names: Sequence[str], *, log_keys: Sequence[str], time_us: int, timeout_s: float) -> None:
        """Forget a shopper under all names; their events up to `time_us` count no more.

        Args:
            names: of the shopper in the state.
            log_keys: of the shopper in logs, for services that share the state and have logs of their own.
            time_us: the current time.
            timeout_s: for the state.

        Raises:
            StateUnavailable: it may be that nothing was forgotten.
        """
        ...

    def failing(self) -> bool:
        """Return whether the store keeps failing."""
        ...

    def close(self) -> None:
        """Stop threads."""
        ...


@final
class LocalStateClient:
    """Use a store in this process, which neither waits nor fails.

    Args:
        features: over that store.
        states: the store.
        buckets: lengths that lists are padded to, see RequestFeatures.
    """

    def __init__(self, features: RequestFeatures, states: StateStores, *, buckets: Sequence[int] = ()) -> None:
        self._features, self._states, self._buckets = features, states, buckets

    async def inputs(self, request: Request, *, timeout_s: float) -> tuple[Inputs, bool]:
        """See StateClient."""
        return self._features.inputs(request, buckets=self._buckets), True

    async def record(self, changes: Sequence[Change], *, timeout_s: float, log: Log | None = None) -> None:
        """See StateClient. The log goes first: after a kill the state is replayed from it."""
        if log is not None:
            await log()
        for change in changes:
            self._states.record(change)

    async def forget(self, names: Sequence[str], *, log_keys: Sequence[str], time_us: int, timeout_s: float) -> None:
        """See StateClient."""
        for name in names:
            self._states.forget(name, time_us=time_us)

    def failing(self) -> bool:
        """See StateClient."""
        return False

    def close(self) -> None:
        """See StateClient."""


@final
class RemoteStateClient:
    """Use a store behind a network: on threads, within deadlines, and behind a circuit breaker.

    Reads and writes have threads and a breaker each: large writes that fail don't stop reads.

    Args:
        features: over that store.
        stranger: over an empty one, for new shoppers.
        states: the store.
        buckets: lengths that lists are padded to, see RequestFeatures.
        breaker: of the store.
    """

    def __init__(
        self,
        features: RequestFeatures,
        stranger: RequestFeatures,
        states: RemoteStates,
        *,
        buckets: Sequence[int] = (),
        breaker: BreakerSettings = BreakerSettings(),  # noqa: B008 - frozen
    ) -> None:
        self._features, self._stranger, self._states, self._buckets = features, stranger, states, buckets
        self._reads, self._writes = _CallPool(breaker, "state-reads"), _CallPool(breaker, "state-writes")

    async def inputs(self, request: Request, *, timeout_s: float) -> tuple[Inputs, bool]:
        """See StateClient."""
        query = self._features.query(request)
        try:
            known = await self._reads.call(lambda: query.look_up(self._states), timeout_s)
        except StateUnavailable:
            return self._stranger.inputs(request, buckets=self._buckets), False
        return self._features.assemble(request, query, known, buckets=self._buckets), True

    async def record(self, changes: Sequence[Change], *, timeout_s: float, log: Log | None = None) -> None:
        """See StateClient. The state goes first: it can undo what the log then refuses, which a file can't."""
        until_s = time.monotonic() + timeout_s
        recorded = await self._writes.call(lambda: self._states.record_all(changes, until_s=until_s), timeout_s, grace_s=GRACE_S)
        if log is not None:
            try:
                await log()
            except BaseException:
                with contextlib.suppress(StateUnavailable):  # then it stays, and a retry isn't counted twice
                    await self._writes.call(recorded.undo, GRACE_S)
                raise

    async def forget(self, names: Sequence[str], *, log_keys: Sequence[str], time_us: int, timeout_s: float) -> None:
        """See StateClient."""

        def forget() -> None:
            for name in names:
                self._states.forget(name, time_us=time_us)
            self._states.ask_logs(log_keys, time_us=time_us)

        await self._writes.call(forget, timeout_s)

    def failing(self) -> bool:
        """See StateClient."""
        return self._reads.failing or self._writes.failing

    def close(self) -> None:
        """See StateClient."""
        self._reads.close()
        self._writes.close()


class _CallPool:
    """Call a store on threads of its own, behind a circuit breaker.

    The breaker counts `StateUnavailable` and timeouts. Any other error is a bug here.
    """

    def __init__(self, breaker: BreakerSettings, name: str) -> None:
        self._breaker = CircuitBreaker(breaker)
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix=name)

    @property
    def failing(self) -> bool:
        return self._breaker.is_open

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def call(self, function: Callable[[], Answer], timeout_s: float, *, grace_s: float = 0.0) -> Answer:
        """Return the function's result; `grace_s` extends the time it may take beyond its deadline."""
        if timeout_s <= 0:  # not the store's failure
            raise StateUnavailable("no time is left to ask the state store; try again later")
        if not self._breaker.allows(time.monotonic()):
            raise StateUnavailable("the state store has kept failing, and isn't asked for a moment; try again later")
        try:
            answer = await asyncio.wait_for(asyncio.get_running_loop().run_in_executor(self._threads, function), timeout_s + grace_s)
        except StateUnavailable as error:
            self._breaker.record_failure(time.monotonic())
            _LOG.warning("the state store: %s", error)
            raise
        except TimeoutError as error:
            self._breaker.record_timeout(time.monotonic(), timeout_s)
            raise StateUnavailable("the state store gave no answer in time; try again later") from error
        except Exception:
            self._breaker.record_success()
            raise
        self._breaker.record_success()
        return answer
