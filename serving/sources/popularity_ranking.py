"""Rank the catalogue's products by popularity, periodically rather than for each request."""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar, final

import numpy as np
from numpy.typing import NDArray

from components.contract.dataset import Dataset
from components.state.features import plan_of, state_readers
from components.state.plan import total_index
from components.state.reducer import Features

REFRESH_S = 60.0
AT_A_TIME = 1_000
_LOG = logging.getLogger(__name__)

Seen = TypeVar("Seen")
Known = Callable[[list[str], int], Features | None]  # ids and a moment to their state features


@dataclass(frozen=True)
class Standing:
    """Ranking of N products: `by_popularity` (N,) rows, most popular first, ties by events; `events` (N,) counted."""

    by_popularity: NDArray[np.int64]
    events: NDArray[np.int64]


def standing(ids: Sequence[str], known: Known, dataset: Dataset, column: str | None, *, time_us: int) -> Standing:
    """Rank products at a moment; where items have no state all are equal and without events.

    Args:
        ids: of the N products.
        known: reads the state.
        dataset: defines the state's plan.
        column: the state feature's column that is the popularity, or None.
        time_us: the moment.
    """
    popularity, events = np.zeros(len(ids), np.float32), np.zeros(len(ids), np.int64)
    plan = plan_of(dataset, "item")
    if plan is not None:
        totals = [total_index(plan, action) for action in plan.actions]
        reader = state_readers(dataset, "item").get(column or "")
        for first in range(0, len(ids), AT_A_TIME):
            some = slice(first, first + AT_A_TIME)
            states = known(list(ids[some]), time_us)
            assert states is not None
            events[some] = states.values[:, totals].sum(axis=1)
            if reader is not None:
                popularity[some] = reader(states.values)
    # Where the log is old every decayed count is zero; the number of events still ranks the products.
    return Standing(np.lexsort((-events, -popularity)), events)


@final
class Watched(Generic[Seen]):
    """Value that is refreshed periodically, such as the ranking: `now` is the last one."""

    def __init__(self, look: Callable[[int], Seen]) -> None:
        self._look = look
        self.now = look(time.time_ns() // 1000)

    async def refresh(self) -> None:
        """Refresh on a thread; after an error the last value stays."""
        try:
            self.now = await asyncio.to_thread(self._look, time.time_ns() // 1000)
        except Exception as error:  # of any kind that a store's client raises: sources use the last value
            _LOG.warning("the catalogue's products couldn't be looked up: %s: %s", type(error).__name__, error)

    async def refreshed(self, every_s: float = REFRESH_S) -> None:
        """Refresh periodically, until cancelled."""
        while True:
            await asyncio.sleep(every_s)
            await self.refresh()
