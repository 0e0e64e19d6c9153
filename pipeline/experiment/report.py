"""Make the report of an experiment from its file: `shelfrank experiment report`."""

from collections import Counter
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path

from components.contract.dataset import Dataset
from components.contract.errors import InputError
from components.contract.load import load_dataset
from components.experiment.build_report import ReportInput, build_report, chosen_metrics
from components.experiment.experiment_file import ExperimentFile, check_against_dataset, load_experiment_file
from components.experiment.looks import daily_looks
from components.experiment.metrics import outcome_actions
from components.experiment.report_schema import ExperimentReport, OffPolicyEstimate
from components.experiment.shoppers import Shoppers, build_shoppers
from pipeline.drift.json_chunks import Say
from pipeline.experiment.log_window import LogWindow, log_window
from pipeline.experiment.off_policy import estimate_arms
from pipeline.experiment.read_log import last_day, read_totals
from pipeline.experiment.segments import add_segments
from pipeline.experiment.shopper_lists import LogQuery


def report_experiment(path: Path, *, now: datetime, say: Say) -> ExperimentReport:
    """Read an experiment's log and analyse it.

    Args:
        path: of the experiment's file; what it names is relative to its folder.
        now: the time that the report says.
        say: called with the progress.

    Raises:
        InputError: the file, the log or the metrics can't be used.
        DatasetFileError: the dataset file can't be read.
    """
    file = load_experiment_file(path)
    return analyse(file, load_dataset(path.parent / file.dataset), path.parent, now=now, say=say)


def analyse(file: ExperimentFile, dataset: Dataset, folder: Path, *, now: datetime, say: Say) -> ExperimentReport:
    """Read an experiment's log, and analyse it; paths of the file are relative to the folder."""
    check_against_dataset(file, dataset)
    chosen_metrics(file, dataset)  # raises before minutes of reading
    read = _read(file, dataset, folder, say=say)
    shoppers, conditions = add_segments(read.shoppers, file.segments, folder)
    off_policy: tuple[OffPolicyEstimate, ...] = ()
    if file.off_policy is not None:
        say("estimating offline")
        off_policy = estimate_arms(folder / file.log, dataset, file, read.window, file.off_policy, read.counts)
    say("comparing")
    source = ReportInput(
        file=file,
        dataset=dataset,
        shoppers=shoppers,
        last_day=read.window.last_day if file.has_end else read.last_day,
        counts=read.counts,
        segments=conditions,
        off_policy=off_policy,
    )
    return build_report(source, now=now)


@dataclass(frozen=True)
class _Read:
    """What was read: the window, its shoppers, the last day with a list, and what was left out."""

    window: LogWindow
    shoppers: Shoppers
    last_day: int
    counts: "Counter[str]"


def _read(file: ExperimentFile, dataset: Dataset, folder: Path, *, say: Say) -> _Read:
    """Read what counts of the log: with a planned end whole days alone, and none after it, so that a day is looked at once.

    Raises:
        InputError: the log has no list of the experiment, or no whole day of it yet.
    """
    log, zone = folder / file.log, dataset.zone_name
    actions = outcome_actions(dataset, click=file.click, purchase=file.purchase)

    def read(until: date | None) -> _Read:
        window, counts = log_window(file.start, until, pre_period_s=file.pre_period, zone=zone), Counter[str]()
        totals = read_totals(log, dataset, LogQuery.of_file(file), window, actions, counts, say=say)
        return _Read(window, build_shoppers(totals, file.bots), totals.last_day, counts)

    if not file.has_end:
        return read(file.until)
    cut = last_day(log, zone)
    until = cut if file.until is None else min(file.until, cut)
    if until <= file.start:
        raise InputError(
            f"{log}: expected a whole day of the experiment from {file.start} on, and the log's last day, which may be cut, is {cut};"
            " report when it has a later one, or take `looks: any`"
        )
    first = read(until)
    looks = daily_looks(first.shoppers, file, last_day=first.window.last_day)
    if not looks or looks[-1].day == first.window.last_day:
        return first
    say("reading again, to the planned size")
    return read(date(1970, 1, 1) + timedelta(days=looks[-1].day + 1))
