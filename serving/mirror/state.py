"""Sync what the ranking service reads at its start: the dataset file and the active release's state."""

import logging
from dataclasses import dataclass
from pathlib import Path

from components.contract.storage.object_store import Address
from components.contract.storage.store_layout import DATASET, complete
from serving.mirror.sync import link, mirror_folder, numbers, remove

_LOG = logging.getLogger(__name__)
CURRENT = "current"


@dataclass(frozen=True)
class ServingState:
    """Sync of the active release's state, to which the link `current` points.

    Attributes:
        source: the store's `serving`.
        folder: of this pod.
    """

    source: Address
    folder: Path

    def follow(self, version: int) -> str:
        """Sync the state of a release and point `current` to it; return what is missing, or "".

        Raises:
            ShelfRankError: the store can't be read; `current` stays where it is.
        """
        if version not in complete(self.source, DATASET):
            return f"{self.source / str(version)}: no state was published with release {version}; promote a release that has one"
        current = self.folder / CURRENT
        before = int(current.readlink().name) if current.is_symlink() else version
        mirror_folder(self.source / str(version), self.folder / str(version))
        if before != version or not current.is_symlink():
            link(current, Path(str(version)))
            _LOG.info("the state in force is that of release %d", version)
            for other in numbers(self.folder):
                if other not in (version, before):  # a service that is just starting may read the previous one
                    remove(self.folder / str(other))
        return ""
