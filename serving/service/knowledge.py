"""The state store within a deadline: a request whose shopper can't be looked up in time is answered as a stranger's."""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol, TypeVar, final

from components.contract.errors import InputError, StateUnavailable
from serving.client.breaker import Breaker, BreakerSettings
from serving.features.assemble import RequestFeatures
from serving.features.request import Inputs, Request
from serving.state.seam import Change, StateStores

THREADS = 16
_LOG = logging.getLogger(__name__)
Answer = TypeVar("Answer")


class Knowledge(Protocol):
    """What the service asks and tells its state. Called within one event loop."""

    async def inputs(self, request: Request, *, timeout_s: float) -> tuple[Inputs, bool]:
        """The tensors of a request, and whether the state was known; where it wasn't they are a stranger's.

        Raises:
            InputError: see RequestFeatures.
        """
        ...

    async def record(self, changes: Sequence[Change], *, timeout_s: float) -> None:
        """Take changes in.

        Raises:
            StateUnavailable: it may be that not all were; to send them again does no harm.
        """
        ...

    async def forget(self, shopper: str, *, timeout_s: float) -> None:
        """Let go of a shopper.

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

    async def record(self, changes: Sequence[Change], *, timeout_s: float) -> None:
        """See Knowledge."""
        for change in changes:
            self._states.record(change)

    async def forget(self, shopper: str, *, timeout_s: float) -> None:
        """See Knowledge."""
        self._states.forget(shopper)

    def failing(self) -> bool:
        """See Knowledge."""
        return False

    def close(self) -> None:
        """See Knowledge."""


@final
class FarKnowledge:
    """Of a store behind a network, asked on threads, within time, and not at all while it keeps failing.

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
        states: StateStores,
        *,
        buckets: Sequence[int] = (),
        breaker: BreakerSettings = BreakerSettings(),  # noqa: B008 - frozen
    ) -> None:
        self._features, self._stranger, self._states, self._buckets = features, stranger, states, buckets
        self._breaker = Breaker(breaker)
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="state")

    async def inputs(self, request: Request, *, timeout_s: float) -> tuple[Inputs, bool]:
        """See Knowledge."""
        try:
            return await self._within(lambda: self._features.inputs(request, buckets=self._buckets), timeout_s), True
        except StateUnavailable:
            return self._stranger.inputs(request, buckets=self._buckets), False

    async def record(self, changes: Sequence[Change], *, timeout_s: float) -> None:
        """See Knowledge."""
        await self._within(lambda: [self._states.record(change) for change in changes], timeout_s)

    async def forget(self, shopper: str, *, timeout_s: float) -> None:
        """See Knowledge."""
        await self._within(lambda: self._states.forget(shopper), timeout_s)

    def failing(self) -> bool:
        """See Knowledge."""
        return self._breaker.is_open

    def close(self) -> None:
        """See Knowledge."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _within(self, call: Callable[[], Answer], timeout_s: float) -> Answer:
        if timeout_s <= 0:  # which is no fault of the store
            raise StateUnavailable("no time is left to ask the state store; try again later")
        if not self._breaker.allows(time.monotonic()):
            raise StateUnavailable("the state store has kept failing, and isn't asked for a moment; try again later")
        try:
            answer = await asyncio.wait_for(asyncio.get_running_loop().run_in_executor(self._threads, call), timeout_s)
        except InputError:
            self._breaker.succeeded()
            raise
        except Exception as error:  # whatever a store's client raises: the shelf is answered all the same
            if isinstance(error, TimeoutError):
                self._breaker.late(time.monotonic(), timeout_s)
            else:
                self._breaker.failed(time.monotonic())
                _LOG.warning("the state store: %s: %s", type(error).__name__, error)
            raise StateUnavailable(f"the state store gave no answer ({type(error).__name__}); try again later") from error
        self._breaker.succeeded()
        return answer
