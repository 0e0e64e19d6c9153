"""Read what trainings and storage took, and which releases were rolled back, from the folder of the runs."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from components.contract.errors import ShelfRankError
from components.experiment.roi.avoided_losses import Rollback
from components.experiment.roi.costs import Usage
from pipeline.ops.guard_journal import FILE as JOURNAL
from pipeline.ops.guard_journal import read_entries
from pipeline.results.result import read_result
from pipeline.retrain.cycle import Cycle
from pipeline.retrain.ledger import FILE as LEDGER
from pipeline.retrain.ledger import FOLDER, Ledger

_LAST_RUN = "last_run.json"


def read_usage(root: Path, start: date, until: date) -> Usage:
    """Return what was used from a day on until another, which doesn't count.

    The last run counts if no cycle of retraining made it: earlier ones, started by hand, leave no record of their time.

    Raises:
        ShelfRankError: the ledger or the last run can't be read.
    """
    cycles = [each for each in Ledger(root / FOLDER).history().cycles if each.seconds and start <= _day(each.began) < until]
    trainings, seconds = len(cycles), sum(each.seconds for each in cycles)
    recorded = sum(each.processor_seconds or 0.0 for each in cycles)
    unrecorded = sum(each.seconds for each in cycles if each.processor_seconds is None)
    sources = [f"{root.name}/{FOLDER}/{LEDGER}"] if cycles else []
    if (root / _LAST_RUN).exists():
        result = read_result(root / _LAST_RUN)
        ended = datetime.fromisoformat(result.made_at)
        ended = ended if ended.tzinfo else ended.replace(tzinfo=UTC)
        if start <= _day(ended) < until and not any(_made(each, ended) for each in cycles):
            run_seconds = sum(step.seconds for step in result.steps)
            trainings, seconds, unrecorded = trainings + 1, seconds + run_seconds, unrecorded + run_seconds
            sources.append(f"{root.name}/{_LAST_RUN}")
    return Usage(
        trainings=trainings,
        core_seconds=recorded,
        seconds=seconds,
        unrecorded_seconds=unrecorded,
        stored_bytes=sum(file.lstat().st_size for file in root.rglob("*") if file.is_file() and not file.is_symlink()),
        source=", ".join([*sources, f"size of the folder {root.name}"]),
    )


def read_rollbacks(releases: Path) -> tuple[Rollback, ...]:
    """Return the releases that the guard rolled back, the oldest first.

    Raises:
        ShelfRankError: a line isn't one of the guard's journal.
    """
    rollbacks = []
    for number, entry in enumerate(read_entries(releases), 1):
        try:
            if entry["decision"] != "roll back" or not entry["done"]:
                continue
            clicked = entry.get("clicked")
            rollbacks.append(
                Rollback(
                    day=_day(datetime.fromisoformat(entry["decided"])),
                    release=entry["canary"],
                    reason=entry["reason"],
                    clicked=(clicked["canary"], entry["settled"]["canary"]) if clicked else None,
                    stable_clicked=(clicked["stable"], entry["settled"]["stable"]) if clicked else None,
                )
            )
        except (KeyError, ValueError, TypeError) as error:
            raise ShelfRankError(
                f"{releases / JOURNAL}:{number}: expected a line of the guard's journal: {error!r}; correct it, or delete it"
            ) from None
    return tuple(rollbacks)


def _made(cycle: Cycle, ended: datetime) -> bool:
    """Whether a run that ended then is that of a cycle; its result is written just before the ledger's line."""
    return cycle.began <= ended <= (cycle.trained or cycle.failed_at or cycle.began) + timedelta(seconds=60)


def _day(moment: datetime) -> date:
    return moment.astimezone(UTC).date()
