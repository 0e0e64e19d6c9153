"""The seam between the service and its state: what a store is asked and told, whether in memory or in Redis."""

from dataclasses import dataclass
from typing import Protocol

from components.contract.dataset import Dataset
from components.state.features import plan_of
from components.state.plan import StatePlan
from components.state.reducer import Features
from components.state.store import Event


@dataclass(frozen=True)
class Plans:
    """What is kept of each side; None of the items where no feature asks for it."""

    users: StatePlan
    items: StatePlan | None


@dataclass(frozen=True)
class Known:
    """What was known at a moment: of the shopper (Q = 1), and of each item asked for (Q = L); None where nothing is kept of items."""

    user: Features
    items: Features | None


@dataclass(frozen=True)
class Change:
    """What something that happened changes. It counts once: a store that remembers its `mark` takes it for a repetition.

    Of changes with one mark those are repetitions that follow the last of them by no more than `span_us`: a request's id may come again.

    `users` and `items` are events of keys of either side, each side's in their order; what their histories remember are item codes.
    """

    mark: bytes  # 16 bytes
    users: tuple[Event, ...]
    items: tuple[Event, ...]
    time_us: int = 0
    span_us: int = 0


class StateStores(Protocol):
    """The state of users and items. Calls may come from several threads."""

    def known(self, shopper: str, items: list[str], time_us: int, *, session: int = 0) -> Known:
        """What is known of a shopper and of items at a moment; of strangers and of guests (""), nothing."""
        ...

    def record(self, change: Change) -> bool:
        """Take a change in; False where it is a repetition. No change of another writer, in whichever process, is lost by it."""
        ...

    def forget(self, shopper: str, *, time_us: int = 0) -> None:
        """Let go of all that is known of a shopper, for good: no state of before that is loaded brings it back.

        Args:
            shopper: his id.
            time_us: events up to this moment count for him no more, should they come later.
        """
        ...


def plans_of(dataset: Dataset) -> Plans:
    """What a dataset keeps of each side."""
    users = plan_of(dataset, "user")
    assert users is not None  # users are always kept, for sessions and the number of interactions
    return Plans(users, plan_of(dataset, "item"))
