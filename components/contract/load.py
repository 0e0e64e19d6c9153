"""Read a dataset file from YAML, with errors that name the file, the line and the remedy."""

from collections.abc import Iterator
from pathlib import Path

from components.contract.base_model import Fault
from components.contract.columns import columns
from components.contract.dataset import Dataset
from components.contract.errors import DatasetFileError
from components.contract.features import Feature
from components.contract.sources import Candidates
from components.contract.validation import faults as inconsistencies
from components.contract.yaml_loader import Tags, parse_strict, read_text

_TAGS: Tags = {"features": ("kind", "kind", Feature), "candidates": ("from", "origin", Candidates)}


def load_dataset(path: str | Path) -> Dataset:
    """Read and check a dataset file.

    Raises:
        DatasetFileError: it is missing, isn't YAML, or is invalid; every fault is listed with its line.
    """
    text = read_text(path, what="a dataset file", remedy="`examples/` has some to start from", error=DatasetFileError)
    return parse_dataset(text, str(path))


def parse_dataset(text: str, name: str = "dataset file") -> Dataset:
    """Parse and check a dataset file's text; `name` is the file's name in errors."""
    return parse_strict(text, name, model=Dataset, check=_inconsistent, error=DatasetFileError, example="name: my_shop", tags=_TAGS)


def _inconsistent(dataset: Dataset) -> list[Fault]:
    return inconsistencies(dataset) or list(_same_columns(dataset))


def _same_columns(dataset: Dataset) -> Iterator[Fault]:
    """Yield features whose columns would have the same name, such as a number `clicks_7d` beside counts `clicks`."""
    owners: dict[str, str] = {}
    for column in columns(dataset):
        if column.name in owners:
            at = [feature.name for feature in dataset.features].index(column.feature or owners[column.name])
            yield (
                ("features", at),
                f"its column {column.name!r} is one of {owners[column.name] or 'the labels'} already; rename the feature",
            )
        owners[column.name] = column.feature
