"""Plan experiments, and report what they came to: `shelfrank experiment`."""

import sys
from argparse import Namespace
from datetime import UTC, date, datetime
from pathlib import Path

from components.contract.base_model import share
from components.contract.errors import InputError
from components.contract.load import load_dataset
from components.experiment.currencies import CURRENCIES
from components.experiment.plan import Design
from components.experiment.report.html_page import render, render_index
from components.experiment.report.plan_table import print_plan
from components.experiment.report.table import print_report
from components.experiment.report_schema import FILE, ExperimentReport, read_report
from pipeline.experiment.plan import PlanConfig, plan_experiment
from pipeline.experiment.report import report_experiment
from pipeline.results.atomic_write import write_atomically
from pipeline.terminal.console import console, print_json
from pipeline.terminal.display import display

PAGE = "index.html"
EXITS = {"ship": 0, "go on": 10, "stop": 11}


def plan(args: Namespace) -> int:
    """Plan an experiment from a log, and print what it finds in how many days; returns 0.

    Raises:
        InputError: an option or the log can't be used.
    """
    dataset = load_dataset(args.dataset)
    if args.currency is None and {"revenue", "margin"} & set(dataset.amounts):
        raise InputError("expected --currency, the code of ISO 4217 that revenue and margin are in, such as EUR; the dataset has amounts")
    if args.currency is not None and args.currency not in CURRENCIES:
        raise InputError(f"--currency: expected a code of ISO 4217, such as EUR or USD, got {args.currency!r}")
    if args.arms < 2:
        raise InputError(f"--arms: expected at least 2, the control among them, got {args.arms}")
    config = PlanConfig(
        dataset=dataset,
        log=Path(args.log),
        until=_date("until", args.until),
        durations=tuple(sorted(set(args.days))),
        pre_period_s=args.pre_days * 86400.0,
        design=Design(
            arms=args.arms,
            traffic=_share("traffic", args.traffic),
            effect=_share("effect", args.effect),
            alpha=_share("alpha", args.alpha),
            power=_share("power", args.power),
            currency=args.currency,
        ),
    )
    with display(sys.stderr) as progress:
        progress.begin("Plan")
        made = plan_experiment(config, say=progress.say)
        progress.end("done")
    if args.json:
        print_json(made.model_dump(mode="json"))
    else:
        print_plan(made, console())
    return 0


def _share(option: str, text: str) -> float:
    try:
        value = share(text)
    except ValueError as error:
        raise InputError(f"--{option}: {error}") from None
    if not 0 < value <= (1 if option == "traffic" else 0.999):
        raise InputError(f"--{option}: expected a share above 0% and below 100%, got {text!r}")
    return value


def _date(option: str, text: str | None) -> date | None:
    try:
        return None if text is None else date.fromisoformat(text)
    except ValueError:
        raise InputError(f"--{option}: expected a day such as 2026-01-31, got {text!r}") from None


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
