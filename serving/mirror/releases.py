"""Sync the part of a store that a model server reads: releases, and its configuration file."""

import json
import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from components.contract.storage.labels import CONFIG_FILE, FILE, Labels
from components.contract.storage.object_store import Address
from components.contract.storage.store_layout import MANIFEST
from serving.mirror.sync import mirror_folder, numbers, remove, write
from serving.mirror.target_config import Only, ServerConfig, next_step, target_config

_LOG = logging.getLogger(__name__)
_WRITTEN = ".served.json"  # the last written configuration, for us; the model server reads CONFIG_FILE


@dataclass
class Releases:
    """Sync of a store's releases to a folder.

    Attributes:
        source: the store's releases.
        folder: of this pod.
        only: `stable`, `newest` or None for all labelled releases and the newest `keep`.
        keep: the number of newest releases to have.
        settle_s: how long the server takes to read a configuration and to load its versions; None: it doesn't run yet.
    """

    source: Address
    folder: Path
    only: Only | None
    keep: int
    settle_s: float | None
    _configured_at: float | None = None

    def follow(self, labels: Labels | None, versions: Sequence[int], now: float) -> None:
        """Sync one step towards the target configuration.

        Args:
            labels: of the store.
            versions: complete ones of the store, at least one.
            now: seconds of a clock that only goes forward.

        Raises:
            ShelfRankError: the store can't be read; the present releases are served on.
        """
        target = target_config(labels, versions, model=self._model(labels, versions), only=self.only)
        ready = {*target.versions, *(() if self.only else sorted(versions)[-self.keep :] if self.keep else ())}
        for version in sorted(ready):
            if mirror_folder(self.source / str(version), self.folder / str(version)):
                _LOG.info("release %d is here", version)
        configured_at = self._configured_at = now if self._configured_at is None else self._configured_at
        written = self._read_config()
        if written is None or self.settle_s is None:
            self._write_config(target, now)
        elif written != target and now - configured_at >= self.settle_s:
            self._write_config(next_step(written, target), now)
        if labels is not None:
            write(self.folder / FILE, replace(labels, base_path="").to_json())
        if written == target and (self.settle_s is None or now - configured_at >= self.settle_s):
            for version in numbers(self.folder):
                if version not in ready:
                    remove(self.folder / str(version))
                    _LOG.info("release %d isn't needed any more", version)

    def _model(self, labels: Labels | None, versions: Sequence[int]) -> str:
        """Return the model's name: the labels', or the dataset's where there are no labels yet."""
        if labels is not None:
            return labels.model
        return str(json.loads((self.source / str(max(versions)) / MANIFEST).read() or b"{}").get("dataset", "model"))

    def _read_config(self) -> ServerConfig | None:
        file = self.folder / _WRITTEN
        if not file.exists() or not (self.folder / CONFIG_FILE).exists():
            return None
        known = json.loads(file.read_text(encoding="utf-8"))
        written = ServerConfig(known["model"], tuple(known["versions"]), known["labels"])
        # In a folder that was moved or copied the configuration has the path of the original.
        return written if (self.folder / CONFIG_FILE).read_text(encoding="utf-8") == written.text(str(self.folder)) else None

    def _write_config(self, served: ServerConfig, now: float) -> None:
        if served == self._read_config():
            return
        write(self.folder / CONFIG_FILE, served.text(str(self.folder)))
        write(self.folder / _WRITTEN, json.dumps(asdict(served)))
        self._configured_at = now
        _LOG.info("to serve: %s, labels %s", ", ".join(map(str, served.versions)), dict(served.labels))
