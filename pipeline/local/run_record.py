"""Lock a run's folder, and pin the champion that the run is compared with."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from components.contract.errors import RunError
from components.contract.storage.file_lock import locked
from components.release.labels import to_beat
from components.release.publish import versions
from pipeline.results.atomic_write import write_atomically

_WAIT_S = 10.0  # for child processes of a killed run to end


@dataclass(frozen=True)
class Pin:
    """What must stay the same when a run is resumed.

    Attributes:
        key: digest of data, dataset file and code: the same key, the same run.
        champion: the release to beat, 0 for none. It stays although the run has published a newer one meanwhile: a run
            that is resumed, or repeated after its end, gives the same report.
        attempt: how often a release was missing; a part of Release's cache key, so that it is published again.
        released: the release that the run ended with, None while it runs or when the model was refused.
        run_id: that the run was started by, if any.
        inputs: digest of its input files, for a run that has an id.
    """

    key: str
    champion: int
    attempt: int = 0
    released: int | None = None
    run_id: str = ""
    inputs: str = ""


def inputs_before(file: Path, run_id: str) -> str:
    """Return the digest of the input files that the run of this id began with; "" where this is its beginning."""
    previous = _read(file) if run_id else None
    return previous.inputs if previous and previous.run_id == run_id else ""


def pin(file: Path, key: str, releases: Path, *, run_id: str = "", inputs: str = "") -> Pin:
    """Return the pin of a run that starts or is resumed; it is written before it is returned."""
    previous = _read(file)
    existing = versions(releases)
    removed = previous is not None and any(version and version not in existing for version in (previous.champion, previous.released))
    attempt = previous.attempt + removed if previous else 0
    resumed = previous is not None and previous.key == key and previous.champion in (0, *existing)
    champion = previous.champion if previous and resumed else to_beat(releases) or 0
    pinned = Pin(key, champion, attempt, run_id=run_id, inputs=inputs)
    write_atomically(file, json.dumps(asdict(pinned)))
    return pinned


def _read(file: Path) -> Pin | None:
    return Pin(**json.loads(file.read_text(encoding="utf-8"))) if file.exists() else None


@contextmanager
def run_lock(root: Path) -> Iterator[None]:
    """Keep other runs out of a folder; the lock is released when this process ends, however it ends.

    Raises:
        RunError: another run holds it.
    """
    root.mkdir(parents=True, exist_ok=True)
    with locked(root / ".lock", patience_s=_WAIT_S) as mine:
        if not mine:
            raise RunError(f"{root}: another run is at work here; wait for its end, or give another --root")
        yield
