"""What `.dockerignore` leaves of the checkout: the files that a Dockerfile may copy."""

from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath


class IgnoreFileError(Exception):
    """A pattern that this reader doesn't know; the message holds it."""


def patterns(text: str) -> tuple[str, ...]:
    """The patterns in order.

    Raises:
        IgnoreFileError: one that is neither `*`, nor a path (`!` before it), nor `**/NAME`.
    """
    found = tuple(line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#"))
    for pattern in found:
        rest = pattern.removeprefix("!").removeprefix("**/")
        if rest.startswith(("/", "!")) or "**" in rest or (("*" in rest or "?" in rest) and "/" in rest):
            raise IgnoreFileError(f".dockerignore: expected `*`, `PATH`, `!PATH` or `**/NAME`, got {pattern!r}")
    return found


def ignored(path: str, rules: tuple[str, ...]) -> bool:
    """Whether the file at `path` (relative, with slashes) is left out: the last pattern that fits it, or a folder above it, decides."""
    parts = PurePosixPath(path).parts
    result = False
    for rule in rules:
        wanted = rule.removeprefix("!")
        if wanted.startswith("**/"):
            fits = any(fnmatchcase(part, wanted[3:]) for part in parts)
        else:
            depth = len(PurePosixPath(wanted).parts)
            fits = len(parts) >= depth and fnmatchcase("/".join(parts[:depth]), wanted)
        if fits:
            result = not rule.startswith("!")
    return result


def context(root: Path) -> list[str]:
    """The files that aren't ignored, as sorted relative paths.

    Raises:
        IgnoreFileError: as `patterns`.
    """
    rules = patterns((root / ".dockerignore").read_text(encoding="utf-8"))
    # What no pattern can bring back isn't walked through: an environment has 100,000 files.
    tops = {PurePosixPath(rule.removeprefix("!")).parts[0] for rule in rules if rule.startswith("!")}
    walked = [root / top for top in sorted(tops)] if "*" in rules else [root]
    files = [path for top in walked for path in ([top] if top.is_file() else top.rglob("*")) if path.is_file()]
    return sorted(name for path in files if not ignored(name := path.relative_to(root).as_posix(), rules))
