"""`shelfrank releases`: the releases of a run's folder, and the labels that they carry."""

import fcntl
import os
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path
from typing import Any

from rich.table import Table

from components.contract.errors import InputError
from components.contract.storage.folder_lock import alone
from components.contract.storage.labels import Labels
from components.contract.storage.object_store import Address
from components.contract.storage.store_layout import SERVING
from components.release.labels import check_there, read_labels, write_labels
from components.release.manifest import Manifest, read_manifest
from components.release.publish import newest, versions
from components.release.retention import Kept, Limits, needed, remove, size_of, too_many
from serving.mirror.move_labels import Target, moved, replicas

_METRICS = ("auc", "ndcg_at_10")


@dataclass(frozen=True)
class Place:
    """Where labels go.

    Attributes:
        releases: the folder, on this machine or in a bucket.
        server: `HOST:PORT` of a model server's gRPC that is brought along, and of all its replicas where the name stands for several
            addresses; None: only the files are written.
        model: name that servers have the model under; None: as before, at first the dataset's.
        base_path: the folder as servers see it; None: as before, at first its own path, wherever that is moved.
        patience_s: for the server.
    """

    releases: Path | Address
    server: str | None = None
    model: str | None = None
    base_path: str | None = None
    patience_s: float = 60.0

    @property
    def folder(self) -> Path:
        """The releases' folder where it is on this machine.

        Raises:
            InputError: it isn't.
        """
        here = Address.parse(self.releases).local
        if here is None:
            raise InputError(f"{self.releases}: expected a folder of this machine; mount the store as a volume for this")
        return here


def promote(place: Place, version: int, label: str, *, as_long_as: Mapping[str, int] | None = None) -> Labels:
    """`version` carries `label`.

    Args:
        place: where.
        version: of the releases.
        label: that it is to carry.
        as_long_as: labels as they were when this was decided; where one has moved meanwhile nothing is changed.

    Raises:
        InputError: there is no such version, or a label has moved.
        RunError: the server can't be brought along; then nothing changes.
    """
    check_there(version, place.releases)
    with _alone(place.releases):
        before = _known(place)
        _unmoved(before, as_long_as or {})
        return _moved(place, before, before.promoted(version, label))


def rollback(place: Place, label: str, *, as_long_as: Mapping[str, int] | None = None) -> Labels:
    """`label` is carried by the version that carried it before; `canary` by stable's.

    Raises:
        InputError: none did, or it isn't there any more, or a label has moved (see `promote`).
        RunError: as `promote`.
    """
    if newest(place.releases) is None:
        raise InputError(f"{place.releases}: expected releases, there is none; make one with `shelfrank run`")
    with _alone(place.releases):
        before = _known(place)
        _unmoved(before, as_long_as or {})
        after = before.rolled_back(label)
        check_there(after.now[label], place.releases)
        return _moved(place, before, after)


def prune(place: Place, limits: Limits, *, now_us: int) -> list[int]:
    """Remove releases beyond the limits, and what the service needs of them; the versions, ascending.

    The newest, those with a label and those that a rollback returns to stay.

    Raises:
        InputError: the releases aren't on this machine, or somebody reads them.
    """
    folder = place.folder
    serving = folder.parent / SERVING
    with _alone(folder), alone(folder) as free:
        if not free:
            raise InputError(f"{folder}: expected that nobody reads the releases, and a run or a server does; try again when it has ended")
        there = versions(folder)
        kept = [
            Kept(each, read_manifest(folder / str(each)).created_us, size_of(folder / str(each)) + size_of(serving / str(each)))
            for each in there
        ]
        gone = too_many(kept, needed(there, read_labels(folder)), limits, now_us=now_us)
        for each in gone:
            remove(folder / str(each.version))
            if (serving / str(each.version)).is_dir():
                remove(serving / str(each.version))
    return [each.version for each in gone]


def listed(releases: Path | Address) -> list[dict[str, Any]]:
    """A row for each release, newest first."""
    labels = read_labels(releases)
    now = labels.now if labels else {}
    return [_row(read_manifest(releases / str(version)), now) for version in reversed(versions(releases))]


def table(rows: list[dict[str, Any]]) -> Table:
    """The rows for the terminal."""
    shown = Table(title="Releases", title_justify="left", header_style="bold")
    for name in ("version", "made", *_METRICS, "p99 ms", "parent", "labels"):
        shown.add_column(name, justify="left" if name in ("made", "labels") else "right")
    for row in rows:
        metrics = [row["metrics"].get(name) for name in _METRICS]
        numbers = ["" if value is None else f"{value:.4f}" for value in metrics]
        p99 = (row["rehearsal"] or {}).get("p99_ms")
        cells = [f"{p99:.1f}" if p99 is not None else "", str(row["parent"] or ""), ", ".join(row["labels"])]
        shown.add_row(str(row["version"]), row["made"], *numbers, *cells)
    return shown


def _row(manifest: Manifest, labels: dict[str, int]) -> dict[str, Any]:
    given = asdict(manifest)
    return {name: given[name] for name in ("version", "dataset", "metrics", "rehearsal", "parent", "code")} | {
        "made": datetime.fromtimestamp(manifest.created_us / 1e6, UTC).isoformat(timespec="seconds"),
        "labels": [label for label, version in labels.items() if version == manifest.version],
    }


def _known(place: Place) -> Labels:
    labels = read_labels(place.releases)
    if labels is None:
        newest_there = newest(place.releases)
        labels = Labels(read_manifest(place.releases / str(newest_there)).dataset, "")
    base_path = labels.base_path if place.base_path is None else place.base_path
    own = base_path == str(Address.parse(place.releases))
    return replace(labels, model=place.model or labels.model, base_path="" if own else base_path)


def _unmoved(labels: Labels, as_long_as: Mapping[str, int]) -> None:
    for label, version in as_long_as.items():
        if labels.now.get(label) != version:
            now = labels.now.get(label, "no release")
            raise InputError(f"expected {label} to be release {version}, somebody has moved it: it is {now}; nothing is changed")


def _moved(place: Place, before: Labels, after: Labels) -> Labels:
    there = versions(place.releases)
    gone = [carriers[-1] for carriers in after.carried.values() if carriers[-1] not in there]
    if gone:
        raise InputError(f"{place.releases}: a label points to release {gone[0]}, which isn't there; promote another version to that label")
    # A version that a rollback would return to may have been taken away; what is left on both sides of it may be the same.
    left = {label: [version for version in carriers if version in there] for label, carriers in after.carried.items()}
    after = replace(after, carried={label: tuple(version for version, _ in groupby(carriers)) for label, carriers in left.items()})
    with _servers_moved(place, before, after):  # back again where the files can't be written
        write_labels(after, place.releases)
    return after


def _servers_moved(place: Place, before: Labels, after: Labels) -> AbstractContextManager[None]:
    if not place.server:
        return nullcontext()
    own, known = str(Address.parse(place.releases)), read_labels(place.releases)
    believed = known.base_path if known else ""  # `before` has the base path that is asked for now
    return moved(
        replicas(place.server),
        Target(after.model, after.base_path or own, after.served, after.now),
        before=Target(after.model, believed or own, before.served, before.now),
        patience_s=place.patience_s,
    )


@contextmanager
def _alone(releases: Path | Address) -> Iterator[None]:
    """One change of labels at a time in a folder; the lock ends with its process. In a bucket the last one to write has his way."""
    if isinstance(releases, Address):
        yield
        return
    handle = os.open(releases / ".labels.lock", os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
