"""Read the time slots of a switchback experiment, and say what it shows: `shelfrank experiment switchback`."""

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from components.contract.dataset import Dataset
from components.contract.errors import InputError
from components.contract.storage.file_lock import locked_for_reading
from components.experiment.designs.switchback import Slots, SwitchbackResult
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
