"""Measure ingestion from a shop's Parquet logs to written examples, and its parts.

    python -m benchmarks.ingest [--events 1000000 3000000 10000000] [--threads 1] [--stock-rows 100000] [--work DIR]

Simulated shops of some sizes, each ingested by examples/simulated_shop.yaml in a process of its own, through Beam's
in-process runner as EventExampleGen does it. Simulating, imports and compiling aren't in the seconds: a tiny shop is
ingested first. The peak is of the process with Beam and without TFX. With --threads Beam works on as many blocks at a
time. Then, in the same run: stock TFX's CsvExampleGen on impression rows (benchmarks/graph/stock_tfx.py), warmed up
too, which neither joins nor sorts nor counts; the reducer alone, on a log sorted by key, on one core; and the bytes of
the examples of one block of shoppers against one tf.Example an impression with the same values. Core seconds are
processor time of all threads: they depend less on the machine's other load.
"""

import argparse
import gzip
import json
import os
import resource
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any, TypeVar

import apache_beam as beam
import numpy as np
from apache_beam.options.pipeline_options import PipelineOptions
from rich.console import Console
from rich.table import Table

from components.contract.columns import Column, columns
from components.contract.load import load_dataset, parse_dataset
from components.ingest.block_steps import PARTITION_ROWS, Job
from components.ingest.report import ingest_report
from components.ingest.requests.splits import SPLITS
from components.ingest.shuffle_files import write_bytes
from components.ingest.sources.beam_filesystem import removed
from components.ingest.sources.files import layout
from components.ingest.steps import ingest
from components.simulator import ShopConfig, simulate
from components.state.features import StateSide, plan_of
from components.state.reducer import empty
from components.state.replay import replay

DATASET = Path(__file__).parents[2] / "examples" / "simulated_shop.yaml"
ONE_THREAD = ("--runner=FnApiRunner", "--direct_running_mode=in_memory", "--direct_num_workers=1")
TINY_EVENTS, TINY_ROWS = 5_000, 100
REDUCED_EVENTS, REDUCED_KEYS, REDUCED_DAYS = 4_000_000, 20_000, 60
QUERIES: dict[StateSide, float] = {"user": 0.25, "item": 0.8}  # share of a log's rows that ask for features: requests, impressions
REPEATS = 3
FRAME_BYTES = 16  # of a TFRecord, around the record
RSS_BYTES = 1 if sys.platform == "darwin" else 1024  # what ru_maxrss counts in

T = TypeVar("T")


@dataclass(frozen=True)
class Ingested:
    """Cost and output of one ingestion."""

    events: int
    impressions: int
    seconds: float
    core_seconds: float
    peak_bytes: int
    example_bytes: int


@dataclass(frozen=True)
class Sizes:
    """Bytes of the same impressions, plain and gzipped."""

    impressions: int
    requests: int
    of_requests: tuple[int, int]
    of_rows: tuple[int, int]


def apart(function: Callable[..., T], *arguments: Any) -> T:
    """Call a function in a new process, without the memory and caches of earlier calls."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn"), initializer=_silence) as process:
        return process.submit(function, *arguments).result()


def _silence() -> None:
    """Silence the messages of TensorFlow and TFX on stderr; failures raise exceptions."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)


def simulated(folder: Path, events: int) -> None:
    """Write a shop, unless it exists."""
    if not folder.exists():
        simulate(folder, ShopConfig(events=events))


def runner(threads: int) -> list[str]:
    """Return Beam's arguments."""
    if threads == 1:
        return list(ONE_THREAD)
    return ["--runner=FnApiRunner", "--direct_running_mode=multi_threading", f"--direct_num_workers={threads}"]


