"""By which columns metrics can be shown, and how: by value, or where a number is cut into bands."""

from collections.abc import Mapping

from components.contract.columns import Axis, Column, state_columns
from components.contract.dataset import Dataset
from components.contract.features import Category, Id, Number, StateFeature
from components.contract.sources import Rows

INTERACTIONS = "interactions"
INTERACTIONS_BANDS = (1.0, 3.0, 10.0)


def sliceable(dataset: Dataset) -> dict[str, Column]:
    """Columns that have a value for a request or a candidate: ids, categories and numbers of the feature table, and `interactions`."""
    listed = [] if isinstance(dataset.candidates, Rows) else [Column(INTERACTIONS, "int64", "request", "meta")]  # rows have no past
    for feature in dataset.features:
        axis: Axis = "candidate" if feature.side == "item" else "request"
        match feature:
            case Id() | Category():
                listed.append(Column(feature.name, "string", axis, "input"))
            case Number():
                listed.append(Column(feature.name, "float32", axis, "input"))
            case StateFeature():
                listed += [Column(name, "float32", axis, "input") for name in state_columns(dataset, feature)]
    return {column.name: column for column in listed}


def is_number(column: Column) -> bool:
    """Whether it has to be cut into bands."""
    return column.dtype != "string"


def bands(dataset: Dataset) -> dict[str, tuple[float, ...]]:
    """Where the numbers by which the dataset is sliced are cut."""
    boundaries: Mapping[str, tuple[float, ...]] = {INTERACTIONS: INTERACTIONS_BANDS} | dataset.bands
    used = dict.fromkeys(name for names in dataset.slices for name in names)
    return {name: boundaries[name] for name in used if name in boundaries}


def item_slices(dataset: Dataset) -> tuple[str, ...]:
    """Columns among the slices that have a value for each candidate, so that their slices are candidates and not requests."""
    of_candidates = {name for name, column in sliceable(dataset).items() if column.axis == "candidate"}
    return tuple(dict.fromkeys(name for names in dataset.slices for name in names if name in of_candidates))
