"""Report on experiments that interleave two rankers, and on switchbacks: `shelfrank experiment interleaving` and `switchback`."""

from argparse import Namespace
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from rich.table import Table

from components.contract.base_model import seconds
from components.contract.errors import InputError
from components.contract.load import load_dataset
from components.experiment.designs.switchback import analyse_switchback
from pipeline.experiment import interleaving as interleaved
from pipeline.experiment import switchback as slotted
from pipeline.terminal.console import console, print_json


def interleaving(args: Namespace) -> int:
    """Print which of two interleaved rankers is preferred; returns 0.

    Raises:
        InputError: the log has no interleaved list of the experiment, or an action is unknown.
    """
    dataset = load_dataset(args.dataset)
    actions = args.clicks or list(dataset.label_gains)
    teams, result, counts = interleaved.read_interleaved(Path(args.log), dataset, args.experiment, actions=actions)
    sentence = interleaved.sentence(teams, result)
    if args.json:
        print_json({"teams": teams, **asdict(result), "counts": counts, "sentence": sentence})
        return 0
    table = Table("", *teams, header_style="bold")
    table.add_row("lists won", f"{result.first_won:,}", f"{result.second_won:,}")
    table.add_row("lists led", f"{1 - result.second_led:.1%}", f"{result.second_led:.1%}")
    terminal = console()
    terminal.print(table)
    terminal.print(
        f"{result.lists:,} lists of {result.shoppers:,} shoppers, {result.tied:,} tied; {teams[1]} has {result.difference:+.4f} clicks"
        f" a list more ({result.lower:+.4f} to {result.upper:+.4f}), sign test over shoppers p = {result.sign_p:.3g}",
        highlight=False,
        markup=False,
    )
    terminal.print(_counted({**counts, "clicks on pinned items": result.unplaced}), highlight=False, markup=False)
    terminal.print(sentence, highlight=False, markup=False)
    return 0


def switchback(args: Namespace) -> int:
    """Print what a switchback shows; returns 0.

    Raises:
        InputError: the log has no list of the arms, a slot has both, or an action is unknown.
    """
    arms, counts = (args.control, args.treatment), Counter[str]()
    dataset = load_dataset(args.dataset)
    actions = args.clicks or list(dataset.label_gains)
    slots = slotted.read_slots(
        Path(args.log), dataset, args.experiment, slot_s=_slot_s(args.slot), arms=arms, actions=actions, counts=counts
    )
    result = analyse_switchback(slots)
    sentence = slotted.sentence(result, arms)
    kept = {name: number for name, number in sorted(counts.items()) if number}
    if args.json:
        print_json({**asdict(result), "counts": kept, "sentence": sentence})
        return 0
    title = f"{result.slots} slots, {result.treated} of {arms[1]}"
    table = Table("clicks per list", "estimate", "95 % interval", "p", title=title, title_justify="left", header_style="bold")
    table.add_row(arms[0], f"{result.control:.4f}", "", "")
    for name, each in (("effect", result.effect), ("carry-over", result.carry_over), ("lasting", result.lasting)):
        table.add_row(name, f"{each.value:+.4f}", f"{each.lower:+.4f} to {each.upper:+.4f}", f"{each.p:.3g}")
    terminal = console()
    terminal.print(table)
    terminal.print(_counted(kept), highlight=False, markup=False)
    terminal.print(sentence, highlight=False, markup=False)
    return 0


def _slot_s(text: str) -> float:
    try:
        length_s = seconds(text)
    except ValueError as error:
        raise InputError(f"--slot: {error}") from None
    if length_s == 0:
        raise InputError(f"--slot: expected a time above 0, such as 30m, got {text!r}")
    return length_s


def _counted(counts: Mapping[str, int]) -> str:
    return "; ".join(f"{number:,} {name}" for name, number in counts.items())
