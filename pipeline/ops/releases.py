"""List and prune the releases of a run's folder, and move their labels: `shelfrank releases`."""

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path
from typing import Any

from rich.table import Table

from components.contract.errors import InputError
from components.contract.storage.file_lock import exclusive_lock, locked
from components.contract.storage.labels import Labels
from components.contract.storage.object_store import Address
from components.contract.storage.store_layout import SERVING
from components.release.labels import check_there, read_labels, write_labels
from components.release.manifest import Manifest, read_manifest
from components.release.publish import newest, versions
from components.release.removed import record_removed
from components.release.retention import Limits, StoredRelease, protected_versions, releases_to_remove, remove, size_of
from serving.mirror.move_labels import Target, moved, replicas

_METRICS = ("auc", "ndcg_at_10")


@dataclass(frozen=True)
class Deployment:
    """A folder of releases, and the model server that serves them.

    Attributes:
        releases: the folder, on this machine or in a bucket; its files hold the labels.
        server: `HOST:PORT` of a model server's gRPC whose labels are moved too, on all its replicas where the name
            resolves to several addresses; None: only the files are written.
        model: its name on servers; None: as before, at first the dataset's.
        base_path: the folder's path on servers; None: as before, at first its own path, wherever that is moved.
        patience_s: time-out of the server.
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


def promote(deployment: Deployment, version: int, label: str, *, expected_labels: Mapping[str, int] | None = None) -> Labels:
    """Move `label` to `version`.

    Args:
        deployment: the releases and their server.
        version: of the releases.
        label: `stable` or `canary`.
        expected_labels: labels at the time of the decision; nothing is changed if one of them has moved since.

    Raises:
        InputError: there is no such version, or a label has moved.
        RunError: the server can't be updated; then nothing changes.
    """
    check_there(version, deployment.releases)
    with _label_lock(deployment.releases):
        before = _current_labels(deployment)
        _check_unmoved(before, expected_labels or {})
        return _apply(deployment, before, before.promoted(version, label))


def rollback(deployment: Deployment, label: str, *, expected_labels: Mapping[str, int] | None = None) -> Labels:
    """Move `label` back to its previous version; `canary` to stable's.

    Raises:
        InputError: it had no version before, or that has been removed, or a label has moved (see `promote`).
        RunError: as `promote`.
    """
    if newest(deployment.releases) is None:
        raise InputError(f"{deployment.releases}: expected releases, there is none; make one with `shelfrank run`")
    with _label_lock(deployment.releases):
        before = _current_labels(deployment)
        _check_unmoved(before, expected_labels or {})
        after = before.rolled_back(label)
        check_there(after.now[label], deployment.releases)
        return _apply(deployment, before, after)


def prune(deployment: Deployment, limits: Limits, *, now_us: int) -> list[int]:
    """Remove releases beyond the limits, with their serving bundles, and return their versions, ascending.

    Their manifests stay, in `removed/` beside the releases (`components.release.removed`).

    The newest release, labelled ones, those that a rollback returns to and the bases of refreshed ones among them are
    kept.

    Raises:
        InputError: the releases aren't on this machine, or a process reads them.
    """
    folder = deployment.folder
    serving = folder.parent / SERVING
    with _label_lock(folder), exclusive_lock(folder) as free:
        if not free:
            raise InputError(f"{folder}: expected that nobody reads the releases, and a run or a server does; try again when it has ended")
        existing = versions(folder)
        kept = [
            StoredRelease(each, read_manifest(folder / str(each)).created_us, size_of(folder / str(each)) + size_of(serving / str(each)))
            for each in existing
        ]
        protected = protected_versions(existing, read_labels(folder))
        protected |= {base for each in protected if (base := read_manifest(folder / str(each)).base) is not None}
        removed = releases_to_remove(kept, protected, limits, now_us=now_us)
        for each in removed:
            record_removed(folder, read_manifest(folder / str(each.version)), now_us=now_us)
            remove(folder / str(each.version))
            if (serving / str(each.version)).is_dir():
                remove(serving / str(each.version))
    return [each.version for each in removed]


def release_rows(releases: Path | Address) -> list[dict[str, Any]]:
    """Return a row for each release, newest first."""
    labels = read_labels(releases)
    now = labels.now if labels else {}
    return [_release_row(read_manifest(releases / str(version)), now) for version in reversed(versions(releases))]


def release_table(rows: list[dict[str, Any]]) -> Table:
    """Tabulate the rows for the terminal."""
    table = Table(title="Releases", title_justify="left", header_style="bold")
    for name in ("version", "made", *_METRICS, "p99 ms", "parent", "labels"):
        table.add_column(name, justify="left" if name in ("made", "labels") else "right")
    for row in rows:
        metrics = [row["metrics"].get(name) for name in _METRICS]
        numbers = ["" if value is None else f"{value:.4f}" for value in metrics]
        p99 = (row["rehearsal"] or {}).get("p99_ms")
        cells = [f"{p99:.1f}" if p99 is not None else "", str(row["parent"] or ""), ", ".join(row["labels"])]
        table.add_row(str(row["version"]), row["made"], *numbers, *cells)
    return table


def _release_row(manifest: Manifest, labels: dict[str, int]) -> dict[str, Any]:
    values = asdict(manifest)
    return {name: values[name] for name in ("version", "dataset", "metrics", "rehearsal", "parent", "code")} | {
        "made": datetime.fromtimestamp(manifest.created_us / 1e6, UTC).isoformat(timespec="seconds"),
        "labels": [label for label, version in labels.items() if version == manifest.version],
    }


def _current_labels(deployment: Deployment) -> Labels:
    labels = read_labels(deployment.releases)
    if labels is None:
        newest_release = newest(deployment.releases)
        labels = Labels(read_manifest(deployment.releases / str(newest_release)).dataset, "")
    base_path = labels.base_path if deployment.base_path is None else deployment.base_path
    own = base_path == str(Address.parse(deployment.releases))
    return replace(labels, model=deployment.model or labels.model, base_path="" if own else base_path)


def _check_unmoved(labels: Labels, expected_labels: Mapping[str, int]) -> None:
    for label, version in expected_labels.items():
        if labels.now.get(label) != version:
            now = labels.now.get(label, "no release")
            raise InputError(f"expected {label} to be release {version}, somebody has moved it: it is {now}; nothing is changed")


def _apply(deployment: Deployment, before: Labels, after: Labels) -> Labels:
    existing = versions(deployment.releases)
    removed = [carriers[-1] for carriers in after.carried.values() if carriers[-1] not in existing]
    if removed:
        raise InputError(
            f"{deployment.releases}: a label points to release {removed[0]}, which isn't there; promote another version to that label"
        )
    # A version that a rollback would return to may have been removed, and its neighbours in the history may be equal.
    history = {label: [version for version in carriers if version in existing] for label, carriers in after.carried.items()}
    after = replace(after, carried={label: tuple(version for version, _ in groupby(carriers)) for label, carriers in history.items()})
    with _reconfigured_servers(deployment, before, after):  # undone if the files can't be written
        write_labels(after, deployment.releases)
    return after


def _reconfigured_servers(deployment: Deployment, before: Labels, after: Labels) -> AbstractContextManager[None]:
    if not deployment.server:
        return nullcontext()
    own, known = str(Address.parse(deployment.releases)), read_labels(deployment.releases)
    previous_base_path = known.base_path if known else ""  # `before` has the base path of this call
    return moved(
        replicas(deployment.server),
        Target(after.model, after.base_path or own, after.served, after.now),
        before=Target(after.model, previous_base_path or own, before.served, before.now),
        patience_s=deployment.patience_s,
    )


def _label_lock(releases: Path | Address) -> AbstractContextManager[object]:
    """Lock a folder's labels until the block or the process ends. A bucket has no lock: its last writer wins."""
    return nullcontext() if isinstance(releases, Address) else locked(releases / ".labels.lock")
