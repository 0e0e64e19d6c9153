"""The state made up to date from the exposure log: what happened after a snapshot was taken, or after the last ingestion."""

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
from serving.exposure.log_tailer import read_new_lines
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
_TAIL = 1 << 20  # bytes in which the last line ends
_LOG = logging.getLogger(__name__)
Event = ImpressionList | Interaction


@dataclass(frozen=True)
class Since:
    """What of a log a state holds already.

    Attributes:
        read: file to the bytes of it that needn't be read.
        counted: whether an event of a file, at a time, is in the state.
    """

    read: Mapping[str, int] = field(default_factory=dict)
    counted: Callable[[str, int], bool] = lambda _file, _time_us: False


def log_read(log: Path) -> dict[str, tuple[int, int]]:
    """The files of a log with the bytes of whole lines that are in them now, and their inodes; for a snapshot that is taken afterwards."""
    found: dict[str, tuple[int, int]] = {}
    for path in sorted(log.iterdir()):
        if not _NAME.match(path.name) or not path.name.endswith((OPEN, COMPLETE)):
            continue
        name = path.name.removesuffix(OPEN).removesuffix(COMPLETE)
        if path.name.endswith(COMPLETE):
            found[name] = (_WHOLE, 0)
        elif name not in found:
            found[name] = _whole_lines(path)
    return found


def _whole_lines(path: Path) -> tuple[int, int]:
    try:
        with path.open("rb") as opened:
            begin = max(0, opened.seek(0, os.SEEK_END) - _TAIL)
            opened.seek(begin)
            end = opened.read(_TAIL).rfind(b"\n")
            return (0, 0) if end < 0 else (begin + end + 1, os.fstat(opened.fileno()).st_ino)
    except FileNotFoundError:  # complete since
        return 0, 0


def since_snapshot(log: Path, read: Mapping[str, tuple[int, int]]) -> Since:
    """What a snapshot holds, by what was in the log when it was taken.

    A file that was written anew since, without the lines of who was forgotten, is read whole: its lines have moved, and the snapshot
    remembers the marks of the newest of them.
    """
    inodes = {path.name.removesuffix(OPEN).removesuffix(COMPLETE): path.stat().st_ino for path in log.glob("*.jsonl*")}
    return Since({file: size for file, (size, inode) in read.items() if size == _WHOLE or inode == inodes.get(file)})


def since_ingestion(log: Path, state: Path, end_us: int | None) -> Since:
    """What ingestion's state holds: the files that it has read; where none is of this log, what happened up to its data's end.

    Args:
        log: the log's folder.
        state: of the ingestion.
        end_us: the time of its newest event.
    """
    told = json.loads((state / SOURCES).read_text()) if (state / SOURCES).exists() else {"files": [], "last_us": end_us, "ends_us": None}
    ingested = {name.removesuffix(COMPLETE) for name in told["files"] if _NAME.match(name)}
    last_us = max((each for each in (told["last_us"], end_us) if each is not None), default=-1)
    ends_us = told["ends_us"]

    def counted(file: str, time_us: int) -> bool:
        if not ingested:
            return time_us <= last_us
        return file in ingested and (ends_us is None or time_us <= ends_us)

    # Of files that are in the state all that is wanted is the marks of the last hour, lest what is sent again counts twice.
    fresh_s = time.time() - MARK_TTL_S
    old = {
        path.name.removesuffix(COMPLETE): _WHOLE
        for path in log.glob(f"*{COMPLETE}")
        if (written_s := path.stat().st_mtime) < fresh_s and counted(path.name.removesuffix(COMPLETE), int(written_s * 1e6))
    }
    return Since(old, counted)


