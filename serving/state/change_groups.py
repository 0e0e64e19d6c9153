"""What a call's changes do, in groups that share no key: each is set by a script of its own."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from components.state.plan import StatePlan
from components.state.store import Event
from serving.state.interface import Change
from serving.state.partitions import placed

KEYS_AT_A_TIME = 4_000  # that a round trip reads and sets


@dataclass(frozen=True)
class Side:
    """One side of the state: what is kept of its keys, and how they begin."""

    plan: StatePlan
    prefix: bytes

    def key(self, name: str) -> bytes:
        """The key of a shopper or an item."""
        return self.prefix + placed(name)


@dataclass
class Group:
    """What some changes do to keys that one script sets together: events by key, in their order, each with its change's place."""

    marks: list[tuple[int, bytes]] = field(default_factory=list)
    events: dict[bytes, list[tuple[int, Event]]] = field(default_factory=dict)
    sides: dict[bytes, Side] = field(default_factory=dict)
    tombstones: dict[bytes, bytes] = field(default_factory=dict)  # of a shopper's key
    made: dict[bytes, bytes] = field(default_factory=dict)  # values from an attempt before, of keys that nobody has changed since

    def all_keys(self) -> list[bytes]:
        """Marks, tombstones, and keys of either side."""
        return list(dict.fromkeys([*(mark for _, mark in self.marks), *self.tombstones.values(), *self.events]))

    def take_in(self, other: "Group") -> None:
        """Another's changes, which come later."""
        self.marks += other.marks
        for key, events in other.events.items():
            self.events.setdefault(key, []).extend(events)
        self.sides |= other.sides
        self.tombstones |= other.tombstones


def keys_of(groups: Iterable[Group]) -> list[bytes]:
    """The keys of some groups, each once."""
    return list(dict.fromkeys(key for group in groups for key in group.all_keys()))


def joined(groups: Sequence[Group]) -> list[Group]:
    """Groups that share a key as one, in their order."""
    first: dict[bytes, int] = {}
    root = list(range(len(groups)))

    def root_of(place: int) -> int:
        while root[place] != place:
            root[place] = root[root[place]]
            place = root[place]
        return place

    for place, group in enumerate(groups):
        for key in group.all_keys():
            one, other = root_of(first.setdefault(key, place)), root_of(place)
            root[max(one, other)] = min(one, other)
    for place, group in enumerate(groups):
        if root_of(place) != place:
            groups[root_of(place)].take_in(group)
    return [group for place, group in enumerate(groups) if root_of(place) == place]


def halves(changes: Mapping[int, Change], groups: Iterable[tuple[int, Group]]) -> list[dict[int, Change]]:
    """The changes of some groups in two parts, one after the other."""
    places = sorted({place for _, group in groups for place, _ in group.marks})
    middle = (len(places) + 1) // 2
    return [{place: changes[place] for place in some} for some in (places[:middle], places[middle:]) if some]


def portions(changes: Sequence[Change]) -> Iterator[dict[int, Change]]:
    """As many changes together as one round trip may carry, by their places."""
    some: dict[int, Change] = {}
    keys = 0
    for place, change in enumerate(changes):
        touched = 1 + len(change.users) + len(change.items)
        if some and keys + touched > KEYS_AT_A_TIME:
            yield some
            some, keys = {}, 0
        some[place] = change
        keys += touched
    if some:
        yield some
