"""Write logs of decisions, index them in a process of its own, and find some decisions."""

import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline.audit.find_lines import FOLDER, find_lines
from serving.exposure.event_types import Exposure
from serving.exposure.serialization import decision_row, json_lines

LOOKUPS = 50
_INDEX = (
    "import resource, sys, time; from pathlib import Path; from pipeline.audit.find_lines import find_lines;"
    " began = time.perf_counter();"
    " find_lines([Path(sys.argv[1])], 'decisions', 'request', ['none'], index=None, say=lambda _: None);"
    " print(time.perf_counter() - began, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
)


@dataclass(frozen=True)
class Row:
    """The figures of one size: seconds, bytes, megabytes of the indexing process at most, and seconds of a lookup."""

    files: int
    log_bytes: int
    indexed_s: float
    peak_mb: float
    index_bytes: int
    lookup_p50_s: float
    lookup_max_s: float


def measured(folder: Path, decisions: int, *, per_file: int, candidates: int) -> Row:
    """Measure one size.

    Raises:
        RuntimeError: a decision isn't found.
    """
    files = _write(folder, decisions, per_file=per_file, candidates=candidates)
    indexed_s, peak_kb = map(
        float, subprocess.run([sys.executable, "-c", _INDEX, str(folder)], capture_output=True, check=True).stdout.split()
    )
    seconds = []
    for number in np.random.default_rng(1).integers(decisions, size=LOOKUPS).tolist():
        began = time.perf_counter()
        lines, _ = find_lines([folder], "decisions", "request", [_id(number)], index=None, say=lambda _: None)
        seconds.append(time.perf_counter() - began)
        if [line.row["time"] for line in lines[_id(number)]] != [number]:
            raise RuntimeError(f"expected the decision {number}, found {lines}")
    index_bytes = sum(path.stat().st_size for path in (folder / FOLDER).iterdir())
    log_bytes = sum(path.stat().st_size for path in folder.glob("decisions-*"))
    return Row(files, log_bytes, indexed_s, peak_kb / 1e3, index_bytes, float(np.median(seconds)), max(seconds))


def _id(number: int) -> str:
    return f"{number:024x}"


def _write(folder: Path, decisions: int, *, per_file: int, candidates: int) -> int:
    """Write complete files as the service does, one decision in a hundred with features; return their number."""
    rng = np.random.default_rng(0)
    items = [f"p{number:06d}" for number in range(candidates)]
    files = -(-decisions // per_file)
    for file in range(files):
        with (folder / f"decisions-20260101T000000-1x00000000-{file + 1:06d}.jsonl").open("wb") as out:
            for number in range(file * per_file, min((file + 1) * per_file, decisions)):
                scores = rng.random(candidates)
                features = {f"f{each}": rng.random((1, candidates)) for each in range(30)} if number % 100 == 0 else None
                made = Exposure(
                    request=_id(number),
                    time_us=number,
                    shopper=f"u{number % 5000:06d}",
                    items=items,
                    scores=scores.tolist(),
                    order=np.argsort(-scores).tolist(),
                    shown=10,
                    version="1",
                    features=features,
                )
                out.write(json_lines([decision_row(made)]))
    return files
