"""Report on a switchback experiment: `python -m pipeline.experiment.switchback`."""

import argparse
import json
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from components.contract.base_model import seconds
from components.contract.dataset import Dataset
from components.contract.errors import InputError, ShelfRankError
from components.contract.load import load_dataset
from components.contract.storage.file_lock import locked_for_reading
from components.experiment.designs.switchback import Slots, SwitchbackResult, analyse_switchback
from pipeline.experiment.log_rows import clicks_on_lists, log_rows
from serving.experiments.assign import time_slot
from serving.exposure.log import DECISIONS


def read_slots(
    log: Path, dataset: Dataset, experiment: str, *, slot_s: float, arms: tuple[str, str], actions: Sequence[str], counts: "Counter[str]"
) -> Slots:
    """Read the time slots of a switchback from the exposure log.

    Args:
        log: the service's folder; its complete files are read.
        dataset: of the log.
        experiment: its name.
        slot_s: length of its slots in seconds, as in the experiments file.
        arms: names of the control and the treatment; lists of other arms are left out.
        actions: that count as a click, by their names in the dataset file.
        counts: takes what was read and what was left out.

    Raises:
        InputError: the log has no list of these arms, a slot has both (so its length isn't `slot_s`), or an action is unknown.
    """
    times_us: dict[str, int] = {}
    arm_of: dict[int, str] = {}
    lists: Counter[int] = Counter()
    with locked_for_reading([str(log / DECISIONS)]):
        for row in log_rows(log, DECISIONS, counts, having=json.dumps(experiment).encode()):
            arm = row["arms"].get(experiment)
            if arm not in arms:
                counts["lists of other arms"] += arm is not None
                continue
            if row["request"] in times_us:
                counts["lists asked for again"] += 1
                continue
            slot = time_slot(times_us.setdefault(row["request"], int(row["time"])), slot_s)
            if arm_of.setdefault(slot, arm) != arm:
                raise InputError(
                    f"{log}: a slot of {slot_s:g} s has lists of {arms[0]!r} and {arms[1]!r}; give the experiment's `switchback`"
                )
            lists[slot] += 1
        clicks: Counter[int] = Counter()
        for request, _ in set(clicks_on_lists(log, dataset, actions, times_us, counts)):
            clicks[time_slot(times_us[request], slot_s)] += 1
    if not lists:
        raise InputError(f"{log}: expected lists of the experiment {experiment!r} in the arms {arms[0]!r} and {arms[1]!r}, got none")
    number = sorted(lists)
    return Slots(
        number=np.array(number, np.int64),
        treated=np.array([arm_of[slot] == arms[1] for slot in number]),
        clicks=np.array([clicks[slot] for slot in number], np.float64),
        lists=np.array([lists[slot] for slot in number], np.float64),
    )


def sentence(result: SwitchbackResult, arms: tuple[str, str], *, alpha: float = 0.05) -> str:
    """Say what the switchback shows."""
    lasts = result.carry_over.p < alpha
    decisive = result.lasting if lasts else result.effect
    warning = "the arm of a slot still acts in the next one: take longer slots, and read `lasting`; " if lasts else ""
    if decisive.p >= alpha:
        return f"{warning}no effect is proven (p = {decisive.p:.3f})"
    return f"{warning}{arms[1]} is {'better' if decisive.value > 0 else 'worse'} than {arms[0]} (p = {decisive.p:.2g})"


def main(arguments: list[str] | None = None) -> int:
    """Print the report; exit code 1 where the input can't be used, 2 where the arguments can't."""
    parser = argparse.ArgumentParser(prog="python -m pipeline.experiment.switchback", description=__doc__)
    parser.add_argument("dataset", type=Path, help="dataset file")
    parser.add_argument("log", type=Path, help="the ranking service's folder (--log)")
    parser.add_argument("experiment", help="name of the switchback experiment")
    parser.add_argument("--slot", type=seconds, required=True, help="its `switchback` in the experiments file, such as 30m")
    parser.add_argument("--control", required=True, help="name of an arm")
    parser.add_argument("--treatment", required=True, help="name of the other arm")
    parser.add_argument("--action", action="append", help="what counts as a click, repeatable; default: what the model learns from")
    parser.add_argument("--json", action="store_true", help="print the report as JSON")
    args = parser.parse_args(arguments)
    arms, counts = (args.control, args.treatment), Counter[str]()
    try:
        dataset = load_dataset(args.dataset)
        actions = args.action or list(dataset.label_gains)
        slots = read_slots(args.log, dataset, args.experiment, slot_s=args.slot, arms=arms, actions=actions, counts=counts)
        result = analyse_switchback(slots)
    except ShelfRankError as error:
        print(error, file=sys.stderr)
        return 1
    kept = {name: number for name, number in sorted(counts.items()) if number}
    if args.json:
        print(json.dumps({**asdict(result), "counts": kept, "sentence": sentence(result, arms)}, indent=2))
        return 0
    table = Table("clicks per list", "estimate", "95 % interval", "p", title=f"{result.slots} slots, {result.treated} of {arms[1]}")
    table.add_row(arms[0], f"{result.control:.4f}", "", "")
    for name, each in (("effect", result.effect), ("carry-over", result.carry_over), ("lasting", result.lasting)):
        table.add_row(name, f"{each.value:+.4f}", f"{each.lower:+.4f} to {each.upper:+.4f}", f"{each.p:.3g}")
    console = Console(width=120)
    console.print(table)
    console.print("; ".join(f"{number:,} {name}" for name, number in kept.items()))
    console.print(sentence(result, arms))
    return 0


if __name__ == "__main__":
    sys.exit(main())
