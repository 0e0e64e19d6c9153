"""Measure ingestion by Beam runner: seconds, processor time and memory by the number of events.

    python -m benchmarks.ingest.beam [--events 1000000 5000000] [--ways WAY ...] [--work DIR]

Simulated shops by examples/simulated_shop.yaml: in the process itself with one thread and with two, in two processes of
Beam's own, through a job service and a worker pool (`pipeline.beam.job_service`), and on Flink with two slots by a job
server, which needs Java and Maven (`tests/engines/flink`). A tiny shop is ingested first, so that the process has its
imports and compiled code; processes that Beam starts for a job (multi_process, portable, flink) haven't, and their
start is in the seconds. Processor time is of all processes, Flink's own included, and depends less on other load.
Exchanged are the bytes that Flink groups.

Memory is sampled every 0.2 s from the kernel: of all processes together, each shared page counted once (PSS), and of
the largest one. The digest is of all examples and the state: it must be equal in all rows with the same number of
events.
"""

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.ingest.ingest import TINY_EVENTS, apart, run, simulated
from pipeline.beam.job_service import beam_service
from pipeline.beam.preset_options import Local, MultiProcess
from pipeline.beam.presets import BeamArgs, Settings, beam_args

WAYS = {
    "local, 2 threads": Local(threads=2),
    "multi_process, 2": MultiProcess(processes=2),
    "portable": None,
    "local, 1 thread": Local(threads=1),
    "flink, 2 slots": None,
}
SAMPLED_S = 0.2


@dataclass(frozen=True)
class Cost:
    """Cost of one ingestion: memory in bytes, `largest` that of the largest process; None where nothing is counted."""

    seconds: float
    core_seconds: float
    exchanged_bytes: int | None
    together: int
    largest: int
    digest: str


def measured(way: str, shop: Path, work: Path) -> Cost:
    """Ingest in a process of its own and sample the memory of its process tree."""
    command = [sys.executable, "-m", "benchmarks.ingest.beam", "--alone", way, str(shop), "--work", str(work)]
    log = work / "log"
    with log.open("ab") as errors, subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True) as process:
        together = largest = 0
        while process.poll() is None:
            held = [_held(pid) for pid in _family(process.pid)]
            together, largest = max(together, sum(held)), max(largest, *held, 0)
            time.sleep(SAMPLED_S)
        assert process.stdout is not None
        output = process.stdout.read()
    if process.returncode:
        raise SystemExit(f"{way} failed; see {log}:\n{log.read_text()[-2000:]}")
    figures = json.loads(output.splitlines()[-1])
    return Cost(figures["seconds"], figures["core_seconds"], figures["exchanged_bytes"], together, largest, figures["digest"])


def _family(pid: int) -> list[int]:
    """List a process and its present descendants."""
    pids = [pid]
    for one in pids:
        for task in Path(f"/proc/{one}/task").glob("*/children"):
            try:
                pids += map(int, task.read_text().split())
            except OSError:
                continue
    return pids


def _held(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:  # the process has ended
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:")), 0)


def core_seconds() -> float:
    """Sum the processor time of this process and all that it started, ended ones included."""
    ticks = 0
    for pid in _family(os.getpid()):
        with suppress(OSError):
            ticks += sum(map(int, Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:15]))
    return ticks / os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class _Service:
    """Where Beam's steps run, and how many bytes its last job exchanged."""

    preset: Settings
    exchanged_bytes: Callable[[], int | None] = lambda: None


@contextmanager
def _service(way: str, work: Path) -> Iterator[_Service]:
    preset = WAYS[way]
    if preset:
        yield _Service(preset)
    elif way == "portable":
        with beam_service(work / "service") as portable:
            yield _Service(portable)
    else:
        from tests.engines.flink.cluster import flink_cluster  # needs Java and Maven

        with flink_cluster(work / "service") as flink:
            yield _Service(flink.preset(), lambda: flink.grouped_bytes(flink.ask("jobs/overview")["jobs"]))


def alone(way: str, shop: Path, work: Path) -> dict[str, float | str | None]:
    """Ingest in this process, or in processes started from it."""
    tiny, out = work / f"shop-{TINY_EVENTS}", work / "out"
    with _service(way, work) as service:
        args: BeamArgs = beam_args(service.preset)
        for log, made in ((tiny, out / "tiny"), (shop, out / "whole")):
            began, core_began = time.perf_counter(), core_seconds()
            run(log, made, (*args.steps, *args.ingestion))
            seconds, core_s = time.perf_counter() - began, core_seconds() - core_began
        exchanged_bytes = service.exchanged_bytes()
    digest = hashlib.sha256()
    for path in sorted(path for part in ("examples", "state") for path in (out / "whole" / part).rglob("*") if path.is_file()):
        digest.update(str(path.relative_to(out)).encode() + path.read_bytes())
    figures = {"seconds": seconds, "core_seconds": core_s, "exchanged_bytes": exchanged_bytes}
    return figures | {"digest": digest.hexdigest()[:12]}


def main() -> None:
    """Measure all and print it."""
    assert __doc__ is not None
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, nargs="+", default=[1_000_000, 5_000_000])
    parser.add_argument("--ways", nargs="+", default=list(WAYS), choices=WAYS, metavar="WAY", help=f"some of {', '.join(map(repr, WAYS))}")
    parser.add_argument("--work", type=Path, help="folder to work in; shops that lie there are used again (default: a temporary one)")
    parser.add_argument("--alone", nargs=2, metavar=("WAY", "SHOP"), help="measure one way in this process and print it as JSON")
    args = parser.parse_args()
    os.environ |= {"TF_USE_LEGACY_KERAS": "1", "TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONWARNINGS": "ignore"}
    if args.alone:
        print(json.dumps(alone(args.alone[0], Path(args.alone[1]), args.work)))
        return
    table = Table(title="Ingestion on Beam")
    for name in ("events", "", "s", "core s", "exchanged MB", "together GiB", "largest process GiB", "digest"):
        table.add_column(name, justify="left" if name in ("", "digest") else "right")
    with tempfile.TemporaryDirectory() as temporary:
        work = args.work or Path(temporary)
        work.mkdir(parents=True, exist_ok=True)
        for events in (TINY_EVENTS, *args.events):
            apart(simulated, work / f"shop-{events}", events)
        for events in args.events:
            for way in args.ways:
                with tempfile.TemporaryDirectory(dir=work) as apart_from_others:
                    (Path(apart_from_others) / f"shop-{TINY_EVENTS}").symlink_to((work / f"shop-{TINY_EVENTS}").absolute())
                    taken = measured(way, work / f"shop-{events}", Path(apart_from_others))
                sizes = (f"{taken.together / 2**30:.2f}", f"{taken.largest / 2**30:.2f}")
                exchanged = "" if taken.exchanged_bytes is None else f"{taken.exchanged_bytes / 1e6:.0f}"
                table.add_row(f"{events:,}", way, f"{taken.seconds:.1f}", f"{taken.core_seconds:.1f}", exchanged, *sizes, taken.digest)
                print(events, way, taken, file=sys.stderr, flush=True)
    Console(width=120).print(table)


if __name__ == "__main__":
    main()
