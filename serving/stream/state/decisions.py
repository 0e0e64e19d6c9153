"""Decide which messages count, and which go on with a list that was begun before."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from serving.stream.state.event_batch import NO_LIST
from serving.stream.state.seen_ids import NOBODY, Seen, Sighting, holders

Ints = NDArray[np.int64]
COUNTED, REPEATED, LATE, FORGOTTEN = 0, 1, 2, 3  # what becomes of a message
LATE_MARK = np.uint64(0x5DEECE66D5DEECE6)  # turns a message's id into one that says it was late


@dataclass(frozen=True)
class Arrivals:
    """N messages of K shoppers, sorted by shopper, and within one in the order of their arrival."""

    keys: Ints  # (N,) index of the shopper
    ids: NDArray[np.uint64]
    lists: NDArray[np.uint64]  # of the list that a message shows, or NO_LIST
    partitions: NDArray[np.uint32]
    offsets: Ints
    times_us: Ints
    spans_s: Ints  # between messages of one id
    gap_s: int  # between parts of one list
    late: NDArray[np.bool_]
    applied: NDArray[np.bool_]  # the state has it, if it counts
    forgotten_us: Ints  # (N,) the shopper has asked to forget what was until then


@dataclass(frozen=True)
class Decisions:
    """What becomes of N messages."""

    outcome: NDArray[np.int8]
    applies: NDArray[np.bool_]  # changes the state now
    begins: NDArray[np.bool_]  # is the first of its list, or belongs to none
    added: Sighting  # ids to remember


def decide(arrivals: Arrivals, seen: Seen) -> Decisions:
    """Decide on messages by the ids that their shoppers have seen.

    A message that is in the state already gets the answer that it got then: it counted if its id is remembered with its
    own position, it was late if that is remembered, and else it was a repetition. One that isn't counts unless its id is
    remembered with another position, or it is late.
    """
    times_s = arrivals.times_us // 1_000_000
    rows = Sighting(arrivals.keys, arrivals.ids, arrivals.partitions, arrivals.offsets, times_s, arrivals.spans_s)
    first = holders(seen, rows)
    own = (first[0] == arrivals.offsets) & (first[1] == arrivals.partitions)
    unknown = first[0] == NOBODY
    counts = np.where(arrivals.applied, own, (own | unknown) & ~(unknown & arrivals.late))
    lateness = replace(rows, ids=rows.ids ^ LATE_MARK)
    late_at = holders(seen, lateness)
    was_late = (late_at[0] == arrivals.offsets) & (late_at[1] == arrivals.partitions)
    outcome = np.where(counts, COUNTED, np.where(unknown & (was_late | ~arrivals.applied), LATE, REPEATED)).astype(np.int8)
    outcome[(arrivals.times_us <= arrivals.forgotten_us) & (outcome != REPEATED)] = FORGOTTEN
    new = ~arrivals.applied & unknown & np.isin(outcome, (COUNTED, FORGOTTEN))
    applies = ~arrivals.applied & (outcome == COUNTED)
    of_list = np.flatnonzero((arrivals.lists != NO_LIST) & counts)
    parts = Sighting(
        arrivals.keys[of_list],
        arrivals.lists[of_list],
        arrivals.partitions[of_list],
        arrivals.offsets[of_list],
        times_s[of_list],
        np.full(len(of_list), arrivals.gap_s),
    )
    before = holders(seen, parts)
    begins = np.ones(len(arrivals.keys), np.bool_)
    opening = before[0] == NOBODY
    begins[of_list] = opening | ((before[0] == parts.offsets) & (before[1] == parts.partitions))
    opened = opening & ~arrivals.applied[of_list]
    newly_late = ~arrivals.applied & (outcome == LATE)
    remembered = [(rows, new), (parts, opened), (lateness, newly_late)]
    added = Sighting(
        *(np.concatenate([getattr(some, name)[chosen] for some, chosen in remembered]) for name in Sighting.__dataclass_fields__)
    )
    return Decisions(outcome, applies, begins, added)
