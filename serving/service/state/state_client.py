"""The state store within a deadline: a request whose shopper can't be looked up in time is answered as a stranger's."""

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol, TypeVar, final

from components.contract.errors import StateUnavailable
from serving.client.breaker import Breaker, BreakerSettings
from serving.features.build_tensors import RequestFeatures
from serving.features.request import Inputs, Request
from serving.state.interface import Change, StateStores

THREADS = 16  # for reading, and as many for writing
GRACE_S = 0.5  # for an answer that is on its way when the time is over
_LOG = logging.getLogger(__name__)
Answer = TypeVar("Answer")
Log = Callable[[], Awaitable[None]]


class Taken(Protocol):
    """Changes that a store has taken in."""

    @property
    def undo(self) -> Callable[[], None]:
        """Makes that nothing of them is there."""
        ...


class RemoteStates(StateStores, Protocol):
    """A store behind a network."""

    def record_all(self, changes: Sequence[Change], *, until_s: float | None = None) -> Taken:
        """Take changes in, all of them or none, before a moment of the monotonic clock; raises StateUnavailable."""
        ...

    def ask_logs(self, keys: Sequence[str], *, time_us: int) -> None:
        """Ask all services that share the store to erase a shopper from their logs; raises StateUnavailable."""
        ...


class Knowledge(Protocol):
    """What the service asks and tells its state. Called within one event loop."""

    async def inputs(self, request: Request, *, timeout_s: float) -> tuple[Inputs, bool]:
        """The tensors of a request, and whether the state was known; where it wasn't they are a stranger's.

        Raises:
            InputError: see RequestFeatures.
        """
        ...

    async def record(self, changes: Sequence[Change], *, timeout_s: float, log: Log | None = None) -> None:
        """Take changes in, and have the log take them: both do or neither.

        Args:
            changes: what is to be taken in.
            timeout_s: for the state.
            log: writes them down, within a time of its own; raises LogUnavailable.

        Raises:
            StateUnavailable: they aren't taken in. Where the connection broke some may be; to send them again does no harm.
            LogUnavailable: the log couldn't take them.
        """
        ...

    async def forget(self, names: Sequence[str], *, log_keys: Sequence[str], time_us: int, timeout_s: float) -> None:
        """Let go of a shopper, whatever he is called; what he did up to `time_us` counts no more.

        Args:
            names: all that the state may call him.
            log_keys: all that logs may, for services that share the state and have logs of their own.
            time_us: the moment.
            timeout_s: for the state.

        Raises:
            StateUnavailable: it may be that nothing was forgotten.
        """
        ...

    def failing(self) -> bool:
        """Whether the store has kept failing."""
        ...

    def close(self) -> None:
        """Let go of threads."""
        ...


@final
class NearKnowledge:
    """Of a store in this process, which neither waits nor fails.

    Args:
        features: over that store.
        states: the store.
        buckets: lengths that lists are filled up to, see RequestFeatures.
    """

    def __init__(self, features: RequestFeatures, states: StateStores, *, buckets: Sequence[int] = ()) -> None:
        self._features, self._states, self._buckets = features, states, buckets

    async def inputs(self, request: Request, *, timeout_s: float) -> tuple[Inputs, bool]:
        """See Knowledge."""
        return self._features.inputs(request, buckets=self._buckets), True

    async def record(self, changes: Sequence[Change], *, timeout_s: float, log: Log | None = None) -> None:
        """See Knowledge. The log goes first: after a kill the state is made up for from there."""
        if log is not None:
            await log()
        for change in changes:
            self._states.record(change)

    async def forget(self, names: Sequence[str], *, log_keys: Sequence[str], time_us: int, timeout_s: float) -> None:
        """See Knowledge."""
        for name in names:
            self._states.forget(name, time_us=time_us)

    def failing(self) -> bool:
        """See Knowledge."""
        return False

    def close(self) -> None:
        """See Knowledge."""


@final
class FarKnowledge:
    """Of a store behind a network, asked on threads, within time, and not at all while it keeps failing.

    Reading and writing have threads and a breaker each: large calls of events that don't get through keep no request from its shopper.

    Args:
        features: over that store.
        stranger: over an empty one.
        states: the store.
        buckets: lengths that lists are filled up to, see RequestFeatures.
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
        self._reading, self._writing = _Store(breaker, "state-reads"), _Store(breaker, "state-writes")

    async def inputs(self, request: Request, *, timeout_s: float) -> tuple[Inputs, bool]:
        """See Knowledge."""
        query = self._features.query(request)
        try:
            known = await self._reading.within(lambda: query.asked(self._states), timeout_s)
        except StateUnavailable:
            return self._stranger.inputs(request, buckets=self._buckets), False
        return self._features.assembled(request, query, known, buckets=self._buckets), True

    async def record(self, changes: Sequence[Change], *, timeout_s: float, log: Log | None = None) -> None:
        """See Knowledge. The state goes first: it can take back what the log then refuses, which a file can't."""
        until_s = time.monotonic() + timeout_s
        taken = await self._writing.within(lambda: self._states.record_all(changes, until_s=until_s), timeout_s, grace_s=GRACE_S)
        if log is not None:
            try:
                await log()
            except BaseException:
                with contextlib.suppress(StateUnavailable):  # then it stays, and counts once when it is sent again
                    await self._writing.within(taken.undo, GRACE_S)
                raise

    async def forget(self, names: Sequence[str], *, log_keys: Sequence[str], time_us: int, timeout_s: float) -> None:
        """See Knowledge."""

        def forgotten() -> None:
            for name in names:
                self._states.forget(name, time_us=time_us)
            self._states.ask_logs(log_keys, time_us=time_us)

        await self._writing.within(forgotten, timeout_s)

    def failing(self) -> bool:
        """See Knowledge."""
        return self._reading.failing or self._writing.failing

    def close(self) -> None:
        """See Knowledge."""
        self._reading.close()
        self._writing.close()


class _Store:
    """Calls of a store on threads of their own, behind a breaker.

    The breaker counts what the store does: `StateUnavailable`, and no answer in time. Any other error is a fault of this program.
    """

    def __init__(self, breaker: BreakerSettings, name: str) -> None:
        self._breaker = Breaker(breaker)
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix=name)

    @property
    def failing(self) -> bool:
        return self._breaker.is_open

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def within(self, call: Callable[[], Answer], timeout_s: float, *, grace_s: float = 0.0) -> Answer:
        """What the call gives; `grace_s` is how much longer than its own time it may take to end."""
        if timeout_s <= 0:  # which is no fault of the store
            raise StateUnavailable("no time is left to ask the state store; try again later")
        if not self._breaker.allows(time.monotonic()):
            raise StateUnavailable("the state store has kept failing, and isn't asked for a moment; try again later")
        try:
            answer = await asyncio.wait_for(asyncio.get_running_loop().run_in_executor(self._threads, call), timeout_s + grace_s)
        except StateUnavailable as error:
            self._breaker.failed(time.monotonic())
            _LOG.warning("the state store: %s", error)
            raise
        except TimeoutError as error:
            self._breaker.late(time.monotonic(), timeout_s)
            raise StateUnavailable("the state store gave no answer in time; try again later") from error
        except Exception:
            self._breaker.succeeded()
            raise
        self._breaker.succeeded()
        return answer
