"""Count requests, what followed from them, and amounts, by version, arm and segment, while events come in."""

import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from components.contract.dataset import Dataset
from components.contract.errors import InputError
from components.ingest.events.event_columns import impression_code
from components.ingest.requests.request_identity import gap_us
from components.ingest.requests.segments import segments
from components.ingest.requests.splits import label_window_us, skew_us
from serving.exposure.serialization import EventRows
from serving.stream.figures.breakdown import Breakdown, Dimension
from serving.stream.figures.hashed_events import hash_events
from serving.stream.figures.open_requests import JoinCounts, JoinRules, OpenRequests

_FEWEST = 1 / 1024  # of the shoppers, that are counted at the least
_CHUNK = 1 << 16  # events that are joined at a time
_ROLES = ("time", "user", "item", "action", "request", "session", "seq")
_DESCRIBED = ("version", "arms")


@dataclass(frozen=True, kw_only=True)
class FigureSettings:
    """Configure the figures.

    Attributes:
        late_s: how much longer than its window a request stays open for actions that come late.
        most_requests: open at a time. Where more come, only a share of the shoppers is counted from then on.
        every_s: events are joined when so much time has passed, or enough have come.
    """

    late_s: float = 60.0
    most_requests: int = 1 << 18
    every_s: float = 1.0

    def __post_init__(self) -> None:
        if not self.late_s >= 0 or not self.every_s >= 0:
            raise InputError(f"the figures' late_s and every_s are at least 0, got {self.late_s} and {self.every_s}")
        if self.most_requests < 1024 or self.most_requests & (self.most_requests - 1):
            raise InputError(f"the figures' most_requests is a power of two from 1024, got {self.most_requests}")


@dataclass(frozen=True)
class Figures:
    """Figures of one dimension.

    Attributes:
        requests: lists that were shown.
        followed: by action, the requests that at least one followed from.
        amounts: by role, such as revenue, the sum over the actions attributed; returns aren't taken off.
    """

    requests: float
    followed: Mapping[str, float]
    amounts: Mapping[str, float]


@dataclass(frozen=True)
class FigureMetrics:
    """What is known now.

    Attributes:
        open: of requests whose window isn't over: they grow, and late events correct them.
        final: of those whose window was over since the start: they only grow.
        share: of the shoppers, that is counted.
        counts: what was left out.
    """

    open: Mapping[Dimension, Figures]
    final: Mapping[Dimension, Figures]
    share: float
    counts: JoinCounts


