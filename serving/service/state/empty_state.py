"""Check that a shared store knows shoppers of the last ingestion: a wrong or flushed Redis answers as well."""

import asyncio
import logging
import time
from collections.abc import Sequence
from typing import final

from components.contract.dataset import Dataset
from components.state.features import plan_of
from components.state.plan import total_index
from serving.state.interface import StateStores

EVERY_S = 60.0
WHAT = "empty state"
_LOG = logging.getLogger(__name__)


def is_empty(states: StateStores, dataset: Dataset, shoppers: Sequence[str], *, now_us: int) -> bool:
    """Return whether the store has no event of any of these shoppers, all of whom the last ingestion's state knows."""
    plan = plan_of(dataset, "user")
    assert plan is not None
    totals = [total_index(plan, action) for action in plan.actions]
    return bool(shoppers) and not any(states.known(each, [], now_us).user.values[0, totals].any() for each in shoppers)


@final
class EmptyState:
    """Check the store every minute."""

    def __init__(self, states: StateStores, dataset: Dataset, shoppers: Sequence[str]) -> None:
        self._states, self._dataset, self._shoppers = states, dataset, shoppers
        self._is_empty = False

    def failing(self) -> list[str]:
        """Return `empty state` where it is empty."""
        return [WHAT] if self._is_empty else []

    async def watch(self) -> None:
        """Check periodically, on a thread, if there are shoppers to check."""
        while self._shoppers:
            try:
                empty = await asyncio.to_thread(is_empty, self._states, self._dataset, self._shoppers, now_us=time.time_ns() // 1000)
            except Exception as error:
                _LOG.debug("the state store can't be looked at: %s", error)
            else:
                if empty and not self._is_empty:
                    _LOG.warning(
                        "the state store knows none of %d shoppers of the last ingestion: every shopper is a stranger to the model;"
                        " bring its state in (`--load`), or name the right store",
                        len(self._shoppers),
                    )
                self._is_empty = empty
            await asyncio.sleep(EVERY_S)
