"""How the catalogue's products stand with the shoppers: looked up for all of them from time to time, and not for each request."""

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
Known = Callable[[list[str], int], Features | None]  # ids and the moment to what is known of them


@dataclass(frozen=True)
class Standing:
    """Of N products: `by_popularity` (N,) their rows, the popular first, of equals those with more events; `events` (N,) counted so far."""

    by_popularity: NDArray[np.int64]
    events: NDArray[np.int64]


def standing(ids: Sequence[str], known: Known, dataset: Dataset, column: str | None, *, time_us: int) -> Standing:
    """How products stand at a moment; where nothing is kept of items all are equal and new.

    Args:
        ids: of the N products.
        known: the state.
        dataset: whose plan the state has.
        column: the state feature's column by which products are popular, or None.
        time_us: the moment.
    """
    popularity, events = np.zeros(len(ids), np.float32), np.zeros(len(ids), np.int64)
    plan = plan_of(dataset, "item")
    if plan is not None:
        totals = [total_index(plan, action) for action in plan.actions]
        of = state_readers(dataset, "item").get(column or "")
        for first in range(0, len(ids), AT_A_TIME):
            some = slice(first, first + AT_A_TIME)
            found = known(list(ids[some]), time_us)
            assert found is not None
            events[some] = found.values[:, totals].sum(axis=1)
            if of is not None:
                popularity[some] = of(found.values)
    # Where the log is old every decayed count has vanished; what happened once still tells products apart.
    return Standing(np.lexsort((-events, -popularity)), events)


@final
class Watched(Generic[Seen]):
    """What a look sees that changes with time, such as the standing: `now`, as of the last look."""

    def __init__(self, look: Callable[[int], Seen]) -> None:
        self._look = look
        self.now = look(time.time_ns() // 1000)

    async def refresh(self) -> None:
        """Look again, on a thread; where that fails what was seen last stays."""
        try:
            self.now = await asyncio.to_thread(self._look, time.time_ns() // 1000)
        except Exception as error:  # whatever a store's client raises: sources go on with what they have
            _LOG.warning("the catalogue's products couldn't be looked up: %s: %s", type(error).__name__, error)

    async def refreshed(self, every_s: float = REFRESH_S) -> None:
        """Look again and again, until cancelled."""
        while True:
            await asyncio.sleep(every_s)
            await self.refresh()
