"""Read and write the labels of a folder of releases; see `components.contract.storage.labels`."""

from pathlib import Path

from components.contract.errors import InputError, ShelfRankError
from components.contract.storage.labels import CONFIG_FILE, FILE, STABLE, Labels
from components.contract.storage.object_store import Address
from components.release.manifest import Manifest, read_manifest
from components.release.publish import newest, versions


def read_labels(releases: str | Path | Address) -> Labels | None:
    """Read the labels of a folder of releases; None where none was ever set.

    Raises:
        ShelfRankError: the file can't be read.
    """
    file = Address.parse(releases) / FILE
    text = file.read()
    if text is None:
        return None
    try:
        return Labels.from_json(text)
    except ValueError as error:
        raise ShelfRankError(f"{file}: expected the labels of the releases: {error}; move it away and promote anew") from None


def write_labels(labels: Labels, releases: str | Path | Address) -> None:
    """Write both files, each atomically; the record last, so that the model server's file is never older than it."""
    folder = Address.parse(releases)
    for name, text in ((CONFIG_FILE, labels.model_config(str(folder))), (FILE, labels.to_json())):
        (folder / name).write(text.encode())


def refresh_config(releases: str | Path | Address) -> None:
    """Update the folder's path in the model server's file, which takes only absolute paths: folders may be moved."""
    labels, folder = read_labels(releases), Address.parse(releases)
    if labels is not None and (folder / CONFIG_FILE).read() != (text := labels.model_config(str(folder)).encode()):
        (folder / CONFIG_FILE).write(text)


def label_first(releases: str | Path | Address, released: Manifest) -> None:
    """Label the first release `stable`: where no label was ever set, there is nothing else to serve."""
    if read_labels(releases) is None:
        write_labels(Labels(released.dataset, "").promoted(released.version, STABLE), releases)


def in_force(releases: str | Path | Address) -> int | None:
    """Return the release that shoppers get: the one labelled `stable`, else the newest; None before the first."""
    labels = read_labels(releases)
    stable = labels.now.get(STABLE) if labels else None
    return stable if stable in versions(releases) else newest(releases)


def to_beat(releases: str | Path | Address) -> int | None:
    """Return the release that a new model is compared with; None before the first.

    That is the one in force. Where that was made by a refresh, which trains on the test window's requests too, it is
    the run's release that was refreshed.
    """
    folder, chosen = Address.parse(releases), in_force(releases)
    return chosen if chosen is None else read_manifest(folder / str(chosen)).base or chosen


def check_there(version: int, releases: str | Path | Address) -> None:
    """Raise InputError where a version isn't among the releases."""
    there = versions(releases)
    if version not in there:
        raise InputError(f"{releases}: expected one of the releases {', '.join(map(str, there)) or '(there is none)'}, got {version}")
