"""Replay the exposure log into the state: events after a snapshot, or after the last ingestion."""

import heapq
import json
import logging
import os
import re
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, final

from components.contract.dataset import Dataset
from components.contract.errors import InputError
from components.contract.sources import Impressions
from serving.exposure.log import IMPRESSIONS, INTERACTIONS
from serving.exposure.log_file import COMPLETE, OPEN
from serving.exposure.log_tailer import complete_size, read_new_lines
from serving.exposure.serialization import EventRows
from serving.features.catalogue import Catalogue
from serving.features.events import Changes, ImpressionList, Interaction
from serving.state.interface import Change
from serving.state.marks import MARK_TTL_S
from serving.state.memory import MemoryStates
from serving.state.tombstones import Forgotten

SOURCES = "sources.json"
_KINDS = (IMPRESSIONS, INTERACTIONS)
_NAME = re.compile(rf"(?:{'|'.join(_KINDS)})-\d{{8}}T\d{{6}}-")  # of a file of a log
_WHOLE = 1 << 40  # bytes: more than a file has
_LOG = logging.getLogger(__name__)
Event = ImpressionList | Interaction


@dataclass(frozen=True)
class LogCoverage:
    """Describe which part of a log a state already holds.

    Attributes:
        offsets: file to the offset from which to read it.
        counted: whether an event of a file, at a time, is in the state.
    """

    offsets: Mapping[str, int] = field(default_factory=dict)
    counted: Callable[[str, int], bool] = lambda _file, _time_us: False


def log_read(log: Path) -> dict[str, tuple[int, int]]:
    """Return the files of a log with the size of their complete lines, and their inodes; before a snapshot is taken."""
    files: dict[str, tuple[int, int]] = {}
    for path in sorted(log.iterdir()):
        if not _NAME.match(path.name) or not path.name.endswith((OPEN, COMPLETE)):
            continue
        name = path.name.removesuffix(OPEN).removesuffix(COMPLETE)
        if path.name.endswith(COMPLETE):
            files[name] = (_WHOLE, 0)
        elif name not in files:
            files[name] = _complete_lines(path)
    return files


def _complete_lines(path: Path) -> tuple[int, int]:
    try:
        with path.open("rb") as opened:
            size = complete_size(opened)
            return size, os.fstat(opened.fileno()).st_ino if size else 0
    except FileNotFoundError:  # completed meanwhile
        return 0, 0


def since_snapshot(log: Path, read: Mapping[str, tuple[int, int]]) -> LogCoverage:
    """Return what a snapshot holds, from the log's sizes when it was taken.

    A file that was rewritten since, without forgotten shoppers, is read whole: its lines have moved, and the snapshot
    has the marks of the newest of them.
    """
    inodes = {path.name.removesuffix(OPEN).removesuffix(COMPLETE): path.stat().st_ino for path in log.glob("*.jsonl*")}
    return LogCoverage({file: size for file, (size, inode) in read.items() if size == _WHOLE or inode == inodes.get(file)})


def since_ingestion(log: Path, state: Path, end_us: int | None) -> LogCoverage:
    """Return what ingestion's state holds: the files that it read; if none is of this log, events up to its data's end.

    Args:
        log: the log's folder.
        state: of the ingestion.
        end_us: the time of its newest event.
    """
    ingestion = (
        json.loads((state / SOURCES).read_text()) if (state / SOURCES).exists() else {"files": [], "last_us": end_us, "ends_us": None}
    )
    ingested = {name.removesuffix(COMPLETE) for name in ingestion["files"] if _NAME.match(name)}
    last_us = max((each for each in (ingestion["last_us"], end_us) if each is not None), default=-1)
    ends_us = ingestion["ends_us"]

    def counted(file: str, time_us: int) -> bool:
        if not ingested:
            return time_us <= last_us
        return file in ingested and (ends_us is None or time_us <= ends_us)

    # Of files in the state only the marks of the last hour are needed, so that retries aren't counted twice.
    marked_since_s = time.time() - MARK_TTL_S
    skipped = {
        path.name.removesuffix(COMPLETE): _WHOLE
        for path in log.glob(f"*{COMPLETE}")
        if (written_s := path.stat().st_mtime) < marked_since_s and counted(path.name.removesuffix(COMPLETE), int(written_s * 1e6))
    }
    return LogCoverage(skipped, counted)