@final
class LogReplay:
    """Replays a log into a state in memory.

    Args:
        dataset: whose log it is.
        catalogue: of the last ingestion.
        pseudonym_of: what the log calls a shopper.
    """

    def __init__(self, dataset: Dataset, catalogue: Catalogue, pseudonym_of: Callable[[str], str] | None) -> None:
        self._dataset, self._catalogue, self._pseudonym_of = dataset, catalogue, pseudonym_of
        self._rows = EventRows(dataset)
        self._actions = {written: name for name, written in self._rows.actions.items()}
        self._impression = dataset.candidates.action if isinstance(dataset.candidates, Impressions) else None
        given = [feature for feature in dataset.given("events") if not feature.key.startswith("time.") and feature.side != "item"]
        self._context = {feature.key: feature.name for feature in given}

    def into(self, states: MemoryStates, log: Path, since: Since, forgotten: Forgotten) -> int:
        """Add what the log holds beyond a state, in the order of time; gives how many events counted.

        What the dataset file takes no more, as after a change of it, is left out, and the service's log tells how much.
        """
        known = [*states.names(), *self._catalogue.users.ids] if self._pseudonym_of else []
        names = {self._pseudonym_of(name): name for name in known} if self._pseudonym_of else {}
        keys = {name: key for key, name in names.items()}
        changes = Changes(self._dataset, self._catalogue, pseudonym_of=lambda shopper: keys.get(shopper, shopper))
        later: list[Change] = []  # what the state holds is remembered first: a repetition may stand in an earlier file
        left_out, first = 0, ""
        streams = [self._events(log, kind, since, names, forgotten) for kind in _KINDS]
        for time_us, file, event, context in heapq.merge(*streams, key=lambda each: each[0]):
            try:
                change = changes.from_event(event, now_us=max(time_us, time.time_ns() // 1000), context=context)
            except InputError as error:
                left_out, first = left_out + 1, first or str(error)
                continue
            if change is None:
                continue
            if since.counted(file, time_us):
                states.remember(change)
            else:
                later.append(change)
        if left_out:
            _LOG.warning(
                "%d events of the log are no longer what the dataset file takes, and not in the state; the first: %s", left_out, first
            )
        return sum(states.record(change) for change in later)

    def _events(
        self, log: Path, kind: str, since: Since, names: Mapping[str, str], forgotten: Forgotten
    ) -> Iterator[tuple[int, str, Event, dict[str, Any]]]:
        """The events of a kind of files, lists put together from their rows."""
        shown: list[dict[str, Any]] = []
        of_file = ""
        for file, row in self._read(log, kind, since):
            key = row["user"] or ""
            if forgotten.covers(key, row["time"]) or forgotten.covers(names.get(key, key), row["time"]):
                continue
            row["user"] = names.get(key, key)
            if shown and (row["action"] != self._impression or not _follows(row, shown[-1]) or _list_of(row) != _list_of(shown[0])):
                yield self._shown(of_file, shown)
                shown = []
            if row["action"] == self._impression:
                shown, of_file = [*shown, row], file
            else:
                yield row["time"], file, self._done(row), self._context_of(row)
        if shown:
            yield self._shown(of_file, shown)

    def _read(self, log: Path, kind: str, since: Since) -> Iterator[tuple[str, dict[str, Any]]]:
        """Rows by role; an action by its name."""
        for chunk in read_new_lines([log], kind, since.read):
            for line in chunk.lines:
                try:
                    told = json.loads(line)
                    row = {role: told.get(column) for role, column in self._rows.columns.items()}
                    row["action"] = self._actions[row["action"]]
                    row["amounts"] = {name: told[column] for name, column in self._rows.amounts.items() if told.get(column) is not None}
                    row["told"], row["time"] = told, int(row["time"])
                except (ValueError, KeyError, TypeError, AttributeError):
                    continue  # a torn line, or an action that the dataset file has no more
                yield chunk.file, row

    def _shown(self, file: str, rows: list[dict[str, Any]]) -> tuple[int, str, Event, dict[str, Any]]:
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

    def _done(self, row: dict[str, Any]) -> Interaction:
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
        return {name: value for key, name in self._context.items() if (value := row["told"].get(key)) is not None}


def _follows(row: dict[str, Any], before: dict[str, Any]) -> bool:
    """Whether an item of a list may stand in one with that before it; a later page begins anew."""
    return bool(row["position"]) and row["position"] > (before["position"] or 0)


def _list_of(row: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(row[role] for role in ("time", "user", "request", "session"))
