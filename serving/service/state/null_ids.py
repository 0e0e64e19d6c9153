"""Treat ids that callers send as words for nothing, such as `NULL`, as missing, as ingestion does."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from components.contract.dataset import Dataset
from components.contract.errors import InputError
from components.contract.values.null_words import is_null_word, role_words

ROLES = ("user", "item", "request", "session")


@dataclass(frozen=True)
class NullIds:
    """Hold the null words of each role's ids."""

    words: Mapping[str, frozenset[str]] = field(default_factory=dict)

    @staticmethod
    def from_dataset(dataset: Dataset) -> "NullIds":
        """Return the null words of a dataset's sources."""
        return NullIds({role: role_words(dataset, role) for role in ROLES})

    def without_null(self, role: str, value: str) -> str:
        """Return an id; "" where it is a null word."""
        return "" if is_null_word(value, self.words.get(role, frozenset())) else value

    def required_items(self, items: Sequence[str]) -> Sequence[str]:
        """Return the ids of items.

        Raises:
            InputError: one of them is a null word.
        """
        words = self.words.get("item", frozenset())
        if (null := next((item for item in items if is_null_word(item, words)), None)) is not None:
            raise InputError(f"expected products' ids, got {null!r}, which the dataset file takes as missing (`null_values`); leave it out")
        return items
