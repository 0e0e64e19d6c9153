"""Write a release's serving bundle, `serving/N/`: dataset file and feature state, for the ranking service."""

import shutil
from dataclasses import dataclass
from pathlib import Path

from components.contract.storage.atomic_files import new_folder
from components.contract.storage.object_store import Address
from components.contract.storage.store_layout import DATASET, STATE, UNFINISHED, complete


@dataclass(frozen=True)
class ServingBundle:
    """The dataset file and the feature state of a model.

    Attributes:
        dataset: the dataset file's text.
        state: folder of the feature state at the end of the data.
        serving: the store's folder that it is written to, under the release's number.
    """

    dataset: str
    state: Path
    serving: Address

    def is_there(self, version: int) -> bool:
        """Return whether a release's bundle is complete."""
        return version in complete(self.serving, DATASET)

    def put(self, version: int) -> None:
        """Write the bundle of a release before the release, in place of a killed publisher's; the dataset file last."""
        target = self.serving / str(version)
        target.delete_folder()
        if self.serving.local is None:
            for path in sorted(path for path in self.state.rglob("*") if path.is_file()):
                (target / STATE / path.relative_to(self.state).as_posix()).upload(path)
            (target / DATASET).write(self.dataset.encode())
            return
        self.serving.local.mkdir(parents=True, exist_ok=True)
        with new_folder(self.serving.local / str(version), prefix=UNFINISHED) as unfinished:
            shutil.copytree(self.state, unfinished / STATE)
            (unfinished / DATASET).write_text(self.dataset, encoding="utf-8")

    def remove(self, version: int) -> None:
        """Delete the bundle of a release that was never completed."""
        (self.serving / str(version)).delete_folder()
