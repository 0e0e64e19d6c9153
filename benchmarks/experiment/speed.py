"""Measure time and memory of `shelfrank experiment report` on logs of millions of lists, which are written to a folder first."""

import resource
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.experiment.files import experiment_text, planted_dataset, write_log
from benchmarks.experiment.shop import Effect, Shop, ShopConfig

LISTS_A_SHOPPER = 7.0  # in 14 days, at 0.2 visits a day of 2.5 lists


def write_shop(folder: Path, lists: int) -> int:
    """Write a log of about so many lists in 14 days, a file a day, and return their number."""
    config = ShopConfig(shoppers=round(lists / LISTS_A_SHOPPER), history_days=0, effect=Effect(click=1.02))
    shop, written = Shop(config), 0
    planted_dataset(folder)
    for day in range(config.days):
        span = shop.span(day, 1)
        write_log(span, folder / "log", name=f"{day:02d}")
        written += len(span.decisions)
    (folder / "experiment.yaml").write_text(experiment_text(shares=dict(config.shares)))
    return written


def measure(folder: Path, lists: int) -> str:
    """Return a row of the table: lists, shoppers' log in GB, seconds, lists a second, and the greatest memory of the process."""
    written = write_shop(folder, lists)
    size = sum(file.stat().st_size for file in (folder / "log").iterdir())
    command = [sys.executable, "-m", "pipeline.cli", "experiment", "report", str(folder / "experiment.yaml"), "--out", str(folder / "out")]
    began = time.monotonic()
    subprocess.run(command, check=False, stdout=subprocess.DEVNULL)
    seconds = time.monotonic() - began
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    return f"| {written:,} | {size / 1e9:.2f} | {seconds:.0f} | {written / seconds:,.0f} | {peak:,.0f} |"
