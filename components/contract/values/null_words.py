"""Words that stand for nothing: `NULL`, `nan`, `-`. What counts as missing in a column of a source, and in what the service is sent."""

import math
from functools import lru_cache

from components.contract.dataset import Dataset
from components.contract.features import GivenFeature
from components.contract.sources import DEFAULT_WORDS, EventSource, Files, ListRows
from components.contract.values.id_text import BLANKS

# Logs write it for a shopper who isn't logged in; anything else may well be numbered 0.
NO_USER = "0"


def null_words(files: Files, column: str) -> frozenset[str]:
    """The words that are missing values in a column; blanks are in every column."""
    words = files.null_values
    if isinstance(words, dict) and column in words:
        return frozenset(words[column])
    if not isinstance(words, dict) and "null_values" in files.model_fields_set:
        return frozenset(words)
    is_user = isinstance(files, EventSource) and files.columns.user == column
    return frozenset(DEFAULT_WORDS + ((NO_USER,) if is_user else ()))


def role_words(dataset: Dataset, role: str) -> frozenset[str]:
    """The words that mean nothing as a request's or an event's `role`: those of any source that names it."""
    named = ((source, source.columns.named().get(role)) for source in dataset.events)
    return frozenset().union(*(null_words(source, column) for source, column in named if column is not None))


def feature_words(dataset: Dataset, feature: GivenFeature) -> frozenset[str]:
    """Likewise of a feature that is read from events: those of the sources that show requests."""
    column = feature.key
    if isinstance(dataset.candidates, ListRows):
        column = dataset.candidates.columns.get(column, column)
    return frozenset().union(*(null_words(source, column) for source in dataset.events if dataset.forms_requests(source)))


def is_null_word(text: str, words: frozenset[str]) -> bool:
    """Whether a text is missing: one of the words, or nothing, with or without blanks around."""
    if text in words:
        return True
    stripped = text.strip(BLANKS)
    return not stripped or stripped in words


@lru_cache(maxsize=256)
def number_words(words: frozenset[str]) -> tuple[float, ...]:
    """Those of the words that are numbers, ascending: what is missing in a column of numbers."""
    return tuple(sorted(number for word in words if (number := _number(word)) is not None))


def _number(word: str) -> float | None:
    try:
        number = float(word)
    except ValueError:
        return None
    return number if math.isfinite(number) else None
