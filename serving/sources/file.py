"""Read the sources file: named sources of candidates, checked against the dataset file's features."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from components.contract.base_model import Fault, Strict, closest
from components.contract.dataset import Dataset
from components.contract.errors import ServiceFileError
from components.contract.features import NAME, Category, GivenFeature, Id, Multi
from components.contract.yaml_loader import Tags, parse_strict, read_text


class _Source(Strict):
    most: int = Field(default=200, ge=1, le=2_000, description="Products it gives at most")


class Popular(_Source):
    """The most popular products of the catalogue, by the popularity of the fallback chain."""

    kind: Literal["popular"]


class New(_Source):
    """The products of the catalogue with the fewest events in the state."""

    kind: Literal["new"]
    below: int = Field(default=1, ge=1, description="With fewer counted events than this")


class Alike(_Source):
    """The products of the catalogue with a value of a feature, the most popular first."""

    kind: Literal["category"]
    feature: str = Field(description="Item feature of the catalogue: an id, a category, or one of several values")
    context: str | None = Field(
        default=None, alias="from", description="Feature of the context whose value it is; default: the request's `about`"
    )


class Similar(_Source):
    """The products of the catalogue that are nearest by content to the request's `about`, without that one."""

    kind: Literal["similar"]


class Listed(_Source):
    """Products by id."""

    kind: Literal["list"]
    items: tuple[str, ...] = Field(min_length=1, description="In this order")


Source = Annotated[Popular | New | Alike | Similar | Listed, Field(discriminator="kind")]


class Sources(Strict):
    """All sources of a shop."""

    sources: dict[Annotated[str, Field(pattern=NAME, max_length=60)], Source] = Field(description="By name")


_TAGS: Tags = {"sources": ("kind", "kind", Source)}


def load_sources(path: str | Path, dataset: Dataset) -> Sources:
    """Read and check a sources file.

    Raises:
        ServiceFileError: it is missing, isn't YAML, or is invalid; every fault is listed with its line.
    """
    text = read_text(path, what="a sources file", remedy="`examples/serving/sources.yaml` is one to start from", error=ServiceFileError)
    return parse_sources(text, dataset, str(path))


def parse_sources(text: str, dataset: Dataset, name: str = "sources file") -> Sources:
    """Parse and check the text of a sources file; errors call it `name`."""
    return parse_strict(
        text,
        name,
        model=Sources,
        check=lambda made: list(_faults(made, dataset)),
        error=ServiceFileError,
        example="sources: {bestsellers: {kind: popular}}",
        tags=_TAGS,
    )


def _faults(made: Sources, dataset: Dataset) -> Iterator[Fault]:
    compared = [feature.name for feature in dataset.input_features("items", side="item") if isinstance(feature, Id | Category | Multi)]
    around = [f.name for f in dataset.input_features("events") if f.side != "item" and not f.from_clock and _text(f)]
    for name, source in made.sources.items():
        location = ("sources", name)
        if not isinstance(source, Listed) and dataset.items is None:
            yield location, f"`kind: {source.kind}` chooses from the catalogue, and the dataset file names no `items`"
        if isinstance(source, Alike):
            if source.feature not in compared:
                message = f"{source.feature!r} is no id, category or multi of the catalogue; {closest(source.feature, compared)}"
                yield (*location, "feature"), message
            if source.context is not None and source.context not in around:
                message = f"{source.context!r} is no id or category that a request tells; {closest(source.context, around)}"
                yield (*location, "from"), message
        if isinstance(source, Similar) and dataset.items is not None and not dataset.input_features("items", side="item"):
            yield location, "the dataset file takes no feature of the items from the catalogue, so no product is like another"
        if isinstance(source, Listed):
            for item in dict.fromkeys(source.items):
                if source.items.count(item) > 1:
                    yield (*location, "items"), f"{item!r} stands twice"


def _text(feature: GivenFeature) -> bool:
    return isinstance(feature, Id | Category)
