"""Report on an experiment that interleaves two rankers: `python -m pipeline.experiment.interleaving`."""

import argparse
import json
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from components.contract.dataset import Dataset
from components.contract.errors import InputError, ShelfRankError
from components.contract.load import load_dataset
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


def main(arguments: list[str] | None = None) -> int:
    """Print the report; exit code 1 where the input can't be used, 2 where the arguments can't."""
    parser = argparse.ArgumentParser(prog="python -m pipeline.experiment.interleaving", description=__doc__)
    parser.add_argument("dataset", type=Path, help="dataset file")
    parser.add_argument("log", type=Path, help="the ranking service's folder (--log)")
    parser.add_argument("experiment", help="name of the experiment that interleaves")
    parser.add_argument("--action", action="append", help="what counts as a click, repeatable; default: what the model learns from")
    parser.add_argument("--json", action="store_true", help="print the report as JSON")
    args = parser.parse_args(arguments)
    try:
        dataset = load_dataset(args.dataset)
        actions = args.action or list(dataset.label_gains)
        teams, result, counts = read_interleaved(args.log, dataset, args.experiment, actions=actions)
    except ShelfRankError as error:
        print(error, file=sys.stderr)
        return 1
    if args.json:
        print(json.dumps({"teams": teams, **asdict(result), "counts": counts, "sentence": sentence(teams, result)}, indent=2))
        return 0
    table = Table("", *teams)
    table.add_row("lists won", f"{result.first_won:,}", f"{result.second_won:,}")
    table.add_row("lists led", f"{1 - result.second_led:.1%}", f"{result.second_led:.1%}")
    console = Console(width=120)
    console.print(table)
    console.print(
        f"{result.lists:,} lists of {result.shoppers:,} shoppers, {result.tied:,} tied; {teams[1]} has {result.difference:+.4f} clicks"
        f" a list more ({result.lower:+.4f} to {result.upper:+.4f}), sign test over shoppers p = {result.sign_p:.3g}"
    )
    console.print("; ".join(f"{number:,} {name}" for name, number in {**counts, "clicks on pinned items": result.unplaced}.items()))
    console.print(sentence(teams, result))
    return 0


if __name__ == "__main__":
    sys.exit(main())
