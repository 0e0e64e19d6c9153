"""Make the report of an experiment from its file: `shelfrank experiment report`."""

from collections import Counter
from datetime import datetime
from pathlib import Path

from components.contract.dataset import Dataset
from components.contract.load import load_dataset
from components.experiment.build_report import ReportInput, build_report, chosen_metrics
from components.experiment.experiment_file import ExperimentFile, check_against_dataset, load_experiment_file
from components.experiment.metrics import outcome_actions
from components.experiment.report_schema import ExperimentReport, OffPolicyEstimate
from components.experiment.shoppers import build_shoppers
from pipeline.experiment.log_window import log_window
from pipeline.experiment.off_policy import estimate_arms
from pipeline.experiment.read_log import Say, read_totals
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
    window = log_window(file.start, file.until, pre_period_s=file.pre_period, zone=dataset.zone_name)
    counts: Counter[str] = Counter()
    actions = outcome_actions(dataset, click=file.click, purchase=file.purchase)
    totals = read_totals(folder / file.log, dataset, LogQuery.of_file(file), window, actions, counts, say=say)
    shoppers, conditions = add_segments(build_shoppers(totals, file.bots), file.segments, folder)
    off_policy: tuple[OffPolicyEstimate, ...] = ()
    if file.off_policy is not None:
        say("estimating offline")
        off_policy = estimate_arms(folder / file.log, dataset, file, window, file.off_policy, counts)
    say("comparing")
    source = ReportInput(
        file=file,
        dataset=dataset,
        shoppers=shoppers,
        last_day=totals.last_day,
        counts=counts,
        segments=conditions,
        off_policy=off_policy,
    )
    return build_report(source, now=now)
