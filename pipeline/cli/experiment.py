"""Plan experiments, and report what they came to: `shelfrank experiment`."""

import sys
from argparse import Namespace
from datetime import UTC, datetime
from pathlib import Path

from components.contract.errors import InputError
from components.experiment.report.html_page import render, render_index
from components.experiment.report.table import print_report
from components.experiment.report_schema import FILE, ExperimentReport, read_report
from pipeline.experiment.report import report_experiment
from pipeline.results.atomic_write import write_atomically
from pipeline.terminal.console import console, print_json
from pipeline.terminal.display import display

PAGE = "index.html"
EXITS = {"ship": 0, "go on": 10, "stop": 11}


def report(args: Namespace) -> int:
    """Report on the experiments of files; returns the exit code, which says the decision, the most urgent of several.

    Raises:
        InputError: a file, a log or a metric can't be used, or two files are of one experiment.
    """
    reports: list[ExperimentReport] = []
    out = Path(args.out)
    with display(sys.stderr) as progress:
        for path in args.files:
            progress.begin(f"Experiment {path}")
            made = report_experiment(Path(path), now=datetime.now(UTC), say=progress.say)
            if made.experiment in {other.experiment for other in reports}:
                raise InputError(f"{path}: a second file is of the experiment {made.experiment!r}; each has one report, so leave one out")
            write_atomically(out / made.experiment / FILE, made.model_dump_json(indent=1) + "\n")
            write_atomically(out / made.experiment / PAGE, render(made))
            reports.append(made)
            progress.end("done")
    there = sorted(out.glob(f"*/{FILE}"))
    write_atomically(out / PAGE, render_index([(f"{file.parent.name}/{PAGE}", read_report(file)) for file in there]))
    if args.json:
        print_json([each.model_dump(mode="json") for each in reports])
    else:
        for each in reports:
            print_report(each, console())
        print(f"\n{out / PAGE}")
    return max(EXITS[each.decision.action] for each in reports)
