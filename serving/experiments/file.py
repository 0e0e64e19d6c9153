"""Define the experiments file: layers of experiments, each with its traffic and its arms."""

import math
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from components.contract.base_model import Duration, Fault, Strict, closest
from components.contract.errors import ServiceFileError
from components.contract.features import NAME
from components.contract.yaml_loader import parse_strict, read_text
from serving.experiments.percentage import Share, percent

Baseline = Literal["keep-order", "popularity", "shuffle"]
Name = Annotated[str, Field(pattern=NAME, max_length=60)]
SHORTEST_SLOT_S = 60.0
HOLDOUT = "holdout"  # experiment of the log that tells those held out from the others
ROUNDING = 1e-9  # 10% + 20% is not 30% in binary


class Team(Strict):
    """Rank for one side of an interleaved list; by default as if there were no experiment."""

    name: Name = Field(description="In the exposure log and in reports")
    model: Name | None = Field(default=None, description="As of an arm")
    baseline: Baseline | None = Field(default=None, description="As of an arm")

    @model_validator(mode="after")
    def _one_ranker(self) -> "Team":
        if self.model is not None and self.baseline is not None:
            raise ValueError("a team has one ranker, got `model` and `baseline`; keep one")
        return self


class Arm(Strict):
    """Serve the shoppers of this arm in one way; by default as if there were no experiment."""

    name: Name = Field(description="In the exposure log and in reports")
    share: Share = Field(description="Of the experiment's shoppers; the shares of its arms make 100%")
    model: Name | None = Field(default=None, description="Ordered by the model version that has this label, such as canary")
    baseline: Baseline | None = Field(
        default=None,
        description="Ordered by no model: as given, by popularity within the segment, or by lot (the same all through a request)",
    )
    rules: Name | None = Field(default=None, description="After scoring, this set of the rules file")
    interleave: tuple[Team, ...] | None = Field(
        default=None, description="Ordered by two rankers in turn (team-draft interleaving), and the log says which of them placed what"
    )

    @model_validator(mode="after")
    def _one_thing(self) -> "Arm":
        changes = [key for key in ("model", "baseline", "rules", "interleave") if getattr(self, key) is not None]
        if len(changes) > 1:
            raise ValueError(f"an arm changes one thing, got {' and '.join(f'`{key}`' for key in changes)}; keep one")
        if self.interleave is not None and len(self.interleave) != 2:
            raise ValueError(f"`interleave` takes two teams, got {len(self.interleave)}; compare more by an experiment for each pair")
        if self.interleave is not None and self.interleave[0].name == self.interleave[1].name:
            raise ValueError(f"both teams are called {self.interleave[0].name!r}; give them names of their own")
        return self

    @property
    def subject(self) -> str:
        """Return what the arm decides: "scores", "rules", or "" for neither."""
        return "scores" if self.model or self.baseline or self.interleave else "rules" if self.rules else ""


class Experiment(Strict):
    """Split the shoppers of a range of the layer between arms."""

    name: Name = Field(description="In the exposure log and in reports; arms are drawn by it, so a new name draws them anew")
    start: Share = Field(default=0.0, alias="from", description="Where its shoppers begin in the layer")
    traffic: Share = Field(description="How many of all shoppers, from there on; raising it moves nobody who was in")
    switchback: Duration | None = Field(
        default=None, description="Length of a time slot; arms are drawn for slots then, and all its shoppers have one arm in a slot"
    )
    arms: tuple[Arm, ...] = Field(min_length=1, description="At least two, or one that interleaves")

    @model_validator(mode="after")
    def _whole(self) -> "Experiment":
        if len(self.arms) == 1 and self.arms[0].interleave is None:
            raise ValueError("got one arm; an experiment compares at least two, or has one that interleaves")
        if self.switchback is not None and self.switchback < SHORTEST_SLOT_S:
            raise ValueError(
                f"slots of {self.switchback:g} s; `switchback` is at least {SHORTEST_SLOT_S:g} s, as a visit is in one slot or two"
            )
        total = math.fsum(arm.share for arm in self.arms)
        if abs(total - 1) > ROUNDING:
            raise ValueError(f"the shares of its arms make {percent(total)}; expected 100% of the experiment's shoppers")
        if self.end > 1 + ROUNDING:
            raise ValueError(
                f"{percent(self.traffic)} from {percent(self.start)} on end at {percent(self.end)};"
                " a layer has 100%, so lower `traffic` or `from`"
            )
        names = [arm.name for arm in self.arms]
        if twice := next((name for index, name in enumerate(names) if name in names[:index]), None):
            raise ValueError(f"two arms are called {twice!r}; give them names of their own")
        return self

    @property
    def end(self) -> float:
        """Return the end of its range in the layer."""
        return self.start + self.traffic


class Layer(Strict):
    """Hold experiments that exclude each other; positions in one layer are independent of those in another."""

    name: Name = Field(description="Shoppers are placed by it; a new name places them anew")
    experiments: tuple[Experiment, ...] = Field(min_length=1, description="At least one")