@final
class LogReplay:
    """Replay a log into a state in memory.

    Args:
        dataset: of the log.
        catalogue: of the last ingestion.
        pseudonym_of: a shopper's name in the log; None for the id.
    """

    def __init__(self, dataset: Dataset, catalogue: Catalogue, pseudonym_of: Callable[[str], str] | None) -> None:
        self._dataset, self._catalogue, self._pseudonym_of = dataset, catalogue, pseudonym_of
        self._rows = EventRows(dataset)
        self._actions = {written: name for name, written in self._rows.actions.items()}
        self._impression = dataset.candidates.action if isinstance(dataset.candidates, Impressions) else None

    def replay(self, states: MemoryStates, log: Path, coverage: LogCoverage, forgotten: Forgotten) -> int:
        """Add the events that a state lacks, in the order of time; return how many counted.

        Events that the dataset file no longer accepts, as after a change of it, are dropped, and their number logged.
        """
        known = [*states.names(), *self._catalogue.users.ids] if self._pseudonym_of else []
        names = {self._pseudonym_of(name): name for name in known} if self._pseudonym_of else {}
        keys = {name: key for key, name in names.items()}
        changes = Changes(self._dataset, self._catalogue, pseudonym_of=lambda shopper: keys.get(shopper, shopper))
        later: list[Change] = []  # marks of what the state holds come first: a duplicate may be in an earlier file
        rejected, first_error = 0, ""
        streams = [self._events(log, kind, coverage, names, forgotten) for kind in _KINDS]
        for time_us, file, event, context in heapq.merge(*streams, key=lambda each: each[0]):
            try:
                change = changes.from_event(event, now_us=max(time_us, time.time_ns() // 1000), context=context)
            except InputError as error:
                rejected, first_error = rejected + 1, first_error or str(error)
                continue
            if change is None:
                continue
            if coverage.counted(file, time_us):
                states.remember(change)
            else:
                later.append(change)
        if rejected:
            _LOG.warning(
                "%d events of the log are no longer what the dataset file takes, and not in the state; the first: %s", rejected, first_error
            )
        return sum(states.record(change) for change in later)

    def _events(
        self, log: Path, kind: str, coverage: LogCoverage, names: Mapping[str, str], forgotten: Forgotten
    ) -> Iterator[tuple[int, str, Event, dict[str, Any]]]:
        """Yield the events of a kind of files, with lists assembled from their rows."""
        rows: list[dict[str, Any]] = []
        list_file = ""
        for file, row in self._read(log, kind, coverage):
            key = row["user"] or ""
            if forgotten.covers(key, row["time"]) or forgotten.covers(names.get(key, key), row["time"]):
                continue
            row["user"] = names.get(key, key)
            if rows and (row["action"] != self._impression or not _follows(row, rows[-1]) or _list_key(row) != _list_key(rows[0])):
                yield self._impression_list(list_file, rows)
                rows = []
            if row["action"] == self._impression:
                rows, list_file = [*rows, row], file
            else:
                yield row["time"], file, self._interaction(row), self._context_of(row)
        if rows:
            yield self._impression_list(list_file, rows)

    def _read(self, log: Path, kind: str, coverage: LogCoverage) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yield rows by role, with actions by name."""
        for chunk in read_new_lines([log], kind, coverage.offsets):
            for line in chunk.lines:
                try:
                    logged = json.loads(line)
                    row = {role: logged.get(column) for role, column in self._rows.columns.items()}
                    row["action"] = self._actions[row["action"]]
                    row["amounts"] = {name: logged[column] for name, column in self._rows.amounts.items() if logged.get(column) is not None}
                    row["logged"], row["time"] = logged, int(row["time"])
                except (ValueError, KeyError, TypeError, AttributeError):
                    continue  # a torn line, or an action that the dataset file has no more
                yield chunk.file, row

    def _impression_list(self, file: str, rows: list[dict[str, Any]]) -> tuple[int, str, Event, dict[str, Any]]:
        first, items = rows[0], [row["item"] or "" for row in rows]
        event = ImpressionList(
            shopper=first["user"],
            request=first["request"] or "",
            session=first["session"] or "",
            time_us=first["time"],
            items=items,
            first_position=first["position"] or 0,
        )
        return first["time"], file, event, self._context_of(first)

    def _interaction(self, row: dict[str, Any]) -> Interaction:
        return Interaction(
            shopper=row["user"],
            action=row["action"],
            time_us=row["time"],
            item=row["item"] or "",
            request=row["request"] or "",
            session=row["session"] or "",
            amounts=row["amounts"],
        )

    def _context_of(self, row: dict[str, Any]) -> dict[str, Any]:
        context = self._rows.context.items()
        return {feature.name: value for key, feature in context if (value := row["logged"].get(key)) is not None}


def _follows(row: dict[str, Any], before: dict[str, Any]) -> bool:
    """Return whether a row may continue a list; a later page begins another."""
    return bool(row["position"]) and row["position"] > (before["position"] or 0)


def _list_key(row: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(row[role] for role in ("time", "user", "request", "session"))
