"""Check that a run that is repeatedly killed at random moments ends with the same result as an undisturbed one.

    python -m benchmarks.graph.crash_recovery DATASET.yaml --data DIR [--kills 10] [--seed 0] [--work DIR]

Runs the graph once undisturbed; then in another folder starts it, kills it (SIGKILL, with all its processes) after a
random part of the time that the undisturbed run took, and so on; then lets it finish. Compares the examples' bytes, the
metrics, the releases and what lies in their folder. With --fresh each kill hits a run that starts from nothing, and is
followed by one that finishes.
"""

import argparse
import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

SHELFRANK = str(Path(sys.executable).parent / "shelfrank")


def start(dataset: str, data: str, root: Path) -> "subprocess.Popen[bytes]":
    """Start a run as the leader of a process group of its own."""
    command = [SHELFRANK, "run", dataset, "--data", data, "--root", str(root)]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True)


def finish(dataset: str, data: str, root: Path) -> float:
    """Run to the end and return the seconds."""
    began = time.monotonic()
    process = start(dataset, data, root)
    _, errors = process.communicate()
    if process.returncode:
        sys.exit(f"a run that nobody disturbed ended with exit code {process.returncode}: {errors.decode()}")
    return time.monotonic() - began


def kill_after(seconds: float, dataset: str, data: str, root: Path) -> str:
    """Start a run and kill it; return the step it was in, read from its folder."""
    process = start(dataset, data, root)
    try:
        process.communicate(timeout=seconds)
        return "had finished"
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
    artifacts = root / "artifacts"
    begun = sorted(path.name for path in artifacts.iterdir()) if artifacts.exists() else []
    return f"killed with {len(begun)} steps begun"


def outcome(root: Path) -> dict[str, Any]:
    """Return what must be equal between the runs."""
    result = json.loads((root / "last_run.json").read_text())
    made = (path for path in root.glob("artifacts/EventExampleGen/examples/*") if path.name.isdecimal())
    examples = max(made, key=lambda path: int(path.name))
    digest = hashlib.sha256()
    for path in sorted(examples.rglob("*-of-*")):
        digest.update(path.relative_to(examples).as_posix().encode() + path.read_bytes())
    releases = root / "releases"
    manifests = {path.parent.name: json.loads(path.read_text()) for path in sorted(releases.glob("*/manifest.json"))}
    return {
        "examples": digest.hexdigest(),
        "metrics": result["metrics"],
        "champion": result["champion"],
        "releases": {version: [manifest[name] for name in ("metrics", "parent", "data_window")] for version, manifest in manifests.items()},
        "in the folder of releases": sorted(path.name for path in releases.iterdir()),
    }


def main() -> None:
    """Run, kill, compare; exit code 1 where anything differs."""
    assert __doc__ is not None
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", metavar="DATASET.yaml")
    parser.add_argument("--data", required=True)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--fresh", action="store_true")
    parser.add_argument("--work", type=Path, help="folder to work in (default: a temporary one)")
    args = parser.parse_args()
    draw = random.Random(args.seed)
    with tempfile.TemporaryDirectory() as temporary:
        work = args.work or Path(temporary)
        undisturbed_s = finish(args.dataset, args.data, work / "undisturbed")
        print(f"undisturbed: {undisturbed_s:.0f} s", flush=True)
        expected, differing = outcome(work / "undisturbed"), 0
        for number in range(args.kills):
            moment = draw.uniform(0, undisturbed_s)
            print(f"kill {number + 1} at {moment:.0f} s: {kill_after(moment, args.dataset, args.data, work / 'killed')}", flush=True)
            if args.fresh or number == args.kills - 1:
                print(f"  finished in {finish(args.dataset, args.data, work / 'killed'):.0f} s", flush=True)
                outcome_killed = outcome(work / "killed")
                unequal = [name for name in expected if expected[name] != outcome_killed[name]]
                differing += bool(unequal)
                print(f"  {'differs in ' + ', '.join(unequal) if unequal else 'the same result'}", flush=True)
                shutil.rmtree(work / "killed")
    sys.exit(1 if differing else 0)


if __name__ == "__main__":
    main()
