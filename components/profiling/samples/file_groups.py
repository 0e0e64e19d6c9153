"""Group files of one kind, such as daily files, under one glob pattern."""

import glob
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePath

from components.profiling.samples.column_profile import ColumnProfile, profiled
from components.profiling.samples.sampled_rows import SampledTable

_SAME_COLUMNS = 0.7  # Jaccard index of the columns of two files of one kind: a log gets further columns over the years


@dataclass(frozen=True)
class FileGroup:
    """Files that are read as one source; `pattern` is a path or a glob that matches exactly them."""

    pattern: str
    paths: tuple[str, ...]
    table: SampledTable
    profiles: dict[str, ColumnProfile]

    @property
    def name(self) -> str:
        """The group's name in questions."""
        return PurePath(self.pattern).name


def grouped(tables: Sequence[SampledTable], *, now_us: int) -> list[FileGroup]:
    """Group the files, in the order of their first file. The largest file of a group represents it."""
    groups: list[list[SampledTable]] = []
    for table in tables:
        for group in groups:
            if _alike(table, group[0]) and _glob_of([each.path for each in (*group, table)]) is not None:
                group.append(table)
                break
        else:
            groups.append([table])
    made = []
    for group in groups:
        paths = [table.path for table in group]
        pattern = _glob_of(paths) if len(group) > 1 else paths[0]
        if pattern is None or (len(group) > 1 and sorted(glob.glob(pattern)) != sorted(paths)):
            made += [FileGroup(table.path, (table.path,), table, profiled(table, now_us=now_us)) for table in group]
        else:
            largest = max(group, key=lambda table: len(table.columns) * 1e15 + table.size)
            made.append(FileGroup(pattern, tuple(paths), largest, profiled(largest, now_us=now_us)))
    return made


def _alike(one: SampledTable, other: SampledTable) -> bool:
    if (one.format, one.compression, one.encoding, one.unnest) != (other.format, other.compression, other.encoding, other.unnest):
        return False
    if one.dialect != other.dialect or _skeleton(one.path) != _skeleton(other.path):
        return False
    own, others = set(one.columns), set(other.columns)
    return len(own & others) >= _SAME_COLUMNS * len(own | others)


def _skeleton(path: str) -> str:
    """Replace every number and month name in a path by a placeholder."""
    plain = re.sub(r"(?<![a-z])(jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)(?![a-z])", "#", path, flags=re.IGNORECASE)
    return re.sub(r"\d+", "#", plain)


def _glob_of(paths: Sequence[str]) -> str | None:
    """Make the glob with wildcards only where the paths differ; None where they differ in too little."""
    cut = [path.split(os.sep) for path in paths]
    if len({len(parts) for parts in cut}) > 1:
        return None
    made = []
    for parts in zip(*cut, strict=True):
        if len(set(parts)) == 1:
            made.append(parts[0])
            continue
        start = _common_start(parts)
        end = _common_start([part[len(start) :][::-1] for part in parts])[::-1]
        # `events-2026-0*1.csv` would match but mislead: the wildcard takes whole numbers.
        made.append(f"{re.sub(r'[0-9]+$', '', start)}*{re.sub(r'^[0-9]+', '', end)}")
    return os.sep.join(made)


def _common_start(texts: Sequence[str]) -> str:
    first, last = min(texts), max(texts)
    return first[: next((at for at, (one, other) in enumerate(zip(first, last, strict=False)) if one != other), len(first))]
