"""Which versions of a model should be served: a rule on the names of the folders under its base path."""

import logging
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass

LARGEST = 2**63 - 1
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Latest:
    """The newest so many versions."""

    count: int = 1


@dataclass(frozen=True)
class Every:
    """All that are there."""


@dataclass(frozen=True)
class Specific:
    """Those that are named, as far as they are there."""

    versions: frozenset[int]


Policy = Latest | Every | Specific


def by_version(names: Iterable[str]) -> dict[int, str]:
    """Version number -> folder name. Leading zeros count for nothing; what isn't a number is passed over.

    Where two folders have one number the last by name wins, with a warning.
    """
    found: dict[int, str] = {}
    for name in sorted(names):
        if not (name.isascii() and name.isdigit()) or int(name) > LARGEST:
            continue
        if int(name) in found:
            log.warning("two folders of version %d: %s is loaded, %s is passed over", int(name), name, found[int(name)])
        found[int(name)] = name
    return found


def wanted(folders: Mapping[int, str], policy: Policy) -> dict[int, str]:
    """The part of `folders` that the policy serves."""
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
