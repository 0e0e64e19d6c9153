"""Select the versions to serve from the names of the folders under a model's base path."""

import logging
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass

LARGEST = 2**63 - 1
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Latest:
    """The `count` newest versions."""

    count: int = 1


@dataclass(frozen=True)
class Every:
    """All versions."""


@dataclass(frozen=True)
class Specific:
    """The listed versions, as far as they exist."""

    versions: frozenset[int]


Policy = Latest | Every | Specific


def by_version(names: Iterable[str]) -> dict[int, str]:
    """Return version number -> folder name. Leading zeros are ignored, names that aren't numbers skipped.

    Where two folders have the same number the last by name wins, with a warning.
    """
    directories: dict[int, str] = {}
    for name in sorted(names):
        if not (name.isascii() and name.isdigit()) or int(name) > LARGEST:
            continue
        if int(name) in directories:
            log.warning("two folders of version %d: %s is loaded, %s is passed over", int(name), name, directories[int(name)])
        directories[int(name)] = name
    return directories


def select(folders: Mapping[int, str], policy: Policy) -> dict[int, str]:
    """Select the folders that the policy serves."""
    chosen: Set[int]
    match policy:
        case Latest(count):
            chosen = set(sorted(folders)[-max(count, 1) :])
        case Every():
            chosen = set(folders)
        case Specific(versions):
            chosen = versions & folders.keys()
            for version in sorted(versions - folders.keys()):
                log.warning("version %d is asked for and not there; the others are served", version)
    return {version: folders[version] for version in sorted(chosen)}
