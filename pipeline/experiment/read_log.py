"""Read the exposure log to totals by shopper and day, in chunks: memory grows with shoppers, their days and sessions, not with lists."""

import json
from collections import Counter
from collections.abc import Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl

from components.contract.base_model import closest
from components.contract.dataset import Dataset
from components.contract.errors import InputError
from components.contract.storage.file_lock import locked_for_reading
from components.experiment.metrics import OutcomeActions
from components.experiment.shoppers import LoggedTotals
from pipeline.drift.json_chunks import Say, log_files, progress_of, read_chunks
from pipeline.drift.read_log import last_decision_us
from pipeline.experiment.log_window import LogWindow
from pipeline.experiment.shopper_actions import ShopperActions
from pipeline.experiment.shopper_lists import LogQuery, ShopperLists
from serving.exposure.log import DECISIONS, INTERACTIONS

_NAMED_LINES = 2000
_EPOCH = date(1970, 1, 1).toordinal()


def read_totals(
    log: Path, dataset: Dataset, query: LogQuery, window: LogWindow, actions: OutcomeActions, counts: "Counter[str]", *, say: Say
) -> LoggedTotals:
    """Read what an experiment's shoppers were shown and did.

    Args:
        log: the service's folder; files that are complete at the start are read.
        dataset: of the log.
        query: whose lists.
        window: of the experiment.
        actions: which are a click and a purchase.
        counts: takes what was read and what was left out.
        say: called with the progress.

    Raises:
        InputError: the log has no list of the experiment in the window, or of an arm that the file doesn't name.
    """
    with locked_for_reading([str(log / DECISIONS)]):
        decisions, interactions = (log_files(log, name, window.history_us) for name in (DECISIONS, INTERACTIONS))
        advance = progress_of([*decisions, *interactions], say)

        lists = ShopperLists(query, window, counts)
        for table in read_chunks(decisions, lists.schema, counts, advance=advance):
            lists.add(table)
        exposed = lists.exposed()
        if exposed is None:
            raise InputError(_nothing(log, query, window, decisions))
        acts = ShopperActions(dataset, actions, window, counts, exposed=exposed, guests=query.guests)
        for table in read_chunks(interactions, acts.schema, counts, advance=advance):
            acts.add(table)
    return combine(lists, acts, window)


def combine(lists: ShopperLists, acts: ShopperActions, window: LogWindow) -> LoggedTotals:
    """Return the totals of both kinds of file, once all of them were added."""
    by_day, sessions = lists.by_day(), lists.sessions()
    reported = acts.reported()
    if reported is not None:
        by_day = (
            by_day.join(reported, on=["user", "day"], how="left")
            .with_columns(impressions=pl.col("impressions") + pl.col("reported").fill_null(0))
            .drop("reported")
        )
    last_us = min(window.end_us - 1, lists.last_us)
    history = lists.history().join(acts.history(), on="user", how="full", coalesce=True).fill_null(0)
    history = history.with_columns(pre_impressions=pl.col("pre_impressions") + pl.col("pre_reported")).drop("pre_reported")
    return LoggedTotals(by_day, acts.by_day(), sessions, acts.orders(), history, window.day(last_us))


def _nothing(log: Path, query: LogQuery, window: LogWindow, decisions: Sequence[Path]) -> str:
    """Say why there is nothing, by what the first lines of the log name."""
    if not decisions:
        return f"{log}: expected the files {DECISIONS}-*.jsonl of the ranking service's exposure log, found none"
    names: set[str] = set()
    for path in dict.fromkeys((decisions[0], decisions[-1])):
        with path.open("rb") as lines:
            for _, line in zip(range(_NAMED_LINES), lines, strict=False):
                names |= _experiments(line)
    start = date.fromordinal(_EPOCH + window.day(window.start_us))
    if query.experiment is None or query.experiment in names:
        what = "lists" if query.experiment is None else f"lists of the experiment {query.experiment!r}"
        return f"{log}: expected {what} from {start} on, got none in the window; choose another"
    return f"{log}: no list is of an experiment {query.experiment!r}; {closest(query.experiment, sorted(names))}"


def last_day(log: Path, zone: str) -> date:
    """Return the day of the last decision of a log, in a zone.

    Raises:
        InputError: there is none.
    """
    if (last_us := last_decision_us(log)) is None:
        raise InputError(f"{log}: expected the files {DECISIONS}-*.jsonl of the ranking service's exposure log, found none with decisions")
    return datetime.fromtimestamp(last_us / 1e6, ZoneInfo(zone)).date()


def _experiments(line: bytes) -> set[str]:
    try:
        arms: Any = json.loads(line).get("arms")
    except (ValueError, AttributeError):
        return set()
    return set(arms) if isinstance(arms, dict) else set()
