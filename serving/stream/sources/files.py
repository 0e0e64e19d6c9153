"""Read files of JSON Lines as partitions: the offset of a message is the byte at which its line begins."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from glob import glob
from pathlib import Path
from typing import BinaryIO, final

import numpy as np

from components.contract.errors import InputError
from serving.stream.interface import Assignment, Messages
from serving.stream.sources.lines import LineCutter

_CHUNK_BYTES = 1 << 20
_PAUSE_S = 0.05  # before a file that is followed is looked at again
_LISTED_EVERY_S = 1.0  # new files of a pattern
_LINE_BYTES = 150.0  # of an event, until some were read


@dataclass
class _File:
    """An open file, and the lines of it that were read but not given out yet."""

    handle: BinaryIO
    cutter: LineCutter
    waiting: Messages
    ended: bool = False


@final
class FilesSource:
    """The files that a pattern matches, each a partition that its absolute path names.

    Args:
        pattern: a path or glob; `**` matches any folders.
        assignment: is asked for positions.
        follow: whether to wait for further lines and files at the end; a line without end isn't complete then.

    Raises:
        InputError: no file matches.
    """

    def __init__(self, pattern: str, assignment: Assignment, *, follow: bool = False) -> None:
        self._pattern, self._assignment, self._follow = pattern, assignment, follow
        self._files: dict[str, _File] = {}
        self._listed_s = -_LISTED_EVERY_S
        self._lines, self._bytes = 1.0, _LINE_BYTES
        if not follow and not self._matching():
            raise InputError(f"{pattern}: expected at least one file, found none; check the path")

    def poll(self, *, most: int, timeout_s: float) -> list[Messages]:
        """Return the next lines of each file, the file first that waited longest."""
        deadline = time.monotonic() + timeout_s
        while True:
            self._open_new()
            messages: list[Messages] = []
            left = most
            for path in list(self._files):
                if left == 0:
                    break
                part = self._next(path, left)
                if len(part.values) or part.next_offset > self._position(path):
                    messages.append(part)
                    left -= len(part.values)
                    self._files[path] = self._files.pop(path)  # the others come first next time
            if messages or time.monotonic() >= deadline or self.finished():
                return messages
            time.sleep(min(_PAUSE_S, max(deadline - time.monotonic(), 0)))

    def seek(self, partition: str, offset: int) -> None:
        """Read a file from this byte on."""
        self._files[partition].handle.close()
        self._files[partition] = _opened(partition, offset)

    def lag(self) -> Mapping[str, int]:
        """Return about how many lines wait in each file, by the mean length of those read."""
        sizes = {path: Path(path).stat().st_size if Path(path).exists() else 0 for path in self._files}
        return {path: int(max(size - self._position(path), 0) * self._lines / self._bytes) for path, size in sizes.items()}

    def committed(self, positions: Mapping[str, int]) -> None:
        """Do nothing: no tool shows the lag of this source."""

    def finished(self) -> bool:
        """Return whether all files are read to their end, and none is followed."""
        started = self._listed_s >= 0
        return started and not self._follow and all(file.ended and not file.waiting.values for file in self._files.values())

    def close(self) -> None:
        """Close the files."""
        for file in self._files.values():
            file.handle.close()
        self._files.clear()

    def _matching(self) -> list[str]:
        return sorted(str(Path(path).absolute()) for path in glob(self._pattern, recursive=True) if Path(path).is_file())

    def _open_new(self) -> None:
        """Open files that weren't there before."""
        if time.monotonic() < self._listed_s + _LISTED_EVERY_S or (self._listed_s >= 0 and not self._follow):
            return
        new = [path for path in self._matching() if path not in self._files]
        positions = self._assignment.assigned(new) if new else {}
        for path in new:
            self._files[path] = _opened(path, positions.get(path) or 0)
        self._listed_s = time.monotonic()

    def _position(self, path: str) -> int:
        """Return the byte after the last line that was given out."""
        file = self._files[path]
        return file.waiting.next_offset if not file.waiting.values else int(file.waiting.offsets[0])

    def _next(self, path: str, most: int) -> Messages:
        """Return up to `most` lines of a file."""
        file = self._files[path]
        if not file.waiting.values:
            file.waiting = self._read(path, file)
        part, file.waiting = _split(file.waiting, most)
        return part

    def _read(self, path: str, file: _File) -> Messages:
        chunk = file.handle.read(_CHUNK_BYTES)
        file.ended = not chunk
        before = file.cutter.offset
        offsets, values = file.cutter.lines(chunk, final=file.ended and not self._follow)
        if values:
            self._lines, self._bytes = self._lines + len(values), self._bytes + file.cutter.offset - before
        return Messages(path, offsets, file.cutter.offset, np.zeros(len(values), np.int64), values)


def _opened(path: str, offset: int) -> _File:
    handle = open(path, "rb")  # noqa: SIM115 - open as long as the source
    size = handle.seek(0, 2)
    if size < offset:
        handle.close()
        raise InputError(
            f"{path}: expected the {offset:,} bytes that were read before, and it has {size:,}: another file has taken its name;"
            " give it a name of its own, or another group"
        )
    handle.seek(offset)
    return _File(handle, LineCutter(offset), Messages(path, np.empty(0, np.int64), offset, np.empty(0, np.int64), []))


def _split(messages: Messages, most: int) -> tuple[Messages, Messages]:
    """Split messages after the first `most`."""
    if len(messages.values) <= most:
        none = np.empty(0, np.int64)
        return messages, Messages(messages.partition, none, messages.next_offset, none, [])
    cut = int(messages.offsets[most])
    first = Messages(messages.partition, messages.offsets[:most], cut, messages.times_us[:most], messages.values[:most])
    rest = Messages(messages.partition, messages.offsets[most:], messages.next_offset, messages.times_us[most:], messages.values[most:])
    return first, rest
