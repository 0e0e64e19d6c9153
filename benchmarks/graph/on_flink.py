"""Compare the whole graph with its Beam steps in the run's own process and on Flink: seconds and processor time by step.

    python -m benchmarks.graph.on_flink [--events 20000] [--repeats 2] [--work DIR]

A session cluster of Flink with two slots, a job server and a worker pool run on this machine (`tests/engines/flink`, which
needs Java and Maven), and have had a run before. The graph runs in turns with the `local` preset and with `flink`, each in a
process of its own; of several runs the quickest is shown. Processor time is of all processes that were started here,
Flink's own included. Metrics and examples are the same either way: `tests/engines/flink/test_steps_on_flink.py`.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from time import perf_counter

from rich.console import Console
from rich.table import Table

from benchmarks.ingest.beam import core_seconds
from benchmarks.ingest.ingest import DATASET, TINY_EVENTS, apart, simulated
from tests.engines.flink.cluster import flink_cluster

_RUN = "from tests.pipeline.beam.beam_run import main; main()"


def graph(preset: str, options: dict[str, str | int], shop: Path, root: Path) -> dict[str, float]:
    """Run the whole graph; return its seconds by step, and `in all` and `processor` of the process with its imports."""
    command = [sys.executable, "-c", _RUN, preset, str(DATASET), str(shop), str(root), json.dumps(options)]
    began_s, core_began_s = perf_counter(), core_seconds()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    total_s, core_s = perf_counter() - began_s, core_seconds() - core_began_s
    record = json.loads((root / "last_run.json").read_text())
    return {step["name"]: step["seconds"] for step in record["steps"]} | {"in all": total_s, "processor": core_s}


def main() -> None:
    """Run both and print the table."""
    assert __doc__ is not None
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=20_000)
    parser.add_argument("--repeats", type=int, default=2, help="runs of each way")
    parser.add_argument("--work", type=Path, help="folder to work in (default: a temporary one)")
    args = parser.parse_args()
    os.environ |= {"TF_USE_LEGACY_KERAS": "1", "TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONWARNINGS": "ignore"}
    with tempfile.TemporaryDirectory() as temporary:
        work = args.work or Path(temporary)
        work.mkdir(parents=True, exist_ok=True)
        for events in (TINY_EVENTS, args.events):
            apart(simulated, work / f"shop-{events}", events)
        with flink_cluster(work / "service") as flink:
            graph("flink", flink.options(), work / f"shop-{TINY_EVENTS}", work / "warm-up")
            runs: dict[str, list[dict[str, float]]] = {"local": [], "flink": []}
            for repeat in range(args.repeats):
                for preset, options in (("local", {}), ("flink", flink.options())):
                    runs[preset].append(graph(preset, options, work / f"shop-{args.events}", work / f"{preset}-{repeat}"))
                    print(preset, runs[preset][-1], file=sys.stderr, flush=True)
    local, remote = (min(some, key=lambda run: run["in all"]) for some in runs.values())
    table = Table(title=f"Whole graph, {args.events:,} events")
    for name in ("step", "local, s", "Flink, s"):
        table.add_column(name, justify="left" if name == "step" else "right")
    for name in remote:
        table.add_row(name, *(f"{run[name]:.1f}" if name in run else "" for run in (local, remote)))
    Console().print(table)
    time, core_time = (remote[name] / local[name] for name in ("in all", "processor"))
    print(f"On Flink {time:.2f} times the time, {core_time:.2f} times the processor's.")


if __name__ == "__main__":
    main()
