"""What lies where in a store (docs/store.md), and what of it is complete."""

from collections.abc import Collection

from components.contract.storage.object_store import Address

RELEASES, SERVING, OUTCOMES = "releases", "serving", "outcomes"
MANIFEST = "manifest.json"  # of a release; written last
DATASET, STATE = "dataset.yaml", "state"  # of `serving/N`; the dataset file is written last
UNFINISHED = ".publishing-"  # what is named so is passed over


def find_versions(folder: Address, marker: str) -> dict[int, bool]:
    """The numbers that folders in a folder of a store have, ascending, and whether each holds the file that is written last into it."""
    if folder.local is None:
        return versions_in(folder.files(), marker)
    # A walk would not follow links.
    there = sorted(int(path.name) for path in folder.local.glob("*") if path.name.isdecimal() and path.is_dir())
    return {number: (folder.local / str(number) / marker).exists() for number in there}


def versions_in(files: Collection[str], marker: str) -> dict[int, bool]:
    """The same by the paths of all files below the folder."""
    numbers = {name.split("/", 1)[0] for name in files if "/" in name}
    return {number: f"{number}/{marker}" in files for number in sorted(int(name) for name in numbers if name.isdecimal())}


def complete(folder: Address, marker: str) -> tuple[int, ...]:
    """The numbers of the complete ones, ascending."""
    return tuple(number for number, whole in find_versions(folder, marker).items() if whole)
