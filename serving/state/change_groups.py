"""Group a call's changes so that no two groups share a key: each group is written by one script."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from components.state.plan import StatePlan
from components.state.store import Event
from serving.state.interface import Change
from serving.state.partitions import partitioned

KEYS_AT_A_TIME = 4_000  # read and written by one round trip


@dataclass(frozen=True)
class Side:
    """One side of the state (users or items): its plan, and the prefix of its keys."""

    plan: StatePlan
    prefix: bytes

    def key(self, name: str) -> bytes:
        """Return the key of a shopper or an item."""
        return self.prefix + partitioned(name)


@dataclass
class Group:
    """Events of some changes on keys that one script writes: by key, in their order, each with its change's index."""

    marks: list[tuple[int, bytes]] = field(default_factory=list)
    events: dict[bytes, list[tuple[int, Event]]] = field(default_factory=dict)
    sides: dict[bytes, Side] = field(default_factory=dict)
    tombstones: dict[bytes, bytes] = field(default_factory=dict)  # shopper's key to the tombstone's
    computed: dict[bytes, bytes] = field(default_factory=dict)  # values of an earlier attempt whose keys are unchanged since

    def all_keys(self) -> list[bytes]:
        """Return the keys of marks, tombstones and both sides."""
        return list(dict.fromkeys([*(mark for _, mark in self.marks), *self.tombstones.values(), *self.events]))

    def append(self, other: "Group") -> None:
        """Append another group's changes, which are later ones."""
        self.marks += other.marks
        for key, events in other.events.items():
            self.events.setdefault(key, []).extend(events)
        self.sides |= other.sides
        self.tombstones |= other.tombstones


def keys_of(groups: Iterable[Group]) -> list[bytes]:
    """Return the distinct keys of some groups."""
    return list(dict.fromkeys(key for group in groups for key in group.all_keys()))


def merge_overlapping(groups: Sequence[Group]) -> list[Group]:
    """Merge groups that share a key, in their order, by union-find."""
    first: dict[bytes, int] = {}
    root = list(range(len(groups)))

    def root_of(index: int) -> int:
        while root[index] != index:
            root[index] = root[root[index]]
            index = root[index]
        return index

    for index, group in enumerate(groups):
        for key in group.all_keys():
            one, other = root_of(first.setdefault(key, index)), root_of(index)
            root[max(one, other)] = min(one, other)
    for index, group in enumerate(groups):
        if root_of(index) != index:
            groups[root_of(index)].append(group)
    return [group for index, group in enumerate(groups) if root_of(index) == index]


def split_in_half(changes: Mapping[int, Change], groups: Iterable[tuple[int, Group]]) -> list[dict[int, Change]]:
    """Split the changes of some groups into two halves, in their order."""
    indices = sorted({index for _, group in groups for index, _ in group.marks})
    middle = (len(indices) + 1) // 2
    return [{index: changes[index] for index in half} for half in (indices[:middle], indices[middle:]) if half]


def batches(changes: Sequence[Change]) -> Iterator[dict[int, Change]]:
    """Split changes into batches of one round trip each, by their indices."""
    batch: dict[int, Change] = {}
    keys = 0
    for index, change in enumerate(changes):
        touched = 1 + len(change.users) + len(change.items)
        if batch and keys + touched > KEYS_AT_A_TIME:
            yield batch
            batch, keys = {}, 0
        batch[index] = change
        keys += touched
    if batch:
        yield batch