@final
class LiveFigures:
    """Join the events of a stream as they come; for several threads.

    An action belongs to a request by ingestion's rules (`components.ingest.requests.attribution` and `list_owners`),
    within the dataset's `attribution`, in whatever order they come. A request is final when the stream's time has
    passed its window and `late_s`; the memory is fixed by `most_requests`.

    Args:
        dataset: whose events come.
        settings: of the figures.
        users: the table of users, for segments by it; without it these are "".
    """

    def __init__(self, dataset: Dataset, settings: FigureSettings = FigureSettings(), *, users: pl.DataFrame | None = None) -> None:
        self._dataset, self._settings, self._users = dataset, settings, users
        names = list(dataset.actions)
        if impression_code(dataset) is None:
            raise InputError(
                f"live figures need the lists that were shown; expected `candidates: {{from: impressions}}` in the dataset file of"
                f" {dataset.name!r}, got {dataset.candidates.origin!r}"
            )
        self._names = tuple(sorted(dataset.label_gains, key=names.index))
        self._rules = rules = JoinRules(
            window_us=label_window_us(dataset),
            skew_us=skew_us(dataset),
            gap_us=gap_us(dataset),
            actions=tuple(names.index(name) for name in self._names),
            amount_actions=tuple(names.index(name) for name in dataset.amount_actions),
            amounts=dataset.amounts,
        )
        rows = EventRows(dataset)
        self._described_by = {rows.version: "version", rows.arms: "arms"}
        self._open_us = rules.window_us + int(settings.late_s * 1e6)
        self._open, self._breakdown = OpenRequests(rules, settings.most_requests), Breakdown()
        self._final: NDArray[np.float64] = np.zeros((0, 1 + len(self._names) + len(dataset.amounts)))
        self._lock = threading.Lock()
        self._waiting: list[tuple[pl.DataFrame, pl.DataFrame]] = []
        self._count = 0  # events that wait to be joined
        self._joined_us = self._watermark_us = 0
        self._final_us = -(1 << 62)  # requests up to then are final
        self._share, self._narrowed_at, self._dropped_before = 1.0, 0, 0
        of_events = [name for name in dataset.serving.segment if dataset.feature(name).table == "events"]
        self._columns = [*_ROLES, *dataset.amounts, *(f"f:{name}" for name in of_events)]
        self._chunk = min(_CHUNK, settings.most_requests)

    def add(self, events: pl.DataFrame, raw: pl.DataFrame, *, now_us: int, watermark_us: int) -> None:
        """Add events that came now.

        Args:
            events: clean events, each once, in any order; `seq` is the `__row__` of its raw row.
            raw: rows with `__row__`, and as far as there are such columns with the version and the arms of impressions, as
                the service writes them (`serving.exposure.serialization.EventRows`).
            now_us: microseconds since 1970.
            watermark_us: the time up to which every partition has been read (`serving.stream.watermark`).
        """
        with self._lock:
            self._watermark_us = max(self._watermark_us, min(watermark_us, now_us))
            if len(events):
                self._waiting.append((events.select(self._columns), self.described(raw).unique("__row__", keep="first")))
                self._count += len(events)
            if now_us - self._joined_us >= self._settings.every_s * 1e6 or self._count >= self._chunk:
                self._join()
                self._joined_us = now_us

    def metrics(self) -> FigureMetrics:
        """Return the figures of all events added."""
        with self._lock:
            self._join()
            waiting = self._open.waiting()
            open_sums = self._summed(self._open.requests.get("combination", waiting), self._open.measures(waiting))
            return FigureMetrics(self._by_dimension(open_sums), self._by_dimension(self._final), self._share, replace(self._open.counts))

    def begin(self, batches: Iterable[tuple[pl.DataFrame, pl.DataFrame]], *, watermark_us: int) -> None:
        """Replace the open requests by those of earlier events; final ones of them aren't counted.

        Args:
            batches: events and raw rows as of `add`, in the order of their coming.
            watermark_us: the time up to which they hold the events of every partition.
        """
        with self._lock:
            self._join()
            counts = self._open.counts
            self._open = OpenRequests(self._rules, self._settings.most_requests)
            self._watermark_us = watermark_us
            self._final_us = watermark_us - self._open_us  # requests up to then are taken as counted
            for events, raw in batches:
                self._waiting.append((events.select(self._columns), self.described(raw).unique("__row__", keep="first")))
                self._join()
            self._open.counts = counts
            self._narrowed_at, self._dropped_before = 0, counts.dropped_requests

    def _join(self) -> None:
        waiting, self._waiting, self._count = self._waiting, [], 0
        if not waiting:
            return
        events, meta = _concatenated(waiting, self._described_by)
        for begin in range(0, len(events), self._chunk):
            self._join_chunk(events[begin : begin + self._chunk], meta)
        self._finalise()
        self._narrow()

    def _finalise(self) -> None:
        self._final_us = self._watermark_us - self._open_us
        over = self._open.finalise(self._final_us)
        sums = self._summed(self._open.requests.get("combination", over), self._open.measures(over))
        sums[: len(self._final)] += self._final
        self._final = sums

    def described(self, raw: pl.DataFrame) -> pl.DataFrame:
        """Return the columns of raw rows that are needed."""
        return raw.select("__row__", *(name for name in self._described_by if name in raw.columns))

    @property
    def most_events(self) -> int:
        """Return how many events at most the open requests are likely to have."""
        return 16 * self._settings.most_requests

    @property
    def history_us(self) -> int:
        """Return how far before the newest event lists matter, in microseconds: open ones, those that an action on an
        open one may belong to as well, and the first rows of these."""
        return self._open_us + self._rules.window_us + self._rules.gap_us

    def _join_chunk(self, events: pl.DataFrame, meta: pl.DataFrame) -> None:
        hashed = hash_events(events, self._dataset)
        impressions, actions = hashed.impressions, hashed.actions
        if self._share < 1:
            impressions = impressions.filter(pl.Series(self._is_sampled(impressions["key"].to_numpy()), dtype=pl.Boolean))
            counted = self._is_sampled(actions["key"].to_numpy()) | self._open.knows(actions["request"].to_numpy())
            actions = actions.filter(pl.Series(counted, dtype=pl.Boolean))
        impressions, begun = self._open.new_requests(impressions)
        self._open.open(begun, self._breakdown.number(self._described(events, begun, meta)), final_us=self._final_us)
        self._open.join(impressions, actions)

    def _described(self, events: pl.DataFrame, begun: pl.DataFrame, meta: pl.DataFrame) -> pl.DataFrame:
        """Return version, arms and segment of new requests, by the first of their rows."""
        first = events[begun["at"]]
        described = first.select(pl.col("seq").alias("__row__")).join(meta, on="__row__", how="left", maintain_order="left")
        return described.select(pl.col(_DESCRIBED).fill_null(""), self._segments(first))

    def _segments(self, rows: pl.DataFrame) -> pl.Series:
        names = self._dataset.serving.segment
        known = self._users is not None or all(self._dataset.feature(name).table != "users" for name in names)
        if not names or not known or not len(rows):
            return pl.Series("segment", [""] * len(rows), dtype=pl.String)
        return segments(rows, self._dataset, self._users, prefix="f:").fill_null("").alias("segment")

    def _summed(self, combinations: NDArray[np.int32], measures: NDArray[np.float64]) -> NDArray[np.float64]:
        count = len(self._breakdown.dimensions)
        sums = [np.bincount(combinations, column, minlength=count) for column in measures.T]
        return np.stack(sums, axis=1).astype(np.float64)  # bincount gives whole numbers where there are no rows

    def _by_dimension(self, sums: NDArray[np.float64]) -> dict[Dimension, Figures]:
        totals: dict[Dimension, NDArray[np.float64]] = {}
        for dimensions, row in zip(self._breakdown.dimensions, sums, strict=False):
            for dimension in dimensions:
                totals[dimension] = totals[dimension] + row if dimension in totals else row
        actions = len(self._names)
        return {
            dimension: Figures(
                float(row[0]),
                dict(zip(self._names, row[1 : 1 + actions].tolist(), strict=True)),
                dict(zip(self._dataset.amounts, row[1 + actions :].tolist(), strict=True)),
            )
            for dimension, row in totals.items()
        }

    def _is_sampled(self, keys: NDArray[np.int64]) -> NDArray[np.bool_]:
        return (keys.view(np.uint64) >> np.uint64(11)) * 2.0**-53 < self._share

    def _narrow(self) -> None:
        """Count half of the shoppers from now on where open requests had to make room for others.

        All of a shopper is counted or nothing, so rates stay right. Room is there once the ring has gone round.
        """
        dropped, end = self._open.counts.dropped_requests, self._open.requests.end
        if dropped > self._dropped_before and end >= self._narrowed_at + self._settings.most_requests and self._share > _FEWEST:
            self._share, self._narrowed_at = self._share / 2, end
            self._open.dismiss(self._is_sampled)
        self._dropped_before = dropped


def _concatenated(
    batches: Sequence[tuple[pl.DataFrame, pl.DataFrame]], described_by: Mapping[str, str]
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the events of batches, renumbered, and version and arms of their rows, null where there are none."""
    events, described = [], []
    for number, (batch, meta) in enumerate(batches):
        first = number << 32  # a batch has fewer messages
        events.append(batch.with_columns(pl.col("seq") + first))
        texts = (
            (pl.col(column).cast(pl.String) if column in meta.columns else pl.lit(None, pl.String)).alias(name)
            for column, name in described_by.items()
        )
        described.append(meta.select(pl.col("__row__").cast(pl.Int64) + first, *texts))
    return pl.concat(events), pl.concat(described)
