"""Compare the whole graph with stock TFX on the same number of impressions: seconds by step, in one run.

    python -m benchmarks.graph [--impressions 500000] [--work DIR]

Stock TFX (benchmarks/graph/stock_tfx.py) gets six columns, one row an impression, no join, no history, no state, and a
split by chance. ShelfRank gets a simulated shop's logs with all features of examples/simulated_shop.yaml. Both evaluate
overall and by three devices, and both train on 51,200 impressions. Imports aren't in either figure; the steps are what
each runner takes for them.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import yaml
from rich.console import Console
from rich.table import Table

HERE = Path(__file__).parent
TRAINED_IMPRESSIONS = 51_200  # stock: 100 steps of 512
IMPRESSIONS_AN_EVENT = 0.8254  # of the simulated shop


def stock(work: Path, impressions: int) -> dict[str, float]:
    """Measure the seconds by component of stock TFX."""
    environment = os.environ | {"TF_USE_LEGACY_KERAS": "1", "TF_CPP_MIN_LOG_LEVEL": "3"}
    command = [sys.executable, str(HERE / "stock_tfx.py"), str(work / "stock"), str(impressions)]
    output = subprocess.run(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=True).stdout
    rows = [line.rsplit(maxsplit=2) for line in output.splitlines() if line.endswith(" s")]
    return {name.strip(): float(seconds) for name, seconds, _ in rows}


def ours(work: Path, impressions: int) -> tuple[dict[str, float], int]:
    """Measure the seconds by step of ShelfRank, and count the impressions in its examples."""
    shelfrank = str(Path(sys.executable).parent / "shelfrank")
    events = round(impressions / IMPRESSIONS_AN_EVENT)
    subprocess.run([shelfrank, "simulate", "--out", str(work / "shop"), "--events", str(events)], check=True, stdout=subprocess.DEVNULL)
    dataset = yaml.safe_load((HERE.parents[1] / "examples" / "simulated_shop.yaml").read_text())
    dataset |= {"slices": ["device"], "model": {"max_impressions": TRAINED_IMPRESSIONS}}
    file = work / "graph.yaml"
    file.write_text(yaml.safe_dump(dataset, sort_keys=False))
    run = [shelfrank, "run", str(file), "--data", str(work / "shop"), "--root", str(work / "run"), "--json"]
    # A model with so little training may be refused; the exit code for that isn't a failure here.
    result = json.loads(subprocess.run(run, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=False).stdout)
    counts = result["ingestion"]["counts"]
    examples = sum(counts[f"examples: {split} candidates"] for split in ("train", "eval", "test"))
    return {step["name"]: step["seconds"] for step in result["steps"]}, examples


def main() -> None:
    """Run both and print the table."""
    assert __doc__ is not None
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--impressions", type=int, default=500_000)
    parser.add_argument("--work", type=Path, help="folder to work in (default: a temporary one)")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        work = args.work or Path(temporary)
        work.mkdir(parents=True, exist_ok=True)
        mine, examples = ours(work, args.impressions)
        theirs = stock(work, args.impressions)
    table = Table(title=f"{args.impressions:,} impressions (ShelfRank: {examples:,})")
    table.add_column("step")
    table.add_column("stock TFX, s", justify="right")
    table.add_column("ShelfRank, s", justify="right")
    for name in dict.fromkeys([*theirs, *mine]):
        table.add_row(name, *(f"{seconds[name]:.1f}" if name in seconds else "" for seconds in (theirs, mine)))
    total = sum(theirs.values()), sum(mine.values())
    table.add_row("total", *(f"{seconds:.1f}" for seconds in total))
    Console().print(table)
    print(f"ShelfRank is {total[0] / total[1]:.1f} times as fast.")


if __name__ == "__main__":
    main()
