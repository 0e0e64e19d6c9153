"""Measure how fast rows are sketched, and in how much memory.

    python -m benchmarks.drift.throughput [--millions 1 10 100]

Rows of 20 columns, 15 of numbers and 5 of texts (one with 20,000 values, four with 50), are read from a Parquet file of
a million rows, again and again, each time as a later day; one core. Each size runs in a process of its own, so the peak
is its own. Seconds are the processor's, with reading the file; what TensorFlow takes in memory isn't there, as it isn't
imported.
"""

import argparse
import resource
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from rich.console import Console
from rich.table import Table

from components.drift.sketch.window_sketch import ColumnValues, RequestBlock, WindowSketch

ROWS = 1_000_000
NUMBERS, TEXTS = 15, (20_000, 50, 50, 50, 50)
BATCH = 1 << 17
DAYS = 30
_DAY_US = 86_400_000_000


@dataclass(frozen=True)
class Measured:
    """Cost of sketching some rows."""

    rows: int
    core_seconds: float
    peak_mib: float


def write(file: Path) -> None:
    """Write a million rows."""
    rng = np.random.default_rng(0)
    numbers = {f"n{i}": np.exp(rng.normal(size=ROWS)).astype(np.float32) for i in range(NUMBERS)}
    texts = {f"t{i}": pa.array([f"value {each}" for each in rng.integers(0, size, ROWS)]) for i, size in enumerate(TEXTS)}
    shoppers = rng.integers(0, 2**63, ROWS // 10).astype(np.uint64)[rng.integers(0, ROWS // 10, ROWS)]
    times_us = np.sort(rng.integers(0, _DAY_US, ROWS))
    pq.write_table(pa.table({"shopper": shoppers, "time": times_us, **numbers, **texts}), file)


def sketched(file: Path, rows: int) -> Measured:
    """Measure one size; for a process of its own."""
    pa.set_cpu_count(1)
    pa.set_io_thread_count(1)
    _sketch(file, WindowSketch(), BATCH, day=0)  # compiles
    sketch, begun = WindowSketch(), time.process_time()
    for repetition in range(rows // ROWS):
        _sketch(file, sketch, ROWS, day=repetition % DAYS)
    return Measured(rows, time.process_time() - begun, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def _sketch(file: Path, sketch: WindowSketch, rows: int, *, day: int) -> None:
    read = 0
    for batch in pq.ParquetFile(file).iter_batches(BATCH, use_threads=False):
        numbers = [name for name in batch.schema.names if name.startswith("n")]
        texts = [name for name in batch.schema.names if name.startswith("t") and name != "time"]
        each = np.arange(len(batch))
        columns = [
            *(ColumnValues(name, batch.column(name).to_numpy(), each) for name in numbers),
            *(ColumnValues(name, batch.column(name), each) for name in texts),
        ]
        sketch.add(RequestBlock(batch.column("shopper").to_numpy(), batch.column("time").to_numpy() + day * _DAY_US, columns))
        read += len(batch)
        if read >= rows:
            return


def main() -> None:
    """Measure each size and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--millions", type=int, nargs="+", default=[1, 10, 100])
    options = parser.parse_args()
    table = Table("million rows", "rows/s and core", "peak, MiB", title="Sketching 20 columns")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "rows.parquet")
        write(file)
        for millions in options.millions:
            with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
                measured = pool.submit(sketched, file, millions * ROWS).result()
            table.add_row(f"{millions}", f"{measured.rows / measured.core_seconds:,.0f}", f"{measured.peak_mib:,.0f}")
    Console().print(table)


if __name__ == "__main__":
    main()
