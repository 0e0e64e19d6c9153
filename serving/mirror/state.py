"""The part of a mirror that the ranking service reads when it starts: the dataset file and the state of the release in force."""

import logging
from dataclasses import dataclass
from pathlib import Path

from components.contract.storage.object_store import Address
from components.contract.storage.store_layout import DATASET, complete
from serving.mirror.sync import bring, link, numbers, take_away

_LOG = logging.getLogger(__name__)
CURRENT = "current"


@dataclass(frozen=True)
class States:
    """Keeps `current` on the state of the release in force.

    Attributes:
        source: the store's `serving`.
        folder: theirs.
    """

    source: Address
    folder: Path

    def follow(self, version: int) -> str:
        """Go on to the state of a release; says what is lacking, or nothing.

        Raises:
            ShelfRankError: the store can't be read; `current` stays where it is.
        """
        if version not in complete(self.source, DATASET):
            return f"{self.source / str(version)}: no state was published with release {version}; promote a release that has one"
        current = self.folder / CURRENT
        before = int(current.readlink().name) if current.is_symlink() else version
        bring(self.source / str(version), self.folder / str(version))
        if before != version or not current.is_symlink():
            link(current, Path(str(version)))
            _LOG.info("the state in force is that of release %d", version)
            for other in numbers(self.folder):
                if other not in (version, before):  # a service that is just starting may read the one before
                    take_away(self.folder / str(other))
        return ""
