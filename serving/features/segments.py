"""Compute the segment of a request or an event, as ingestion does."""

from collections.abc import Mapping
from typing import Any, final

from components.contract.dataset import Dataset
from components.contract.values.null_words import feature_words
from components.state.keys import segment_of
from serving.features.catalogue import Catalogue
from serving.features.values import texts


@final
class Segments:
    """Compute segments of one dataset."""

    def __init__(self, dataset: Dataset, catalogue: Catalogue) -> None:
        self._features = tuple(dataset.feature(name) for name in dataset.serving.segment)
        self._users = catalogue.users
        self._words = {feature.name: feature_words(dataset, feature) for feature in self._features}

    def key(self, shopper: str, context: Mapping[str, Any], *, time_us: int) -> str | None:
        """Return the segment at a time; None where one of its values is missing, or the dataset has no segments.

        Raises:
            InputError: a value is neither text, number, true or false, nor a list of them.
        """
        if not self._features:
            return None
        event_features = [feature for feature in self._features if feature.table == "events"]
        values = {each.name: texts(each, (context.get(each.name),), words=self._words[each.name]) for each in event_features}
        if len(values) < len(self._features):
            values = {**self._users.values(shopper, time_us), **values}
        return segment_of([values[feature.name][0].decode() for feature in self._features])
