"""Assign a shopper's arms by salted hashes alone: no table is kept, and every replica agrees.

Layers and experiments are as in Tang et al. 2010, "Overlapping Experiment Infrastructure". A shopper's position in a
layer is a number in [0, 1) from the hash of salt, layer and shopper; an experiment has those in [from, from + traffic).
The arm is drawn by another hash, of salt, experiment and shopper. So

- experiments of a layer exclude each other, and layers are independent;
- raising `traffic` moves nobody who was in: the range grows at its end, and the arm doesn't depend on the range;
- a switchback draws arms by another hash, of salt, experiment and time slot, for all its shoppers at once;
- a holdout has those whose hash of salt and shopper is below its share, in none of the experiments;
- changing `from`, the arms' shares or their order, a name or the salt does move shoppers: rename the experiment then.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from components.contract.values.id_text import id_text
from serving.experiments.file import HOLDOUT, Baseline, Experiment, Experiments, Team
from serving.experiments.hash_fraction import hash_fraction

HELD_OUT, OPEN = "held_out", "open"  # arms of the holdout


@dataclass(frozen=True)
class Interleaving:
    """Hold the two rankers that an arm interleaves, and the seed of its coins, which all replicas share."""

    experiment: str
    teams: tuple[Team, ...]
    salt: str


@dataclass(frozen=True)
class Assignment:
    """Hold a shopper's arms.

    Attributes:
        arms: experiment to arm, for the exposure log.
        model: label of the model version that the arms name; None for the default.
        baseline: ranking without a model that the arms name; None for none.
        rules: set of the rules file that the arms name; None for the default.
        interleaving: of two rankers, where the arms name it; None for one ranker.
    """

    arms: dict[str, str] = field(default_factory=dict)
    model: str | None = None
    baseline: Baseline | None = None
    rules: str | None = None
    interleaving: Interleaving | None = None


def randomization_unit(experiments: Experiments, shopper: str, *, session: str, context: Mapping[str, Any]) -> str:
    """Return a shopper's id, or a guest's value of what the experiments file names; "" without one."""
    if shopper or experiments.guests is None:
        return shopper
    value = session if experiments.guests == "session" else context.get(experiments.guests)
    single = isinstance(value, str | int | float) and not isinstance(value, bool)
    text = id_text(str(value)) if single else ""
    return f"\x1f{experiments.guests}\x1f{text}" if text else ""  # no shopper's id holds a control character


def assign(experiments: Experiments, unit: str, *, time_us: int) -> Assignment:
    """Return the arms of a randomization unit at a time, microseconds since 1970; none for ""."""
    if not unit:
        return Assignment()
    arms: dict[str, str] = {}
    if experiments.holdout is not None:
        is_held_out = hash_fraction(experiments.salt, HOLDOUT, unit) < experiments.holdout.share
        arms[HOLDOUT] = HELD_OUT if is_held_out else OPEN
        if is_held_out:
            return Assignment(arms, experiments.holdout.model)
    model: str | None = None
    baseline: Baseline | None = None
    rules: str | None = None
    interleaving: Interleaving | None = None
    for layer in experiments.layers:
        position = hash_fraction(experiments.salt, "layer", layer.name, unit)
        for experiment in layer.experiments:
            if experiment.start <= position < experiment.end:
                drawn_by = ("experiment", experiment.name, unit)
                if experiment.switchback is not None:
                    drawn_by = ("switchback", experiment.name, str(time_slot(time_us, experiment.switchback)))
                arm = experiment.arms[arm_index(experiment, hash_fraction(experiments.salt, *drawn_by))]
                arms[experiment.name] = arm.name
                model, baseline, rules = arm.model or model, arm.baseline or baseline, arm.rules or rules
                if arm.interleave is not None:
                    interleaving = Interleaving(experiment.name, arm.interleave, experiments.salt)
                break
    return Assignment(arms, model, baseline, rules, interleaving)


def time_slot(time_us: int, length_s: float) -> int:
    """Return the number of the slot of a switchback that a time is in, counted from 1970 on."""
    return time_us // round(length_s * 1e6)


def arm_index(experiment: Experiment, position: float) -> int:
    """Return the index of the arm at a position in [0, 1); the arms' shares follow each other in the file's order."""
    end = 0.0
    for index, arm in enumerate(experiment.arms):
        end += arm.share
        if position < end:
            return index
    # The shares sum to 1 up to rounding: take the last arm with a share.
    return max(index for index, arm in enumerate(experiment.arms) if arm.share > 0)
