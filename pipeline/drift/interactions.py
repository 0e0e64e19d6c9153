"""Join what shoppers did to the lists that showed it: labels, delays, and what a page reported as seen."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from components.contract.dataset import Dataset
from components.contract.sources import Impressions
from pipeline.drift.json_chunks import read_chunks
from serving.exposure.serialization import EventRows

MOST_DELAY_US = 86_400_000_000
"""An interaction that is further from its list than a day, either way, isn't taken for that list's."""

Ints = NDArray[np.int64]
Keys = NDArray[np.uint64]


@dataclass(frozen=True)
class Outcomes:
    """What came of N candidates, with M interactions among them.

    Attributes:
        labels: [N] 1 where a labelled action came in time, NaN where it may still come.
        by_action: [N] the same of each action, where there are several.
        candidates: [M] index of the candidate of each interaction.
        delays_s: [M] its time minus the list's.
    """

    labels: NDArray[np.float32]
    by_action: dict[str, NDArray[np.float32]]
    candidates: Ints
    delays_s: NDArray[np.float32]


@dataclass(frozen=True)
class Interactions:
    """The labelled interactions of a log, sorted by request and item, in 18 bytes each.

    Attributes:
        keys: [K] hash of request and item, ascending.
        times_us: [K].
        actions: [K] index of the action among the dataset's labelled ones.
        joined: [K] whether a list was seen that showed it; changed in place by `outcomes`.
        reported: hashes of what pages reported as seen, ascending.
        known_until_us: time of the last interaction: labels are known up to there.
    """

    keys: Keys
    times_us: Ints
    actions: NDArray[np.uint8]
    joined: NDArray[np.bool_]
    reported: Keys
    known_until_us: int

    def outcomes(self, keys: Keys, times_us: Ints, dataset: Dataset) -> Outcomes:
        """Return what came of candidates [N], by their keys and the times of their lists."""
        first, last = np.searchsorted(self.keys, keys, "left"), np.searchsorted(self.keys, keys, "right")
        number = last - first
        candidates = np.repeat(np.arange(len(keys)), number)
        at = np.repeat(first - (np.cumsum(number) - number), number) + np.arange(len(candidates))
        delays = self.times_us[at] - times_us[candidates]
        near = np.abs(delays) <= MOST_DELAY_US
        candidates, at, delays = candidates[near], at[near], delays[near]
        self.joined[at] = True
        in_time = (delays >= -dataset.skew * 1e6) & (delays <= dataset.attribution * 1e6)
        unknown = times_us + dataset.attribution * 1e6 > self.known_until_us

        def labels(chosen: NDArray[np.bool_]) -> NDArray[np.float32]:
            values = np.zeros(len(keys), np.float32)
            values[candidates[chosen]] = 1
            values[unknown] = np.nan
            return values

        gains = dataset.label_gains
        by_action = {action: labels(in_time & (self.actions[at] == i)) for i, action in enumerate(gains)} if len(gains) > 1 else {}
        return Outcomes(labels(in_time), by_action, candidates, (delays / 1e6).astype(np.float32))

    def unjoined(self, window_us: tuple[int, int]) -> int:
        """Count the interactions of a window that no list shows, once all lists have been seen."""
        return int((~self.joined & (self.times_us >= window_us[0]) & (self.times_us < window_us[1])).sum())

    def is_reported(self, keys: Keys) -> NDArray[np.bool_]:
        """Return whether a page reported each of the candidates [N] as seen."""
        at = np.minimum(np.searchsorted(self.reported, keys), max(len(self.reported) - 1, 0))
        return self.reported[at] == keys if len(self.reported) else np.zeros(len(keys), np.bool_)


def hashed_keys(requests: "pa.Array[Any]", items: "pa.Array[Any]") -> Keys:
    """Hash pairs of request and item [N]; the hashes hold within this process."""
    frame = pl.DataFrame({"request": pl.Series(values=requests, dtype=pl.String), "item": pl.Series(values=items, dtype=pl.String)})
    return frame.select(pl.concat_str("request", "item", separator="\0").hash()).to_series().to_numpy().astype(np.uint64)


def read_interactions(
    files: Sequence[Path], dataset: Dataset, window_us: tuple[int, int], counts: "Counter[str]", *, advance: Callable[[int], None]
) -> Interactions:
    """Read the interactions that may belong to lists of a window, from its first moment up to before its last."""
    rows = EventRows(dataset)
    time, item, action, request = (rows.columns[role] for role in ("time", "item", "action", "request"))
    labelled = pa.array([rows.actions[name] for name in dataset.label_gains], pa.string())
    shown = rows.actions[dataset.candidates.action] if isinstance(dataset.candidates, Impressions) else None
    schema = pa.schema([(time, pa.int64()), (item, pa.string()), (action, pa.string()), (request, pa.string())])
    keys, times, reported, known_until_us = [np.empty(0, np.uint64)], [np.empty(0, np.int64)], [np.empty(0, np.uint64)], 0
    actions = [np.empty(0, np.uint8)]
    for table in read_chunks(files, schema, counts, advance=advance):
        known_until_us = max(known_until_us, pc.max(table[time]).as_py() or 0)
        near = pc.and_(
            pc.greater_equal(table[time], window_us[0] - MOST_DELAY_US), pc.less(table[time], window_us[1] + MOST_DELAY_US)
        ).fill_null(False)
        table = table.filter(near).combine_chunks()
        is_labelled = pc.is_in(table[action], labelled)
        named = pc.and_(pc.is_valid(table[request]), pc.is_valid(table[item]))
        counts["interactions without a request"] += int(pc.sum(pc.and_(is_labelled, pc.invert(named))).as_py() or 0)
        acted = table.filter(pc.and_(is_labelled, named)).combine_chunks()
        keys.append(_keys(acted, request, item))
        times.append(acted[time].to_numpy().astype(np.int64))
        actions.append(pc.index_in(acted[action], labelled).to_numpy().astype(np.uint8))
        if shown is not None:
            reported.append(_keys(table.filter(pc.and_(pc.equal(table[action], shown), named).fill_null(False)), request, item))
    every, moments, acts = np.concatenate(keys), np.concatenate(times), np.concatenate(actions)
    order = np.lexsort((moments, every))
    counts["labelled interactions read"] += len(every)
    return Interactions(
        every[order], moments[order], acts[order], np.zeros(len(every), np.bool_), np.unique(np.concatenate(reported)), known_until_us
    )


def _keys(table: pa.Table, request: str, item: str) -> Keys:
    return hashed_keys(table[request], table[item]) if len(table) else np.empty(0, np.uint64)
