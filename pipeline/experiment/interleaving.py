"""Read the lists of an experiment that interleaves two rankers, and say which is preferred: `shelfrank experiment interleaving`."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from components.contract.dataset import Dataset
from components.contract.errors import InputError
from components.contract.storage.file_lock import locked_for_reading
from components.experiment.designs.interleaving import InterleavedList, Preference, credit, preference
from pipeline.experiment.log_rows import clicks_on_lists, log_rows
from serving.exposure.log import DECISIONS

UNFAIR = 0.001  # a coin test below it points to a fault, not to chance


def read_interleaved(
    log: Path, dataset: Dataset, experiment: str, *, actions: Sequence[str]
) -> tuple[tuple[str, str], Preference, dict[str, int]]:
    """Read an experiment's interleaved lists and their clicks from the exposure log.

    Args:
        log: the service's folder; its complete files are read.
        dataset: of the log.
        experiment: its name.
        actions: that count as a click, by their names in the dataset file.

    Returns:
        The teams' names, which of them is preferred, and what was read and left out.

    Raises:
        InputError: the log has no interleaved list of the experiment, or an action is unknown.
    """
    counts: Counter[str] = Counter()
    lists: dict[str, InterleavedList] = {}
    times_us: dict[str, int] = {}
    teams: tuple[str, str] | None = None
    others: set[str] = set()
    with locked_for_reading([str(log / DECISIONS)]):
        for row in log_rows(log, DECISIONS, counts, having=b'"interleaved"'):
            if not isinstance(record := row.get("interleaved"), dict):  # the word was a product's id or a context's value
                continue
            if record["experiment"] != experiment:
                others.add(record["experiment"])
                continue
            names = (record["teams"][0], record["teams"][1])
            if teams not in (None, names):
                raise InputError(
                    f"{log}: {experiment!r} interleaves {teams} and later {names}; give the second pair an experiment of its own"
                )
            teams = names
            if row["request"] in lists:  # a repetition, or a further page of the list
                counts["lists asked for again"] += 1
                first = lists[row["request"]]
                lists[row["request"]] = replace(first, teams={**_interleaved_list(row).teams, **first.teams})
                continue
            lists[row["request"]] = _interleaved_list(row)
            times_us[row["request"]] = int(row["time"])
        clicks = list(clicks_on_lists(log, dataset, actions, times_us, counts))
    if teams is None:
        known = f"; it has lists of {', '.join(sorted(others))}" if others else ""
        raise InputError(f"{log}: expected lists that the experiment {experiment!r} interleaves, got none{known}")
    return teams, preference(credit(lists, clicks)), {name: number for name, number in sorted(counts.items()) if number}


def _interleaved_list(row: Mapping[str, Any]) -> InterleavedList:
    placed = row["interleaved"]["placed"]
    items = [row["items"][index] for index in row["order"]]
    teams = {item: team for item, team in zip(items, placed, strict=True) if team is not None}
    leader = next((team for team in placed if team is not None), 0)
    return InterleavedList(row["user"] or row["session"] or row["request"], teams, leader)


def sentence(teams: tuple[str, str], result: Preference, *, alpha: float = 0.05) -> str:
    """Say which ranker is preferred."""
    if result.coin_p < UNFAIR:
        return (
            f"{teams[1]} leads {result.second_led:.1%} of the lists, which fair coins don't: look for lists that are missing from the log"
        )
    if result.p >= alpha:
        return f"no preference is proven (p = {result.p:.3f}); go on, or keep {teams[0]}"
    return f"{teams[int(result.difference > 0)]} is preferred (p = {result.p:.2g})"
