"""A shopper's arms, by salted hashes and nothing else: no table is kept, every replica says the same.

Layers and experiments as in Tang et al. 2010, "Overlapping Experiment Infrastructure". A shopper's place in a layer is a number in [0, 1)
out of the hash of salt, layer and shopper; an experiment has those in [from, from + traffic). His arm is drawn by another hash, of salt,
experiment and shopper. So

- experiments of a layer exclude each other, and layers are independent;
- raising `traffic` moves nobody who was in: the range grows at its end, and the arm doesn't depend on the range;
- changing `from`, the arms' shares or their order, a name or the salt does move shoppers: give the experiment a new name then.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from components.contract.values.id_text import id_text
from serving.experiments.file import Baseline, Experiment, Experiments


@dataclass(frozen=True)
class Assignment:
    """How a shopper is served.

    `arms` maps each experiment that he is in to his arm, for the exposure log. `model` (a label), `baseline` and `rules` (a set of the
    rules file) are what those arms say; None where none does.
    """

    arms: dict[str, str] = field(default_factory=dict)
    model: str | None = None
    baseline: Baseline | None = None
    rules: str | None = None


def unit(experiments: Experiments, shopper: str, *, session: str, context: Mapping[str, Any]) -> str:
    """What arms are drawn by: a shopper's id, or of a guest ("") what the file says; "" where the request doesn't tell it."""
    if shopper or experiments.guests is None:
        return shopper
    value = session if experiments.guests == "session" else context.get(experiments.guests)
    single = isinstance(value, str | int | float) and not isinstance(value, bool)
    text = id_text(str(value)) if single else ""
    return f"\x1f{experiments.guests}\x1f{text}" if text else ""  # no shopper's id has such a character


def assign(experiments: Experiments, unit: str) -> Assignment:
    """The arms of a shopper, by their id, or of what stands for a guest; of "" no arm."""
    if not unit:
        return Assignment()
    arms: dict[str, str] = {}
    model: str | None = None
    baseline: Baseline | None = None
    rules: str | None = None
    for layer in experiments.layers:
        place = fraction(experiments.salt, "layer", layer.name, unit)
        for experiment in layer.experiments:
            if experiment.start <= place < experiment.end:
                arm = experiment.arms[drawn(experiment, fraction(experiments.salt, "experiment", experiment.name, unit))]
                arms[experiment.name] = arm.name
                model, baseline, rules = arm.model or model, arm.baseline or baseline, arm.rules or rules
                break
    return Assignment(arms, model, baseline, rules)


def fraction(*parts: str) -> float:
    """A number in [0, 1) out of the parts' hash: the first 53 bits of SHA-256, so that every value is exact in double precision."""
    # The length before each part: ("a", "bc") and ("ab", "c") aren't the same.
    told = b"".join(len(raw).to_bytes(4, "big") + raw for raw in (part.encode("utf-8", "surrogatepass") for part in parts))
    return (int.from_bytes(hashlib.sha256(told).digest()[:8], "big") >> 11) / 2.0**53


def drawn(experiment: Experiment, place: float) -> int:
    """Which arm a place in [0, 1) falls into; shares follow each other in the file's order."""
    end = 0.0
    for at, arm in enumerate(experiment.arms):
        end += arm.share
        if place < end:
            return at
    # Shares that make 1 but for rounding: the last arm that has any.
    return max(at for at, arm in enumerate(experiment.arms) if arm.share > 0)
