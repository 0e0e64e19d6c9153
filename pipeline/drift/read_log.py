"""Sketch windows of the ranking service's log, in chunks: memory doesn't grow with them."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from components.contract.dataset import Dataset
from components.contract.errors import InputError
from components.contract.storage.file_lock import locked_for_reading
from components.drift.check import Window
from components.drift.serving_skew import RequestFeatures
from pipeline.drift.interactions import Interactions, read_interactions
from pipeline.drift.json_chunks import read_chunks
from pipeline.drift.request_features import MOST_REQUESTS, sent_features
from pipeline.drift.served_requests import ServedRequests
from serving.exposure.log import DECISIONS, INTERACTIONS

_LATE_US = 3_600_000_000

Say = Callable[[str], None]


@dataclass(frozen=True)
class LogSpan:
    """The times of a window, in microseconds since 1970: from the first up to before the last.

    What the log holds since `since_us` and before the window is read too: the release's first days in service.
    """

    since_us: int
    from_us: int
    until_us: int


@dataclass(frozen=True)
class LogWindows:
    """A window of the log, what came before it, columns that the log hasn't got and why, and what was read and dropped.

    `sent` are the features of the window's first requests that were logged with them.
    """

    before: Window
    window: Window
    sent: list[RequestFeatures]
    left_out: dict[str, str]
    counts: dict[str, int]


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
        files = {name: _files(log, name, span.since_us) for name in (DECISIONS, INTERACTIONS)}
        total, done = sum(file.stat().st_size for each in files.values() for file in each), 0

        def advance(read: int) -> None:
            nonlocal done
            done += read
            say(f"{done / total:.0%} of {total / 1e6:,.0f} MB")

        counts: Counter[str] = Counter()
        interactions = read_interactions(files[INTERACTIONS], dataset, (span.since_us, span.until_us), counts, advance=advance)
        served = ServedRequests(dataset, interactions, counts, version=str(version))
        earlier = ServedRequests(dataset, interactions, Counter(), version=str(version))
        before, window, sent = Window(), Window(), list[RequestFeatures]()
        for table in read_chunks(files[DECISIONS], served.schema, counts, advance=advance):
            inside = _between(table, span.from_us, span.until_us)
            _add(window, served, inside)
            if len(sent) < MOST_REQUESTS:
                sent += sent_features(inside, dataset)
            _add(before, earlier, _between(table, span.since_us, span.from_us))
    if not window.sketch.requests.sum():
        raise InputError(f"{log}: expected decisions of the ranking service in the window, got none; move it by --from and --until")
    counts["labelled interactions that no list shows"] += _unjoined(interactions, dataset, span)
    return LogWindows(before, window, sent, served.left_out, {name: number for name, number in sorted(counts.items()) if number})


def _add(window: Window, served: ServedRequests, decisions: pa.Table) -> None:
    if len(decisions):
        block = served.read(decisions)
        window.sketch.add(block.requests)
        if block.lists is not None:
            window.quality.add(block.lists)


def _between(table: pa.Table, from_us: int, until_us: int) -> pa.Table:
    return table.filter(pc.and_(pc.greater_equal(table["time"], from_us), pc.less(table["time"], until_us)).fill_null(False))


def _unjoined(interactions: Interactions, dataset: Dataset, span: LogSpan) -> int:
    """Count interactions in the window that belong to no list; the first may belong to lists before all that was read."""
    since_us = max(span.from_us, span.since_us + int(dataset.attribution * 1e6))
    return interactions.unjoined((since_us, span.until_us))


def _files(log: Path, name: str, from_us: int) -> list[Path]:
    """List a kind's complete files, without those whose last line was written an hour or more before the window."""
    return [file for file in sorted(log.glob(f"{name}-*.jsonl")) if file.stat().st_mtime_ns // 1000 >= from_us - _LATE_US]
