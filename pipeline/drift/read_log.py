"""Sketch windows of the ranking service's log, in chunks: memory doesn't grow with them."""

import json
from collections import Counter
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from components.contract.dataset import Dataset
from components.contract.errors import InputError
from components.contract.storage.file_lock import locked_for_reading
from components.contract.values.local_time import DAY_US
from components.drift.check import Window
from components.drift.horizons import TASTE_DAYS, merged
from components.drift.serving_skew import RequestFeatures
from components.drift.sketch.quality_sums import QualitySums
from pipeline.drift.interactions import Interactions, read_interactions
from pipeline.drift.json_chunks import Say, log_files, progress_of, read_chunks
from pipeline.drift.request_features import MOST_REQUESTS, sent_features
from pipeline.drift.served_requests import ServedRequests
from serving.exposure.log import DECISIONS, INTERACTIONS

_TAIL_BYTES = 4 << 20  # a file's last line is in them


@dataclass(frozen=True)
class LogSpan:
    """The times of a window, in microseconds since 1970: from the first up to before the last.

    What the log holds since `since_us` and before the window is read too: the release's first days in service; and since
    `tastes_us` for tastes, whichever release answered. At `cuts_us`, ascending, shorter windows begin within it.
    """

    since_us: int
    from_us: int
    until_us: int
    cuts_us: tuple[int, ...] = ()

    @property
    def tastes_us(self) -> int:
        """Where the reference of tastes begins."""
        return min(self.since_us, self.from_us - TASTE_DAYS * DAY_US)


@dataclass(frozen=True)
class LogWindows:
    """A window of the log in its parts, what came before it, columns that the log hasn't got and why, and what was read and dropped.

    `sent` are the features of the window's first requests that were logged with them.
    """

    before: Window
    parts: list[Window]
    sent: list[RequestFeatures]
    left_out: dict[str, str]
    counts: dict[str, int]

    @property
    def window(self) -> Window:
        """All parts."""
        return merged(self.parts)


def read_log(log: Path, dataset: Dataset, span: LogSpan, *, version: int, say: Say) -> LogWindows:
    """Sketch the decisions of a log.

    Args:
        log: the service's folder; its files may come and go, those that are complete at the start are read.
        dataset: of the log.
        span: of the window.
        version: of the release whose scores are taken.
        say: called with the progress.

    Raises:
        InputError: the folder has no decisions in the window.
    """
    with locked_for_reading([str(log / DECISIONS)]):
        files = {name: log_files(log, name, span.tastes_us) for name in (DECISIONS, INTERACTIONS)}
        advance = progress_of([file for each in files.values() for file in each], say)

        counts: Counter[str] = Counter()
        interactions = read_interactions(files[INTERACTIONS], dataset, (span.tastes_us, span.until_us), counts, advance=advance)
        served = ServedRequests(dataset, interactions, counts, version=str(version))
        earlier = ServedRequests(dataset, interactions, Counter(), version=str(version))
        of_any_release = ServedRequests(dataset, interactions, Counter(), version=None)
        edges = (span.from_us, *span.cuts_us, span.until_us)
        before, tastes, parts, sent = Window(), QualitySums(), [Window() for _ in edges[1:]], list[RequestFeatures]()
        for table in read_chunks(files[DECISIONS], served.schema, counts, advance=advance):
            inside = _between(table, span.from_us, span.until_us)
            for part, between in zip(parts, pairwise(edges), strict=True):
                _add(part, served, _between(inside, *between))
            if len(sent) < MOST_REQUESTS:
                sent += sent_features(inside, dataset)
            _add(before, earlier, _between(table, span.since_us, span.from_us))
            _add_cells(tastes, of_any_release, _between(table, span.tastes_us, span.from_us))
    before.quality.by_cell = tastes.by_cell
    if not any(part.sketch.requests.any() for part in parts):
        raise InputError(f"{log}: expected decisions of the ranking service in the window, got none; move it by --from and --until")
    counts["labelled interactions that no list shows"] += _unjoined(interactions, dataset, span)
    return LogWindows(before, parts, sent, served.left_out, {name: number for name, number in sorted(counts.items()) if number})


def last_decision_us(log: Path) -> int | None:
    """Return the time of the last decision in a log's complete files, None where there is none."""
    times = [time for file in log.glob(f"{DECISIONS}-*.jsonl") if (time := _last_time_us(file)) is not None]
    return max(times, default=None)


def _last_time_us(file: Path) -> int | None:
    with file.open("rb") as opened:
        opened.seek(max(file.stat().st_size - _TAIL_BYTES, 0))
        for line in reversed(opened.read().splitlines()):
            try:
                return int(json.loads(line)["time"])
            except (ValueError, TypeError, KeyError):  # cut, or torn
                continue
    return None


def _add(window: Window, served: ServedRequests, decisions: pa.Table) -> None:
    if len(decisions):
        block = served.read(decisions)
        window.sketch.add(block.requests)
        if block.lists is not None:
            window.quality.add(block.lists)


def _add_cells(tastes: QualitySums, served: ServedRequests, decisions: pa.Table) -> None:
    if len(decisions) and (lists := served.read(decisions).lists) is not None:
        tastes.add_cells(lists)


def _between(table: pa.Table, from_us: int, until_us: int) -> pa.Table:
    return table.filter(pc.and_(pc.greater_equal(table["time"], from_us), pc.less(table["time"], until_us)).fill_null(False))


def _unjoined(interactions: Interactions, dataset: Dataset, span: LogSpan) -> int:
    """Count interactions in the window that belong to no list; the first may belong to lists before all that was read."""
    since_us = max(span.from_us, span.since_us + int(dataset.attribution * 1e6))
    return interactions.unjoined((since_us, span.until_us))
