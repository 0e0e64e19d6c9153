"""List the columns by which metrics can be sliced: by value, or numbers by bands."""

from collections.abc import Mapping

from components.contract.columns import Axis, Column, state_columns
from components.contract.dataset import Dataset
from components.contract.features import Category, Id, Number, StateFeature
from components.contract.sources import Rows

INTERACTIONS = "interactions"
INTERACTIONS_BANDS = (1.0, 3.0, 10.0)


def sliceable(dataset: Dataset) -> dict[str, Column]:
    """Return the columns to slice by: ids, categories and numbers of the feature table, and `interactions`."""
    listed = [] if isinstance(dataset.candidates, Rows) else [Column(INTERACTIONS, "int64", "request", "meta")]  # rows have no history
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
    """Return whether slices by the column need bands."""
    return column.dtype != "string"


def bands(dataset: Dataset) -> dict[str, tuple[float, ...]]:
    """Return the band boundaries of the numeric columns that the dataset is sliced by."""
    boundaries: Mapping[str, tuple[float, ...]] = {INTERACTIONS: INTERACTIONS_BANDS} | dataset.bands
    used = dict.fromkeys(name for names in dataset.slices for name in names)
    return {name: boundaries[name] for name in used if name in boundaries}


def item_slices(dataset: Dataset) -> tuple[str, ...]:
    """Return the sliced columns with a value for each candidate: their slices hold candidates, not requests."""
    of_candidates = {name for name, column in sliceable(dataset).items() if column.axis == "candidate"}
    return tuple(dict.fromkeys(name for names in dataset.slices for name in names if name in of_candidates))
