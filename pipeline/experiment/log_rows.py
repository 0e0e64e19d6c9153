"""Read lines of the exposure log one by one: decisions, and the clicks on their lists."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from components.contract.base_model import closest
from components.contract.dataset import Dataset
from components.contract.errors import InputError
from serving.exposure.log import INTERACTIONS
from serving.exposure.serialization import EventRows


def log_rows(log: Path, name: str, counts: "Counter[str]", *, having: bytes = b"") -> Iterator[dict[str, Any]]:
    """Yield the JSON objects of the complete files of a kind, of the lines that hold some bytes.

    Args:
        log: the service's folder.
        name: of the kind of file.
        counts: takes what was read, and what is no JSON object.
        having: bytes that a line holds.
    """
    for path in sorted(log.glob(f"{name}-*.jsonl")):
        with path.open("rb") as file:
            for line in file:
                if having not in line:
                    continue
                try:
                    row = json.loads(line)
                except ValueError:
                    row = None
                if isinstance(row, dict):
                    counts[f"lines of {name}"] += 1
                    yield row
                else:
                    counts[f"unreadable lines of {name}"] += 1


def clicks_on_lists(
    log: Path, dataset: Dataset, actions: Sequence[str], times_us: Mapping[str, int], counts: "Counter[str]"
) -> Iterator[tuple[str, str]]:
    """Yield request and item of the clicks on lists that came within the attribution window.

    Args:
        log: the service's folder.
        dataset: of the log.
        actions: that count as a click, by their names in the dataset file.
        times_us: request to the time of its list.
        counts: takes what was read and what was left out.

    Raises:
        InputError: an action is unknown.
    """
    rows = EventRows(dataset)
    if unknown := next((action for action in actions if action not in rows.actions), None):
        raise InputError(f"the dataset file has no action {unknown!r}; {closest(unknown, list(rows.actions))}")
    values = {rows.actions[action] for action in actions}
    action, request, item, time = (rows.columns[role] for role in ("action", "request", "item", "time"))
    for row in log_rows(log, INTERACTIONS, counts):
        if row.get(action) in values and row.get(request) in times_us and row.get(item):
            delay_us = int(row[time]) - times_us[row[request]]
            if -dataset.skew * 1e6 <= delay_us <= dataset.attribution * 1e6:
                yield row[request], row[item]
            else:
                counts["clicks outside the attribution window"] += 1
