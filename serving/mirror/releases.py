"""The part of a mirror that a model server reads: releases, and the configuration that names them."""

import json
import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from components.contract.storage.labels import CONFIG_FILE, FILE, Labels
from components.contract.storage.object_store import Address
from components.contract.storage.store_layout import MANIFEST
from serving.mirror.sync import bring, numbers, take_away, write
from serving.mirror.target_config import Only, Served, next_step, wanted

_LOG = logging.getLogger(__name__)
_SAID = ".served.json"  # what the configuration says; the configuration itself is for a model server to read


@dataclass
class Releases:
    """Keeps a folder of releases in step with those of a store.

    Attributes:
        source: the store's releases.
        folder: theirs.
        only: `stable`, `newest` or None for all that carry a label and the newest `keep`.
        keep: how many of the newest.
        settle_s: how long the server takes to read a configuration and to load what it names; None: it doesn't run yet.
    """

    source: Address
    folder: Path
    only: Only | None
    keep: int
    settle_s: float | None
    _since: float | None = None

    def follow(self, labels: Labels | None, versions: Sequence[int], now: float) -> None:
        """Go on towards what is to be served, given the labels and the complete versions, at least one.

        Args:
            labels: of the store.
            versions: of the store.
            now: seconds of a clock that only goes forward.

        Raises:
            ShelfRankError: the store can't be read; what there was goes on being served.
        """
        target = wanted(labels, versions, model=self._model(labels, versions), only=self.only)
        ready = {*target.versions, *(() if self.only else sorted(versions)[-self.keep :] if self.keep else ())}
        for version in sorted(ready):
            if bring(self.source / str(version), self.folder / str(version)):
                _LOG.info("release %d is here", version)
        since = self._since = now if self._since is None else self._since
        said = self._said()
        if said is None or self.settle_s is None:
            self._say(target, now)
        elif said != target and now - since >= self.settle_s:
            self._say(next_step(said, target), now)
        if labels is not None:
            write(self.folder / FILE, replace(labels, base_path="").to_json())
        if said == target and (self.settle_s is None or now - since >= self.settle_s):
            for version in numbers(self.folder):
                if version not in ready:
                    take_away(self.folder / str(version))
                    _LOG.info("release %d isn't needed any more", version)

    def _model(self, labels: Labels | None, versions: Sequence[int]) -> str:
        """Name of the model where no label was ever given: the dataset's."""
        if labels is not None:
            return labels.model
        return str(json.loads((self.source / str(max(versions)) / MANIFEST).read() or b"{}").get("dataset", "model"))

    def _said(self) -> Served | None:
        file = self.folder / _SAID
        if not file.exists() or not (self.folder / CONFIG_FILE).exists():
            return None
        known = json.loads(file.read_text(encoding="utf-8"))
        said = Served(known["model"], tuple(known["versions"]), known["labels"])
        # In a folder that was moved or copied the configuration names the one that it was written for.
        return said if (self.folder / CONFIG_FILE).read_text(encoding="utf-8") == said.text(str(self.folder)) else None

    def _say(self, served: Served, now: float) -> None:
        if served == self._said():
            return
        write(self.folder / CONFIG_FILE, served.text(str(self.folder)))
        write(self.folder / _SAID, json.dumps(asdict(served)))
        self._since = now
        _LOG.info("to serve: %s, labels %s", ", ".join(map(str, served.versions)), dict(served.labels))