class Holdout(Strict):
    """Keep a share of the shoppers out of all experiments, to measure what all of them together have earned."""

    share: Share = Field(description="Of all shoppers; raising it takes shoppers out of their arms")
    model: Name | None = Field(
        default=None,
        description="Ordered by the model version with this label, which releases don't move; default: as without an experiment",
    )


class Experiments(Strict):
    """Hold all running experiments."""

    salt: str = Field(min_length=1, description="Hashed with every shopper; a new one draws everything anew")
    guests: Name | None = Field(
        default=None,
        description="What a guest's arms are drawn by: `session`, or a feature of the context such as a device; default: guests have none",
    )
    holdout: Holdout | None = Field(default=None, description="Shoppers who are in no experiment")
    layers: tuple[Layer, ...] = Field(default=(), description="Independent of each other")


def load_experiments(path: str | Path, *, rule_sets: Collection[str], guests: Collection[str] = ("session",)) -> Experiments:
    """Read and check an experiments file.

    Args:
        path: of the file.
        rule_sets: names of the sets in the rules file, which arms may name.
        guests: randomization units for guests that `guests` may name.

    Raises:
        ServiceFileError: it is missing, isn't YAML, or is invalid; every fault is listed with its line.
    """
    text = read_text(
        path, what="an experiments file", remedy="`examples/serving/experiments.yaml` is one to start from", error=ServiceFileError
    )
    return parse_experiments(text, str(path), rule_sets=rule_sets, guests=guests)


def parse_experiments(
    text: str, name: str = "experiments file", *, rule_sets: Collection[str], guests: Collection[str] = ("session",)
) -> Experiments:
    """Parse an experiments file as `load_experiments` does; `name` is the file's name in errors."""
    return parse_strict(
        text,
        name,
        model=Experiments,
        check=lambda parsed: [
            *_names(parsed),
            *_overlaps(parsed),
            *_subjects(parsed),
            *_rules(parsed, sorted(rule_sets)),
            *_guests(parsed, sorted(guests)),
        ],
        error=ServiceFileError,
        example="salt: my_shop",
    )


def _names(experiments: Experiments) -> Iterator[Fault]:
    layers: set[str] = set()
    layer_of: dict[str, str] = {}
    for n, layer in enumerate(experiments.layers):
        if layer.name in layers:
            yield (
                ("layers", n),
                f"a second layer is called {layer.name!r}; its shoppers would be placed alike, so give it a name of its own",
            )
        layers.add(layer.name)
        for m, experiment in enumerate(layer.experiments):
            if experiments.holdout is not None and experiment.name == HOLDOUT:
                yield ("layers", n, "experiments", m), f"the log calls the file's holdout {HOLDOUT!r}; rename the experiment"
            if experiment.name in layer_of:
                message = f"the layer {layer_of[experiment.name]!r} has an experiment {experiment.name!r} already; rename one"
                yield ("layers", n, "experiments", m), message
            layer_of.setdefault(experiment.name, layer.name)


def _overlaps(experiments: Experiments) -> Iterator[Fault]:
    for n, layer in enumerate(experiments.layers):
        for m, late in enumerate(layer.experiments):
            for early in layer.experiments[:m]:
                if max(early.start, late.start) + ROUNDING < min(early.end, late.end):
                    yield (
                        ("layers", n, "experiments", m),
                        f"{late.name!r} has the shoppers from {percent(late.start)} to {percent(late.end)}, {early.name!r} those from"
                        f" {percent(early.start)} to {percent(early.end)}; a shopper is in one experiment of a layer,"
                        f" so move one by `from`, or put it into another layer",
                    )


def _arms(experiments: Experiments) -> Iterator[tuple[tuple[str | int, ...], Layer, Arm]]:
    """Yield the path, layer and content of each arm."""
    for n, layer in enumerate(experiments.layers):
        for m, experiment in enumerate(layer.experiments):
            for a, arm in enumerate(experiment.arms):
                yield ("layers", n, "experiments", m, "arms", a), layer, arm


def _subjects(experiments: Experiments) -> Iterator[Fault]:
    """Report two layers that decide the same: layers are independent, so they would contradict each other."""
    owner: dict[str, str] = {}
    for path, layer, arm in _arms(experiments):
        if arm.subject and owner.setdefault(arm.subject, layer.name) != layer.name:
            what = "a model, a baseline or interleaving" if arm.subject == "scores" else "rules"
            yield (
                path,
                f"arms of the layer {owner[arm.subject]!r} choose {what} as well, and a shopper is in both; keep such arms in one layer",
            )


def _guests(experiments: Experiments, choices: list[str]) -> Iterator[Fault]:
    if experiments.guests is not None and experiments.guests not in choices:
        yield ("guests",), f"neither `session` nor an id or category of the context; {closest(experiments.guests, choices)}"


def _rules(experiments: Experiments, choices: list[str]) -> Iterator[Fault]:
    for path, _, arm in _arms(experiments):
        if arm.rules is not None and arm.rules not in choices:
            yield (*path, "rules"), f"the rules file has no set {arm.rules!r}; {closest(arm.rules, choices)}"
