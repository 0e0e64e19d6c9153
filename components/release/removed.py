"""Keep the manifests of removed releases, `removed/N.json` beside the releases, so that a decision of theirs can be traced."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from components.contract.errors import ShelfRankError
from components.contract.storage.atomic_files import write_whole
from components.contract.storage.object_store import Address
from components.release.manifest import Manifest, parse_manifest

FOLDER = "removed"


@dataclass(frozen=True)
class RemovedRelease:
    """A removed release: its manifest, and when it was removed, microseconds since the epoch."""

    manifest: Manifest
    removed_us: int


def record_removed(releases: Path, manifest: Manifest, *, now_us: int) -> None:
    """Write the record of a release that is about to be removed."""
    folder = releases / FOLDER
    folder.mkdir(exist_ok=True)
    text = json.dumps({"removed_us": now_us, "manifest": asdict(manifest)}, indent=2, ensure_ascii=False, allow_nan=False)
    write_whole(folder / f"{manifest.version}.json", f"{text}\n".encode())


def read_removed(releases: Address, version: int) -> RemovedRelease | None:
    """Read the record of a removed release; None where there is none.

    Raises:
        ShelfRankError: it can't be read.
    """
    file = releases / FOLDER / f"{version}.json"
    text = file.read()
    if text is None:
        return None
    try:
        record = json.loads(text)
        return RemovedRelease(parse_manifest(record["manifest"]), int(record["removed_us"]))
    except (ValueError, TypeError, KeyError) as error:
        raise ShelfRankError(f"{file}: expected the record of a removed release: {error!r}; move it away") from None
