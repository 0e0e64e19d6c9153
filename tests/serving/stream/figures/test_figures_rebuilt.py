"""Figures after a restart, rebuilt from the windows of the event log."""

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl

from serving.stream.figures.live_figures import FigureSettings, LiveFigures
from serving.stream.figures.rebuild import rebuild
from serving.stream.watermark import Progress, least_watermark_us
from tests.serving.stream.figures.attribution_oracle import MINUTE_US, dataset, frames, random_log

NOW_US = 10**15
SETTINGS = FigureSettings(every_s=0, late_s=600)


def by_partition(events: pl.DataFrame) -> list[pl.DataFrame]:
    return [events.filter(pl.col("user").str.contains("[ab]") == bool(partition)) for partition in (0, 1)]


def watermark_us(events: pl.DataFrame) -> int:
    """As a consumer's who is given each event at its time."""
    newest = [max(mine["time"].to_list()) for mine in by_partition(events) if len(mine)]
    return least_watermark_us([Progress(time, time) for time in newest])


def write_windows(folder: Path, events: pl.DataFrame, meta: pl.DataFrame, *, rows: int) -> list[Path]:
    """Windows of two partitions by shopper; a window's file is as old as its newest event."""
    paths = []
    for partition, mine in enumerate(by_partition(events)):
        for begin in range(0, len(mine), rows):
            window = mine[begin : begin + rows]
            path = folder / f"events-clicks%2F{partition}-{begin:020d}-{begin + rows:020d}.parquet"
            window.join(meta, left_on="seq", right_on="__row__", how="left").rename({"seq": "__offset__"}).write_parquet(path)
            newest_s = window["time"].max() / 1e6
            os.utime(path, (newest_s, newest_s))
            paths.append(path)
    return paths


def events_of(raw: pl.DataFrame) -> pl.DataFrame:
    return raw.with_columns(pl.int_range(pl.len()).alias("seq"))


def test_open_requests_are_as_before_the_restart_and_final_ones_arent_counted_again(tmp_path: Path) -> None:
    for seed in range(6):
        (folder := tmp_path / str(seed)).mkdir()
        events, meta = frames(random_log(np.random.default_rng(seed), requests=120, actions=200))
        before = LiveFigures(dataset(), SETTINGS)
        cut = len(events) * 2 // 3
        for begin in range(0, cut, 50):
            end = min(begin + 50, cut)
            before.add(events[begin:end], meta, now_us=NOW_US, watermark_us=watermark_us(events[:end]))
        paths = write_windows(folder, events[:cut], meta, rows=20)
        restarted = LiveFigures(dataset(), SETTINGS)
        read = rebuild(restarted, paths, events_of, now_us=NOW_US)
        assert 0 < read < len(paths)  # windows whose requests are over aren't read
        counted_before = before.metrics()
        assert counted_before.open == restarted.metrics().open
        assert not any(figures.requests for figures in restarted.metrics().final.values())
        for figures in (before, restarted):
            figures.add(events[cut:], meta, now_us=NOW_US, watermark_us=watermark_us(events))
        for dimension, figures in before.metrics().final.items():
            earlier, later = counted_before.final.get(dimension), restarted.metrics().final.get(dimension)
            assert figures.requests == sum(each.requests for each in (earlier, later) if each is not None)
            assert figures.amounts["revenue"] == sum(each.amounts["revenue"] for each in (earlier, later) if each is not None)


def test_as_many_windows_are_read_as_there_is_memory_for(tmp_path: Path) -> None:
    events, meta = frames(random_log(np.random.default_rng(1), requests=40, actions=60))
    events = events.with_columns(pl.col("time") // 10_000 + MINUTE_US)
    paths = write_windows(tmp_path, events, meta, rows=10)
    figures = LiveFigures(dataset(), replace(SETTINGS, most_requests=1024))
    assert rebuild(figures, paths, events_of, now_us=NOW_US) == len(paths)
    many = pl.concat([events] * 120)
    repeated = write_windows(tmp_path, many.with_columns(seq=pl.int_range(pl.len())), meta, rows=2000)
    figures = LiveFigures(dataset(), replace(SETTINGS, most_requests=1024))
    assert rebuild(figures, repeated, events_of, now_us=NOW_US) * 2000 <= 16 * 1024 + 2000
