"""Detect sources without a user column, whose rows name a request instead, as click logs often do."""

from components.contract.dataset import Dataset
from components.contract.sources import EventSource, Impressions, ListRows


def lacks_user(dataset: Dataset, source: EventSource) -> bool:
    """Return whether a source has no role `user` and needs none: another source has the user of its requests."""
    if not isinstance(dataset.candidates, Impressions | ListRows) or "user" in source.columns.named() or source.columns.request is None:
        return False
    shows = (None, dataset.candidates.action)
    owned = any("user" in other.columns.named() and other.action in shows for other in dataset.events)
    return source.action != dataset.candidates.action and owned
