"""Compare what is served with what a release was made from: `shelfrank drift`."""

import sys
import time
from argparse import Namespace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from components.contract.errors import InputError
from components.contract.load import load_dataset
from components.drift.decision import Action
from components.drift.report.html_page import render
from components.drift.report.node_exporter import metrics_text
from components.drift.report.table import print_drift
from pipeline.drift.check_drift import DriftConfig, check_drift
from pipeline.results.atomic_write import write_atomically
from pipeline.results.result import read_result
from pipeline.retrain.ledger import FOLDER, Ledger
from pipeline.terminal.console import console, print_json
from pipeline.terminal.display import display
from pipeline.terminal.exit_code import EXIT_FROZEN

if TYPE_CHECKING:
    from components.contract.storage.object_store import Address

EXITS = {Action.NOTHING: 0, Action.RETRAIN_WARM: 10, Action.RETRAIN_FULL: 11, Action.FREEZE: EXIT_FROZEN}


def drift(args: Namespace, releases: "Path | Address") -> int:
    """Compare, print and write what is asked for; returns the exit code, which says the decision.

    Raises:
        InputError: the options, the log or the release can't be used.
    """
    if args.log is None and args.examples is None:
        raise InputError("expected what to compare: --log, --examples, or both")
    config = DriftConfig(
        dataset=load_dataset(args.dataset),
        releases=releases,
        release=args.release,
        log=None if args.log is None else Path(args.log),
        examples=args.examples,
        from_us=_moment("from", args.from_time),
        until_us=_moment("until", args.until_time),
        lifted_us=_lifted_us(releases),
        importance=_importance(releases),
    )
    with display(sys.stderr) as progress:
        progress.begin("Drift")
        report = check_drift(config, say=progress.say)
        progress.end("done")
    if args.html:
        write_atomically(Path(args.html), render(report))
    if args.metrics:
        write_atomically(Path(args.metrics), metrics_text(report, now_s=time.time()))
    if args.json:
        print_json(report.shown())
    else:
        print_drift(report, console())
    return EXITS[report.decision.action]


def _moment(option: str, text: str | None) -> int | None:
    """Parse a date or a date-time, UTC where it names no zone, to microseconds since 1970."""
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise InputError(f"--{option}: expected a time such as 2026-01-31 or 2026-01-31T06:00, got {text!r}") from None
    return round((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1e6)


def _lifted_us(releases: "Path | Address") -> int:
    """Return when a freeze of the retraining beside the releases was last lifted, 0 where none was."""
    lifted_at = Ledger(releases.parent / FOLDER).history().lifted_at if isinstance(releases, Path) else None
    return round(lifted_at.timestamp() * 1e6) if lifted_at else 0


def _importance(releases: "Path | Address") -> dict[int, dict[str, float]]:
    """Return what the model of the run beside the releases loses without each feature, where that run's result is there."""
    result_file = releases.parent / "last_run.json" if isinstance(releases, Path) else None
    if result_file is None or not result_file.exists():
        return {}
    result = read_result(result_file)
    if result.release is None or result.importance is None:
        return {}
    drops = {each.feature: each.drops["auc"].value for each in result.importance.features}
    return {result.release: {name: drop for name, drop in drops.items() if drop is not None}}
