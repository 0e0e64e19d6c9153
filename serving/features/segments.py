"""The segment of a request or an event: what ingestion makes of the same values."""

from collections.abc import Mapping
from typing import Any, final

from components.contract.dataset import Dataset
from components.contract.values.null_words import feature_words
from components.state.keys import segment_of
from serving.features.catalogue import Catalogue
from serving.features.values import texts


@final
class Segments:
    """Segments of one dataset."""

    def __init__(self, dataset: Dataset, catalogue: Catalogue) -> None:
        self._features = tuple(dataset.feature(name) for name in dataset.serving.segment)
        self._users = catalogue.users
        self._words = {feature.name: feature_words(dataset, feature) for feature in self._features}

    def of(self, shopper: str, context: Mapping[str, Any], *, time_us: int) -> str | None:
        """The segment at a moment; None where one of its values is missing, or the dataset has no segments.

        Raises:
            InputError: a value is neither text, number, true or false, nor a list of them.
        """
        if not self._features:
            return None
        of_events = [feature for feature in self._features if feature.table == "events"]
        given = {each.name: texts(each, (context.get(each.name),), words=self._words[each.name]) for each in of_events}
        if len(given) < len(self._features):
            given = {**self._users.values(shopper, time_us), **given}
        return segment_of([given[feature.name][0].decode() for feature in self._features])
