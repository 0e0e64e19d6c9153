"""Define the interface between the service and its state stores, in memory or in Redis."""

from dataclasses import dataclass
from typing import Protocol

from components.contract.dataset import Dataset
from components.state.features import plan_of
from components.state.plan import StatePlan
from components.state.reducer import Features
from components.state.store import Event


@dataclass(frozen=True)
class Plans:
    """State plans of both sides; None for items where no feature needs their state."""

    users: StatePlan
    items: StatePlan | None


@dataclass(frozen=True)
class Known:
    """State features at a moment: of the shopper (Q = 1), and of the items (Q = L) if they have state."""

    user: Features
    items: Features | None


@dataclass(frozen=True)
class Change:
    """Update of the state by one call. It counts once: a store that remembers its `mark` ignores it as a repetition.

    A change repeats the last one with its mark where it follows by no more than `span_us`: a request's id may be used
    again later.

    `users` and `items` are the events by key of either side, each side's in their order; the items in their histories
    are item codes.
    """

    mark: bytes  # 16 bytes
    users: tuple[Event, ...]
    items: tuple[Event, ...]
    time_us: int = 0
    span_us: int = 0


class StateStores(Protocol):
    """State of users and items. Thread-safe."""

    def known(self, shopper: str, items: list[str], time_us: int, *, session: int = 0) -> Known:
        """Return the features of a shopper and of items at a moment; empty for unknown shoppers and guests ("")."""
        ...

    def record(self, change: Change) -> bool:
        """Apply a change; return False where it is a repetition. Concurrent writers, in any process, lose no change."""
        ...

    def forget(self, shopper: str, *, time_us: int = 0) -> None:
        """Erase a shopper's state for good: loading an older state doesn't restore it.

        Args:
            shopper: the id.
            time_us: events up to this moment are ignored, should they arrive later.
        """
        ...


def plans_of(dataset: Dataset) -> Plans:
    """Return the state plans of a dataset."""
    users = plan_of(dataset, "user")
    assert users is not None  # users are always kept, for sessions and the number of interactions
    return Plans(users, plan_of(dataset, "item"))
