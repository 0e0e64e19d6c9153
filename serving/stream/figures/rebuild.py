"""Rebuild the open requests from the windows of the event log, after a start or when partitions have moved."""

from collections.abc import Callable, Iterable
from pathlib import Path

import polars as pl
import pyarrow.parquet as pq

from components.ingest.sources.blocks import ROW
from serving.stream.figures.live_figures import LiveFigures
from serving.stream.log.window_files import parsed
from serving.stream.watermark import Progress, least_watermark_us


def rebuild(figures: LiveFigures, paths: Iterable[Path], events_of: Callable[[pl.DataFrame], pl.DataFrame], *, now_us: int) -> int:
    """Replace the open requests by those of the event log; return how many windows were read.

    What is open then, and its figures, are as if all events had come here. A request whose window is over isn't
    counted: it was before, by this process or another.

    Args:
        figures: of this process.
        paths: Parquet windows of all partitions that this process reads, and none with events that it will read again.
        events_of: returns the clean events that count of raw rows; `seq` is the row's index.
        now_us: microseconds since 1970.
    """
    rows, chosen = 0, list[tuple[pl.DataFrame, pl.DataFrame]]()
    progress: dict[str, Progress] = {}
    watermark_us = 0
    # No event of a window is later than the window's file.
    for path in sorted(paths, key=lambda path: (path.stat().st_mtime_ns, path.name), reverse=True):
        rows += pq.read_metadata(path).num_rows
        written_us = path.stat().st_mtime_ns // 1000
        if chosen and (written_us < watermark_us - figures.history_us or rows > figures.most_events):
            break
        raw = pl.read_parquet(path)
        events = events_of(raw)
        if len(events):
            window, newest_us = parsed(path.name), int(events["time"].to_numpy().max())
            assert window is not None
            known = progress.get(window.partition, Progress(newest_us, written_us))
            progress[window.partition] = known._replace(newest_us=max(known.newest_us, newest_us))
            watermark_us = least_watermark_us(progress.values())
        chosen.append((events, figures.described(raw.with_columns(pl.int_range(pl.len(), dtype=pl.Int64).alias(ROW)))))
    figures.begin(reversed(chosen), watermark_us=min(watermark_us, now_us))
    return len(chosen)
