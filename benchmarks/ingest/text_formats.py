"""Measure the time to read the event rows of a simulated shop's log as Parquet, CSV and JSON Lines.

    python -m benchmarks.ingest.text_formats [--events 1000000] [--repeats 5] [--work DIR]

The formats are scanned in turn as by ingestion's first step: read, cleaned and written by shopper; the minimum of some
repetitions, after a warm-up. MB are of the uncompressed text, also for gzip. One process, with one thread for Polars.
The first scan on a machine compiles the text readers, later ones load them from numba's cache: these seconds are of a
first scan with an empty cache minus those of another process with a full one, on a log of few rows.
"""

import argparse
import gzip
import os
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import polars as pl
import yaml
from rich.console import Console
from rich.table import Table

from benchmarks.ingest.ingest import DATASET, apart, simulated
from components.contract.load import parse_dataset
from components.ingest.block_steps import Job
from components.ingest.sources.files import layout
from components.ingest.steps import scan_to_files

FORMATS = ("parquet", "csv", "csv.gz", "jsonl")  # gzipped CSV uses the code compiled for CSV
SMALL_EVENTS = 5_000


@dataclass(frozen=True)
class Scan:
    """Result of one scan of a log."""

    rows: int
    seconds: float
    core_seconds: float


def write_formats(shop: Path) -> None:
    """Write the shop's events as one file of each format."""
    events = pl.read_parquet(shop / "events" / "*.parquet")
    events.write_parquet(shop / "log.parquet")
    events.write_csv(shop / "log.csv")
    (shop / "log.csv.gz").write_bytes(gzip.compress((shop / "log.csv").read_bytes(), 6))
    times = events.with_columns(pl.col(pl.Datetime).dt.to_string("iso"))
    times.write_ndjson(shop / "log.jsonl")


def scanned(shop: Path, form: str) -> Scan:
    """Scan one file as ingestion does."""
    dataset = yaml.safe_load(DATASET.read_text())
    dataset["events"]["path"] = f"log.{form}"
    text = yaml.safe_dump(dataset, sort_keys=False)
    blocks = layout(parse_dataset(text), str(shop)).blocks
    with tempfile.TemporaryDirectory() as work:
        job = Job(text, str(shop), work, f"{work}/examples", f"{work}/state", partitions=4, now_us=time.time_ns() // 1000)
        seconds, core_seconds = time.perf_counter(), time.process_time()
        rows = sum(scan_to_files(block, job).counts.numbers["rows read"] for block in blocks)
        return Scan(rows, time.perf_counter() - seconds, time.process_time() - core_seconds)


def in_turn(shop: Path, repeats: int) -> list[dict[str, Scan]]:
    """Scan all formats in turn; for a process of its own."""
    return [{form: scanned(shop, form) for form in FORMATS} for _ in range(repeats)]


def compiling(shop: Path, cache: Path) -> dict[str, float]:
    """Measure the core seconds of compiling by format: first scans without numba's cache minus with it."""
    os.environ["NUMBA_CACHE_DIR"] = str(cache)
    try:
        (first,), (second,) = (apart(in_turn, shop, 1) for _ in range(2))
    finally:
        del os.environ["NUMBA_CACHE_DIR"]
    return {form: first[form].core_seconds - second[form].core_seconds for form in FORMATS}


def main() -> None:
    """Measure all and print it."""
    assert __doc__ is not None
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--work", type=Path, help="folder to work in; shops that lie there are used again (default: a temporary one)")
    args = parser.parse_args()
    os.environ["POLARS_MAX_THREADS"] = "1"  # of the processes that measure
    with tempfile.TemporaryDirectory() as temporary:
        work = args.work or Path(temporary)
        work.mkdir(parents=True, exist_ok=True)
        small, shop = work / "small", work / f"shop-{args.events}"
        for folder, events in ((small, SMALL_EVENTS), (shop, args.events)):
            apart(simulated, folder, events)
            apart(write_formats, folder)
        compiled = compiling(small, Path(temporary) / "cache")
        _, *runs = apart(in_turn, shop, 1 + args.repeats)
        sizes = {form: (shop / f"log.{form.removesuffix('.gz')}").stat().st_size / 1e6 for form in FORMATS}

    table = Table(title="Event rows, read, cleaned and written by shopper, on one core")
    for name in ("", "rows", "MB", "s", "core s", "MB/core s", "rows/core s", "compiling, core s"):
        table.add_column(name, justify="right" if name else "left")
    for form in FORMATS:
        seconds, core_seconds = (min(getattr(run[form], name) for run in runs) for name in ("seconds", "core_seconds"))
        rows = runs[0][form].rows
        rates = f"{sizes[form] / core_seconds:.0f}", f"{rows / core_seconds:,.0f}"
        table.add_row(form, f"{rows:,}", f"{sizes[form]:.0f}", f"{seconds:.2f}", f"{core_seconds:.2f}", *rates, f"{compiled[form]:.1f}")
    Console(width=140).print(table)


if __name__ == "__main__":
    main()
