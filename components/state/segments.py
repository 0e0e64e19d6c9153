"""A product within a segment of the shoppers has a key of its own on the items' side, and so all that the reducer and the stores do."""

from collections.abc import Sequence

BETWEEN = "\x1f"  # a unit separator: no id of the service's doors has one, so no product's own key begins with it


def segment_of(values: Sequence[str]) -> str | None:
    """The segment that the values of its features make; None where one is missing: such an event counts for no segment."""
    return BETWEEN.join(values) if all(values) else None


def segment_key(segment: str, item: str) -> str:
    """The key of a product within a segment."""
    return f"{BETWEEN}{segment}{BETWEEN}{item}"