def run(shop: Path, out: Path, beam_args: Sequence[str], dataset: Path = DATASET) -> dict[str, int]:
    """Ingest as EventExampleGen does; return the counts of its report."""
    text, reported = dataset.read_text(), out / "report.json"
    blocks = layout(parse_dataset(text), str(shop))
    partitions = max(1, -(-blocks.rows // PARTITION_ROWS))
    work, examples, state = (str(out / name) for name in (".work", "examples", "state"))
    job = Job(text, str(shop), work, examples, state, partitions, now_us=time.time_ns() // 1000)
    with beam.Pipeline(options=PipelineOptions(list(beam_args))) as root:
        results = ingest(root, job, blocks.blocks)
        _ = results | "report" >> beam.Map(lambda pair: write_bytes(str(reported), ingest_report(pair[0], pair[1], blocks, text)))
    removed(work)
    counts: dict[str, int] = json.loads(reported.read_text())["counts"]
    return counts


def ingested(shop: Path, tiny: Path, out: Path, threads: int) -> Ingested:
    """Measure an ingestion after a warm-up on a tiny shop; for a process of its own."""
    shutil.rmtree(out, ignore_errors=True)
    run(tiny, out / "tiny", runner(threads))
    seconds, core_seconds = time.perf_counter(), time.process_time()
    counts = run(shop, out, runner(threads))
    return Ingested(
        events=counts["rows read"],
        impressions=sum(counts[f"examples: {split} candidates"] for split in SPLITS),
        seconds=time.perf_counter() - seconds,
        core_seconds=time.process_time() - core_seconds,
        peak_bytes=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * RSS_BYTES,
        example_bytes=sum(path.stat().st_size for path in (out / "examples").glob("Split-*/*")),
    )


def stock(work: Path, rows: int) -> tuple[float, float]:
    """Measure (core) seconds of stock TFX's CsvExampleGen on this number of rows; for a process of its own."""
    # Imported here, so that the ingesting processes don't have them in memory.
    from tfx.components import CsvExampleGen
    from tfx.dsl.components.base.base_component import BaseComponent
    from tfx.orchestration.local.local_dag_runner import LocalDagRunner
    from tfx.orchestration.metadata import sqlite_metadata_connection_config
    from tfx.orchestration.pipeline import Pipeline
    from tfx.orchestration.portable.launcher import Launcher

    from benchmarks.graph.stock_tfx import write_rows

    shutil.rmtree(work, ignore_errors=True)
    launch, taken = Launcher.launch, []

    def timed(self: Any) -> Any:
        seconds, core_seconds = time.perf_counter(), time.process_time()
        result = launch(self)
        taken.append((time.perf_counter() - seconds, time.process_time() - core_seconds))
        return result

    Launcher.launch = timed
    for number in (TINY_ROWS, rows):
        folder = work / str(number)
        (folder / "rows").mkdir(parents=True)
        write_rows(str(folder / "rows" / "rows.csv"), number)
        component: BaseComponent = CsvExampleGen(input_base=str(folder / "rows"))
        LocalDagRunner().run(
            Pipeline(
                pipeline_name="stock",
                pipeline_root=str(folder / "root"),
                components=[component],
                metadata_connection_config=sqlite_metadata_connection_config(str(folder / "metadata.db")),
                beam_pipeline_args=list(ONE_THREAD),
            )
        )
    return taken[-1]


def reduced(side: StateSide) -> float:
    """Measure the reducer's least seconds for REDUCED_EVENTS sorted events; for a process of its own."""
    plan = plan_of(load_dataset(DATASET), side)
    assert plan is not None
    draw = np.random.default_rng(0)
    keys = np.sort((draw.random(REDUCED_EVENTS) ** 2 * REDUCED_KEYS).astype(np.int64))  # a few have many events, most have few
    times_us = draw.integers(0, REDUCED_DAYS * 86_400_000_000, REDUCED_EVENTS)
    log: dict[str, Any] = {
        "keys": keys,
        "times_us": times_us[np.lexsort((times_us, keys))],
        "actions": draw.integers(0, len(plan.actions), REDUCED_EVENTS),
        "items": draw.integers(0, 10_000, REDUCED_EVENTS),
        "weights": np.ones(REDUCED_EVENTS, np.int64),
        "sessions": np.zeros(REDUCED_EVENTS, np.int64),
        "is_event": np.ones(REDUCED_EVENTS, np.bool_),
        "is_query": draw.random(REDUCED_EVENTS) < QUERIES[side],
    }
    taken = []
    for _ in range(1 + REPEATS):
        state, core_seconds = empty(plan, REDUCED_KEYS), time.process_time()
        replay(plan, state, **log)
        taken.append(time.process_time() - core_seconds)
    return min(taken[1:])  # the first one compiles


def sizes(examples: Path) -> Sizes:
    """Measure the bytes of the first block of shoppers, by request and by impression; for a process of its own."""
    import tensorflow as tf

    table = columns(load_dataset(DATASET))
    files = [path for split in SPLITS for path in sorted((examples / f"Split-{split}").iterdir())[:1]]
    kept, gzipped = sum(path.stat().st_size for path in files), sum(len(gzip.compress(path.read_bytes(), 6)) for path in files)
    requests = impressions = plain = packed = 0
    for path in files:
        block = []
        for record in tf.data.TFRecordDataset(str(path)).as_numpy_iterator():
            rows = [row.SerializeToString() for row in _one_an_impression(tf.train.Example.FromString(record), table)]
            requests, impressions = requests + 1, impressions + len(rows)
            plain += sum(len(row) + FRAME_BYTES for row in rows)
            block += rows
        packed += len(gzip.compress(b"".join(block), 6)) + FRAME_BYTES * len(block)
    return Sizes(impressions, requests, (kept, gzipped), (plain, packed))


def _one_an_impression(request: Any, table: tuple[Column, ...]) -> Iterator[Any]:
    """Convert a request to an example for each candidate, each with all features of the request."""
    of_candidate = [column for column in table if column.axis == "candidate"]
    elements = {column.name: request.features.feature[column.name] for column in of_candidate}
    lists = {name: getattr(feature, feature.WhichOneof("kind")) for name, feature in elements.items()}
    values = {name: list(values.value) for name, values in lists.items()}
    row = type(request)()
    row.CopyFrom(request)
    for at in range(len(values["label"])):
        for column in of_candidate:
            feature = row.features.feature[column.name]
            target = getattr(feature, feature.WhichOneof("kind")).value
            target[:] = values[column.name][at * column.size : (at + 1) * column.size]
        yield row


def main() -> None:
    """Measure all and print it."""
    assert __doc__ is not None
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, nargs="+", default=[1_000_000, 3_000_000, 10_000_000])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--stock-rows", type=int, default=100_000)
    parser.add_argument("--work", type=Path, help="folder to work in; shops that lie there are used again (default: a temporary one)")
    args = parser.parse_args()
    os.environ |= {"TF_USE_LEGACY_KERAS": "1", "TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONWARNINGS": "ignore"}
    with tempfile.TemporaryDirectory() as temporary:
        work = args.work or Path(temporary)
        work.mkdir(parents=True, exist_ok=True)
        shops = {events: work / f"shop-{events}" for events in (TINY_EVENTS, *args.events)}
        for events, shop in shops.items():
            apart(simulated, shop, events)
        results = [apart(ingested, shops[events], shops[TINY_EVENTS], work / f"out-{events}", args.threads) for events in args.events]
        theirs = apart(stock, work / "stock", args.stock_rows)
        size = apart(sizes, work / f"out-{args.events[0]}" / "examples")
    reducer = {side: apart(reduced, side) for side in QUERIES}

    table = Table(title="From Parquet to written examples")
    for name in ("", "events", "impressions", "s", "core s", "events/s", "impressions/s", "per core s", "peak GiB", "bytes/impression"):
        table.add_column(name, justify="right" if name else "left")
    for one in results:
        rates = (one.events / one.seconds, one.impressions / one.seconds, one.impressions / one.core_seconds)
        cells = (f"{one.events:,}", f"{one.impressions:,}", f"{one.seconds:.1f}", f"{one.core_seconds:.1f}", *(f"{r:,.0f}" for r in rates))
        table.add_row("ShelfRank", *cells, f"{one.peak_bytes / 2**30:.2f}", f"{one.example_bytes / one.impressions:.0f}")
    stock_rates = [args.stock_rows / seconds for seconds in theirs]
    taken, done = (f"{seconds:.1f}" for seconds in theirs), (f"{rate:,.0f}" for rate in stock_rates)
    table.add_row("CsvExampleGen", "", f"{args.stock_rows:,}", *taken, "", *done, "", "")
    Console(width=140).print(table)
    for one in results:
        times = one.impressions / one.seconds / stock_rates[0], one.impressions / one.core_seconds / stock_rates[1]
        print(f"{one.events:,} events: {times[0]:.0f} times CsvExampleGen's impressions a second, {times[1]:.0f} times a core second.")
    for side, core_seconds in reducer.items():
        asked = f"{QUERIES[side]:.0%} of them with a query"
        print(f"The reducer alone, {side} state: {REDUCED_EVENTS / core_seconds / 1e6:.1f} million events a second on one core, {asked}.")
    each = [[number / size.impressions for number in both] for both in (size.of_requests, size.of_rows)]
    print(
        f"{size.impressions:,} impressions in {size.requests:,} requests: {each[0][0]:.0f} bytes an impression, {each[1][0]:,.0f} with one"
        f" example an impression ({each[1][0] / each[0][0]:.1f} times); gzipped {each[0][1]:.0f} and {each[1][1]:.0f}."
    )


if __name__ == "__main__":
    main()
