"""The words for missing values, such as `NULL`, `nan`, `-`, in a source's columns and in requests to the service."""

import math
from functools import lru_cache

from components.contract.dataset import Dataset
from components.contract.features import GivenFeature
from components.contract.sources import DEFAULT_WORDS, EventSource, Files, ListRows
from components.contract.values.id_text import BLANKS

# Logs write it for a guest; other ids may be 0.
NO_USER = "0"


def null_words(files: Files, column: str) -> frozenset[str]:
    """Return the words that are missing values in a column; blanks are in every column."""
    words = files.null_values
    if isinstance(words, dict) and column in words:
        return frozenset(words[column])
    if not isinstance(words, dict) and "null_values" in files.model_fields_set:
        return frozenset(words)
    is_user = isinstance(files, EventSource) and files.columns.user == column
    return frozenset(DEFAULT_WORDS + ((NO_USER,) if is_user else ()))


def role_words(dataset: Dataset, role: str) -> frozenset[str]:
    """Return the words that are missing values of a role in requests and events: those of any source with the role."""
    named = ((source, source.columns.named().get(role)) for source in dataset.events)
    return frozenset().union(*(null_words(source, column) for source, column in named if column is not None))


def feature_words(dataset: Dataset, feature: GivenFeature) -> frozenset[str]:
    """Return the words that are missing values of an event feature: those of the sources that form requests."""
    column = feature.key
    if isinstance(dataset.candidates, ListRows):
        column = dataset.candidates.columns.get(column, column)
    return frozenset().union(*(null_words(source, column) for source in dataset.events if dataset.forms_requests(source)))


def is_null_word(text: str, words: frozenset[str]) -> bool:
    """Return whether a text is a missing value: one of the words or empty, without blanks around."""
    if text in words:
        return True
    stripped = text.strip(BLANKS)
    return not stripped or stripped in words


@lru_cache(maxsize=256)
def number_words(words: frozenset[str]) -> tuple[float, ...]:
    """Return the words that are numbers, ascending: the missing values of a numeric column."""
    return tuple(sorted(number for word in words if (number := _number(word)) is not None))


def _number(word: str) -> float | None:
    try:
        number = float(word)
    except ValueError:
        return None
    return number if math.isfinite(number) else None
