"""Read the rules file: named sets of merchandising rules, checked against the dataset file's features."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from components.contract.base_model import Fault, Location, Strict, closest
from components.contract.dataset import Dataset
from components.contract.errors import ServiceFileError
from components.contract.features import NAME, GivenFeature, Vector
from components.contract.yaml_loader import Tags, parse_strict, read_text

Value = str | int | float | bool
RuleName = Annotated[str, Field(pattern=NAME, max_length=60)]


def _several(value: Any) -> Any:
    return value if isinstance(value, list | tuple) else [value]


Values = Annotated[tuple[Value, ...], BeforeValidator(_several), Field(min_length=1)]


class _Rule(Strict):
    name: RuleName = Field(description="In the exposure log")
    when: dict[str, Values] = Field(
        default_factory=dict, description="Only where each of these features of the context or the shopper has one of the values"
    )


class Selecting(_Rule):
    """Rule for selected candidates."""

    items: tuple[str, ...] = Field(default=(), description="Candidates by id")
    where: dict[str, Values] = Field(
        default_factory=dict, description="Candidates of which each of these item features has one of the values"
    )

    @model_validator(mode="after")
    def _some(self) -> "Selecting":
        if bool(self.items) == bool(self.where):
            raise ValueError("which candidates? Give either `items` or `where`")
        return self


class Pin(Selecting):
    """Move to a place, several candidates to the places from it on."""

    kind: Literal["pin"]
    place: int = Field(ge=0, description="From 0; the next free one where another rule has pinned there")


class Boost(Selecting):
    """Move up by some places."""

    kind: Literal["boost"]
    places: int = Field(ge=1, description="How many others it passes")


class Bury(Selecting):
    """Move down by some places."""

    kind: Literal["bury"]
    places: int = Field(ge=1, description="How many others pass it")


class Filter(Selecting):
    """Remove from the list."""

    kind: Literal["filter"]


class Diversity(_Rule):
    """Separate similar candidates by maximal marginal relevance."""

    kind: Literal["diversity"]
    by: str = Field(description="Item feature that tells what is alike: same values, or vectors by their cosine")
    weight: float = Field(
        ge=0, le=1, description="0: the order as it is; 1: difference alone; between, w / (1 - w) of the places are passed at most"
    )
    first: int = Field(default=20, ge=1, le=200, description="How many places are filled so; the rest keep their order")


Rule = Annotated[Pin | Boost | Bury | Filter | Diversity, Field(discriminator="kind")]


class Rules(Strict):
    """Sets of rules, of which one applies to a request."""

    sets: dict[RuleName, tuple[Rule, ...]] = Field(
        description="By name; `default` holds where no arm of an experiment names another, and may be left out"
    )


_TAGS: Tags = {"sets": ("kind", "kind", Rule)}


def load_rules(path: str | Path, dataset: Dataset) -> Rules:
    """Read and check a rules file.

    Raises:
        ServiceFileError: it is missing, isn't YAML, or is invalid; every fault is listed with its line.
    """
    text = read_text(path, what="a rules file", remedy="`examples/serving/rules.yaml` is one to start from", error=ServiceFileError)
    return parse_rules(text, dataset, str(path))


def parse_rules(text: str, dataset: Dataset, name: str = "rules file") -> Rules:
    """Parse and check the text of a rules file; errors call it `name`."""
    return parse_strict(
        text,
        name,
        model=Rules,
        check=lambda made: [*_names(made), *_features(made, dataset)],
        error=ServiceFileError,
        example="sets: {default: []}",
        tags=_TAGS,
    )


def _names(made: Rules) -> Iterator[Fault]:
    for key, rules in made.sets.items():
        names = [rule.name for rule in rules]
        for at, name in enumerate(names):
            if name in names[:at]:
                yield ("sets", key, at), f"a second rule is called {name!r}; the log tells rules by their names, so rename one"


def _features(made: Rules, dataset: Dataset) -> Iterator[Fault]:
    """Check the features of rules, which must be given columns of the dataset file."""
    value = [feature for feature in dataset.features if isinstance(feature, GivenFeature)]
    of_item = {feature.name: feature for feature in value if feature.side == "item" and feature.name != "position"}
    around = {feature.name for feature in value if feature.side != "item" and not isinstance(feature, Vector)}
    matched = {name for name, feature in of_item.items() if name != "item" and not isinstance(feature, Vector)}
    for key, rules in made.sets.items():
        for at, rule in enumerate(rules):
            location: Location = ("sets", key, at)
            for name in rule.when:
                if name not in around:
                    yield (*location, "when", name), f"no value of the context or the shopper; {closest(name, sorted(around))}"
            for name in rule.where if isinstance(rule, Selecting) else ():
                if name not in matched:
                    yield (*location, "where", name), f"no value of an item that could be compared; {closest(name, sorted(matched))}"
            if isinstance(rule, Diversity) and rule.by not in of_item:
                yield (*location, "by"), f"{rule.by!r} is no given feature of the side item; {closest(rule.by, sorted(of_item))}"
