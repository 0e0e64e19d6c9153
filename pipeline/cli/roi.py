"""Show what a programme of experiments returned: `shelfrank roi`."""

import sys
from argparse import Namespace
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from components.contract.errors import InputError
from components.experiment.report_schema import FILE, ExperimentReport, read_report
from components.experiment.roi.costs import Usage
from components.experiment.roi.price_file import load_price_file
from components.experiment.roi.report.html_page import render
from components.experiment.roi.report.table import print_roi
from components.experiment.roi.roi_report import roi_report
from pipeline.results.atomic_write import write_atomically
from pipeline.retrain.usage import read_rollbacks, read_usage
from pipeline.terminal.console import console, print_json


def roi(args: Namespace) -> None:
    """Compute, print and write what is asked for.

    Raises:
        InputError: reports and price file contradict each other, or lack something.
    """
    reports = read_reports(args.reports)
    file = load_price_file(args.prices)
    today = datetime.now(UTC).date()
    until = file.until or today
    if until <= file.start:
        raise InputError(f"{args.prices}: `from` is {file.start}, which isn't past yet; expected a day before {until}")
    root = Path(args.root).absolute() if args.root else None
    if root is not None and not root.is_dir():
        raise InputError(f"--root {args.root}: expected a folder of runs, there is none")
    releases = Path(args.releases) if args.releases else root and root / "releases"
    report = roi_report(
        reports,
        file,
        usage=read_usage(root, file.start, until) if root else Usage(),
        rollbacks=read_rollbacks(releases) if releases else (),
        today=today,
    )
    name = args.name or ", ".join(sorted({each.dataset for each in reports}))
    if args.html:
        write_atomically(Path(args.html), render(report, name))
    if args.pdf:
        from components.experiment.roi.report.pdf import write_pdf

        write_pdf(report, name, Path(args.pdf))
    if args.json:
        print_json(report.shown())
    else:
        print_roi(report, console())
    for path in filter(None, (args.html, args.pdf)):
        print(f"written: {path}", file=sys.stderr)


def read_reports(paths: Sequence[str]) -> list[ExperimentReport]:
    """Read reports from files, and from folders: all `experiment_report.json` below, or where there is none all `*.json` in it.

    Raises:
        InputError: a path has none, or one can't be read.
    """
    files: list[Path] = []
    for path in map(Path, paths):
        inside = (sorted(path.rglob(FILE)) or sorted(path.glob("*.json"))) if path.is_dir() else [path]
        if not inside:
            raise InputError(f"{path}: expected reports of `shelfrank experiment report`, files `{FILE}` or `*.json`, found none")
        files += inside
    return [read_report(file) for file in files]
