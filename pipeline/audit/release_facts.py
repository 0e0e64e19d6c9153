"""Tell what is known of a release: from the release itself, or, where it is gone, from what is left of it."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from components.contract.storage.object_store import Address
from components.contract.storage.store_layout import DATASET, RELEASES, SERVING
from components.contract.values.local_time import moment
from components.release.labels import read_labels
from components.release.manifest import Manifest, parse_manifest, read_manifest
from components.release.publish import content_digest, versions
from components.release.removed import read_removed

Source = Literal["release", "removed", "lineage", ""]
LINEAGE = "artifacts/SliceReport/report/*/lineage.json"
"""Of runs on this machine, below their root."""


@dataclass(frozen=True)
class ReleaseFacts:
    """What is known of a release.

    Attributes:
        version: its number.
        source: where the manifest comes from: the release, its record after `shelfrank releases prune`, the lineage of
            its run, or "" where nothing is left.
        manifest: None where nothing is left.
        intact: whether the files are those that were published, by their SHA-256; None where they are gone, or in a bucket.
        removed_us: when it was removed; None unless `source` is `removed`.
        there: the store's releases.
        labels: that the release carries now.
        lineage: `lineage.json` of the run that made it, None where it isn't below the store.
        dataset: the dataset file's text, None where it is unknown.
    """

    version: int
    source: Source
    manifest: Manifest | None
    intact: bool | None
    removed_us: int | None
    there: tuple[int, ...]
    labels: tuple[str, ...]
    lineage: dict[str, Any] | None
    dataset: str | None

    @property
    def gone(self) -> bool:
        """Whether the release isn't in the store."""
        return self.source != "release"

    def fault_at(self, time_us: int) -> str:
        """Say why this can't be the release that answered at a time; "" where it can."""
        if self.gone or self.manifest is None:
            return ""
        if self.manifest.created_us > time_us:
            made = moment(self.manifest.created_us)
            return (
                f"release {self.version} of this store was published later, at {made:%Y-%m-%d %H:%M:%S} UTC: it is another store's decision"
            )
        if self.intact is False:
            return f"the files of release {self.version} aren't those that were published: their SHA-256 isn't the manifest's"
        return ""


def release_facts(store: Address, version: int) -> ReleaseFacts:
    """Collect what a store knows of a release.

    Args:
        store: the folder of `releases/`, such as the root of a run.
        version: of the release.

    Raises:
        ShelfRankError: a manifest can't be read.
    """
    releases = store / RELEASES
    there = versions(releases)
    source: Source
    intact, removed_us, release = None, None, releases / str(version)
    if version in there:
        source, manifest = "release", read_manifest(release)
        intact = None if release.local is None else content_digest(release.local) == manifest.content
    elif (removed := read_removed(releases, version)) is not None:
        source, manifest, removed_us = "removed", removed.manifest, removed.removed_us
    else:
        source, manifest = "", None
    lineage = _lineage(store.local, version, manifest) if store.local is not None else None
    if manifest is None and lineage is not None:
        source, manifest = "lineage", parse_manifest(lineage["release"])
    labels = read_labels(releases)
    bundle = (store / SERVING / str(version) / DATASET).read()
    text = bundle.decode() if bundle is not None else (lineage or {}).get("dataset", {}).get("text")
    carried = tuple(sorted(label for label, now in (labels.now if labels else {}).items() if now == version))
    return ReleaseFacts(version, source, manifest, intact, removed_us, there, carried, lineage, text)


def _lineage(root: Path, version: int, manifest: Manifest | None) -> dict[str, Any] | None:
    """Return the newest lineage that tells of the release: of its number, and of its content where that is known."""
    for document in _lineages(root):
        release = document.get("release") or {}
        if release.get("version") == version and (manifest is None or release.get("content") == manifest.content):
            return document
    return None


def _lineages(root: Path) -> Iterator[dict[str, Any]]:
    for path in sorted(root.glob(LINEAGE), key=lambda path: path.stat().st_mtime_ns, reverse=True):
        yield json.loads(path.read_text(encoding="utf-8"))
