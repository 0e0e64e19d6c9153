"""What lies where in a store (docs/reference/store.md), and what of it is complete."""

from collections.abc import Collection

from components.contract.storage.object_store import Address

RELEASES, SERVING, OUTCOMES = "releases", "serving", "outcomes"
MANIFEST = "manifest.json"  # of a release; written last
DATASET, STATE = "dataset.yaml", "state"  # of `serving/N`; the dataset file is written last
UNFINISHED = ".publishing-"  # prefix of names that readers skip


def find_versions(folder: Address, marker: str) -> dict[int, bool]:
    """Return the numbers of a folder's subfolders, ascending, and whether each has the file that is written last."""
    if folder.local is None:
        return versions_in(folder.files(), marker)
    # A recursive listing would not follow links.
    numbers = sorted(int(path.name) for path in folder.local.glob("*") if path.name.isdecimal() and path.is_dir())
    return {number: (folder.local / str(number) / marker).exists() for number in numbers}


def versions_in(files: Collection[str], marker: str) -> dict[int, bool]:
    """Return the same from the relative paths of all files."""
    numbers = {name.split("/", 1)[0] for name in files if "/" in name}
    return {number: f"{number}/{marker}" in files for number in sorted(int(name) for name in numbers if name.isdecimal())}


def complete(folder: Address, marker: str) -> tuple[int, ...]:
    """List the numbers of the complete subfolders, ascending."""
    return tuple(number for number, whole in find_versions(folder, marker).items() if whole)
