"""Rebuild the open requests after a start, from the windows of the event log."""

from collections.abc import Callable, Iterable
from pathlib import Path

import polars as pl
import pyarrow.parquet as pq

from serving.stream.figures.live_figures import LiveFigures

ROW = "__row__"


def rebuild(figures: LiveFigures, paths: Iterable[Path], events_of: Callable[[pl.DataFrame], pl.DataFrame], *, now_us: int) -> int:
    """Add the events whose requests may still be open; return how many windows were read.

    What is open then, and its figures, are as before the restart. Those of final requests begin at zero, as counters
    do; a request that was final before isn't counted again.

    Args:
        figures: of a new process, before its first event.
        paths: Parquet windows of the partitions that this process reads, none with events that it will read again.
        events_of: returns the clean events that count of raw rows; `seq` is the row's `__row__`.
        now_us: microseconds since 1970.
    """
    newest_us, rows, chosen = 0, 0, list[tuple[pl.DataFrame, pl.DataFrame]]()
    # No event of a window is later than the window's file.
    for path in sorted(paths, key=lambda path: (path.stat().st_mtime_ns, path.name), reverse=True):
        rows += pq.read_metadata(path).num_rows
        if chosen and (path.stat().st_mtime_ns // 1000 < newest_us - figures.history_us or rows > figures.most_events):
            break
        raw = pl.read_parquet(path).with_row_index(ROW).with_columns(pl.col(ROW).cast(pl.Int64))
        events = events_of(raw)
        if len(events):
            newest_us = max(newest_us, int(events["time"].to_numpy().max()))
        chosen.append((events, figures.described(raw)))
    for events, raw in reversed(chosen):
        # The windows of one partition come before those of another: only at the end is it known which requests are over.
        figures.add(events, raw, now_us=now_us, watermark_us=0)
    figures.begin_at(min(newest_us, now_us))
    return len(chosen)
