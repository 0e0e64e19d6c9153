"""Digest the input files and the code that a run's result depends on: TFX's cache compares these digests."""

import hashlib
import importlib
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path

from apache_beam.io.filesystems import FileSystems

from components.contract.dataset import Dataset
from components.contract.sources import Files
from components.ingest.sources.files import matching

INGESTION = ("components.contract", "components.ingest", "components.state")
LEARNING = (
    "components.contract",
    "components.champion",
    "components.drift",
    "components.evaluation",
    "components.rehearsal",
    "components.schema",
    "trainer",
)
REPORT = ("components", "trainer", "pipeline")


def input_digest(dataset: Dataset, data_root: str) -> str:
    """Return the SHA-256 over path, size and modification time of every input file.

    Raises:
        InputError: a source has no file.
    """
    tables = [table for table in (dataset.items, dataset.users, dataset.identities) if table is not None]
    sources: list[Files] = [*dataset.events, *tables]
    return _digest(_stamp(path) for source in sources for path in matching(source, data_root))


def code_version(packages: Iterable[str]) -> str:
    """Return ShelfRank's version and a digest of the packages' source: `0.1.0+3f2a...`."""
    files = [(name, path) for name in packages for path in sorted(_folder(name).rglob("*.py"))]
    digest = _digest(f"{name}/{path.relative_to(_folder(name))}\0{hashlib.sha256(path.read_bytes()).hexdigest()}" for name, path in files)
    return f"{version('shelfrank')}+{digest[:12]}"


def _folder(package: str) -> Path:
    return Path(importlib.import_module(package).__path__[0])


def _stamp(path: str) -> str:
    local = Path(path)
    if local.exists():
        stat = local.stat()
        return f"{path}\0{stat.st_size}\0{stat.st_mtime_ns}"
    remote = FileSystems.match([path])[0].metadata_list[0]
    return f"{path}\0{remote.size_in_bytes}\0{remote.last_updated_in_seconds}"


def _digest(lines: Iterable[str]) -> str:
    digest = hashlib.sha256()
    for line in lines:
        digest.update(f"{line}\n".encode())
    return digest.hexdigest()
