"""Read and write a release's manifest, `manifest.json` beside its SavedModel."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from components.contract.errors import ShelfRankError
from components.contract.storage.object_store import Address
from components.contract.storage.store_layout import MANIFEST

FILE = MANIFEST


@dataclass(frozen=True)
class Manifest:
    """A release's provenance and metrics.

    Attributes:
        created_us: when it was published, microseconds since the epoch, UTC.
        dataset: name in the dataset file.
        dataset_digest: SHA-256 of the dataset file's text.
        data_window: first and last moment of its data, and its splits, as in ingestion's report.
        metrics: metric name to value over the whole test window.
        verdict: the gates' sentences, and the rehearsal's.
        input_columns: the columns that a request to the model must have.
        code: version of ShelfRank and digest of its source.
        rehearsal: fields of `components.rehearsal.report.Rehearsal`; None in releases older than the rehearsal.
        version: its number; this and the next two are set when it is published.
        parent: the newest release before it, None for the first.
        content: SHA-256 over the model's files.
        base: the release whose weights this one refreshes (`shelfrank refresh`), trained further on requests up to its
            publication; None for a run's own model.
    """

    created_us: int
    dataset: str
    dataset_digest: str
    data_window: dict[str, Any]
    metrics: dict[str, float | None]
    verdict: tuple[str, ...]
    input_columns: tuple[str, ...]
    code: str
    rehearsal: dict[str, Any] | None = None
    version: int = 0
    parent: int | None = None
    content: str = field(default="")
    base: int | None = None

    def to_json(self) -> str:
        """Return the text of the file."""
        return json.dumps(asdict(self), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def read_manifest(release: str | Path | Address) -> Manifest:
    """Read the manifest of a release's folder.

    Raises:
        ShelfRankError: there is none, or it is invalid.
    """
    file = Address.parse(release) / FILE
    try:
        return parse_manifest(json.loads(file.read() or b""))
    except (ValueError, TypeError, KeyError) as error:
        raise ShelfRankError(f"{file}: expected the manifest of a release: {error!r}; move the folder out of the releases") from None


def parse_manifest(record: dict[str, Any]) -> Manifest:
    """Return the manifest of a JSON document.

    Raises:
        TypeError: it lacks a field, or has an unknown one; KeyError likewise.
    """
    return Manifest(**(record | {"verdict": tuple(record["verdict"]), "input_columns": tuple(record["input_columns"])}))
