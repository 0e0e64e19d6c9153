"""Find the lines of a log that name a request: in complete files by their indexes, in those still written by reading them."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from components.contract.errors import InputError
from components.contract.storage.file_lock import locked_for_reading
from pipeline.audit.request_index import SUFFIX, IndexedFile, offsets, open_index, remove_orphans
from serving.exposure.erase import read_requests
from serving.exposure.log_file import COMPLETE, OPEN

FOLDER = "audit"
"""Of the indexes, in a log's folder."""

Say = Callable[[str], None]


@dataclass(frozen=True)
class LoggedLine:
    """A line of the log: its content, its file with the offset in bytes, and the file's SHA-256 when it was indexed.

    `sha256` is "" for a file that is still written.
    """

    row: dict[str, Any]
    file: Path
    offset: int
    sha256: str


@dataclass
class Searched:
    """Count what was searched: files and their lines, files that are still written, and what couldn't be."""

    files: int = 0
    lines: int = 0
    open_files: int = 0
    open_lines: int = 0
    unreadable: int = 0
    erased: int = 0
    built: int = 0

    def sentence(self, what: str) -> str:
        """Say what was searched, and what isn't there any more."""
        parts = [f"{self.lines:,} {what} in {self.files:,} complete files"]
        if self.open_files:
            parts.append(f"{self.open_lines:,} in {self.open_files:,} that are still written")
        text = " and ".join(parts)
        if self.unreadable:
            text += f"; {self.unreadable:,} lines can't be read"
        if self.erased:
            text += f"; {self.erased:,} lines have gone since their files were first indexed, as those of forgotten shoppers do"
        return text


def log_folders(logs: Sequence[Path]) -> list[Path]:
    """Return the folders of logs: each named one, and those in it, where a service's instances have one each.

    Raises:
        InputError: one isn't there.
    """
    for log in logs:
        if not log.is_dir():
            raise InputError(f"{log}: expected the folder of an exposure log, there is none; name the service's --log")
    return [
        folder for log in logs for folder in (log, *sorted(inner for inner in log.iterdir() if inner.is_dir() and inner.name != FOLDER))
    ]


def find_lines(
    folders: Sequence[Path], kind: str, field: str, requests: Sequence[str], *, index: Path | None, say: Say
) -> tuple[Mapping[str, list[LoggedLine]], Searched]:
    """Find all lines of these requests, in the order of files and lines.

    Args:
        folders: of the logs, see `log_folders`.
        kind: of files: `decisions` or `interactions`.
        field: of the lines, that holds the request's id.
        requests: their ids.
        index: folder of the indexes; None: `audit` in each log's folder.
        say: called with the progress.

    Raises:
        OSError: a file can't be read, or an index can't be written.
    """
    by_request: dict[str, list[LoggedLine]] = {request: [] for request in requests}
    searched = Searched()
    # First what is still written: a file that is completed meanwhile is then among the complete ones.
    still_open = [path for folder in folders for path in sorted(folder.glob(f"{kind}-*{OPEN}"))]
    with locked_for_reading([str(folder / kind) for folder in folders]):
        by_folder = {folder: sorted(folder.glob(f"{kind}-*{COMPLETE}")) for folder in folders}
        total = sum(map(len, by_folder.values()))
        for folder, files in by_folder.items():
            indexes = folder / FOLDER if index is None else index
            if files:
                indexes.mkdir(mode=0o750, parents=True, exist_ok=True)
            for file in files:
                _find_in_complete(file, indexes / f"{file.name}{SUFFIX}", field, by_request, searched)
                say(f"{searched.files:,} of {total:,} files of {kind}, {searched.built:,} newly indexed")
            if index is None and indexes.is_dir():
                remove_orphans(indexes, [path.name for path in folder.glob(f"*{COMPLETE}")])
        complete = {path.name for files in by_folder.values() for path in files}
        for file in still_open:
            if file.name.removesuffix(OPEN) + COMPLETE not in complete:
                _find_in_open(file, field, by_request, searched)
    return by_request, searched


def _find_in_complete(file: Path, index: Path, field: str, by_request: dict[str, list[LoggedLine]], searched: Searched) -> None:
    before = index.stat().st_ino if index.exists() else None
    connection, facts = open_index(index, file, field)
    with closing(connection):
        at = {request: offsets(connection, request) for request in by_request}
    searched.built += index.stat().st_ino != before
    searched.files, searched.lines = searched.files + 1, searched.lines + facts.lines
    searched.unreadable, searched.erased = searched.unreadable + facts.unreadable, searched.erased + facts.erased
    for request, begins in at.items():
        by_request[request] += _lines_at(file, begins, request, field, facts)


def _lines_at(file: Path, begins: Sequence[int], request: str, field: str, facts: IndexedFile) -> Iterator[LoggedLine]:
    if not begins:
        return
    with file.open("rb") as opened:
        for begin in begins:
            opened.seek(begin)
            try:
                row = json.loads(opened.readline())
            except ValueError:
                raise OSError(f"{file}: was rewritten while it was read; run the command again") from None
            if row.get(field) == request:  # else another id has the same hash
                yield LoggedLine(row, file, begin, facts.sha256)


def _find_in_open(file: Path, field: str, by_request: dict[str, list[LoggedLine]], searched: Searched) -> None:
    needles = {request: f'"{field}":{json.dumps(request)}'.encode() for request in by_request}
    try:
        opened = file.open("rb")
    except FileNotFoundError:  # removed as empty, or completed after the complete files were listed: the next call finds it
        return
    with opened:
        offset = 0
        searched.open_files += 1
        for line in opened:
            if line.endswith(b"\n"):
                searched.open_lines += 1
                for request, needle in needles.items():
                    if needle in line and (row := json.loads(line)).get(field) == request:
                        by_request[request].append(LoggedLine(row, file, offset, ""))
            offset += len(line)


def erasure_requests(folders: Sequence[Path]) -> dict[str, int]:
    """Return whose lines are to be erased, up to which time in microseconds, though some are still there."""
    until_us: dict[str, int] = {}
    for request in (request for folder in folders for request in read_requests(folder).values()):
        until_us[request["shopper"]] = max(until_us.get(request["shopper"], 0), int(request["time_us"]))
    return until_us
