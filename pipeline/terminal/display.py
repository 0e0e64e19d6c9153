"""Display the progress of a run: live on a terminal, as plain lines elsewhere."""

import logging
import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Literal, Protocol, TextIO

from rich.console import Console
from rich.progress import Progress, TaskID, TextColumn, TimeElapsedColumn

State = Literal["done", "cached", "failed"]

PROGRESS = "shelfrank.progress"
"""Logger whose messages are shown beside the running step, such as the Trainer's epochs; warnings are notes."""

MIN_INTERVAL_S = 10.0
"""Minimum time between two progress lines of a step where the output isn't a terminal."""

_MARKS = {"done": "[green]✓", "cached": "[cyan]✓", "failed": "[red]✗"}
_STATE_TEXTS = {"done": "", "cached": "from the cache", "failed": "failed"}


class Display(Protocol):
    """Receives the progress of the steps, which run one after the other."""

    def begin(self, step: str) -> None:
        """Show that a step starts."""

    def say(self, text: str) -> None:
        """Show the progress of the running step, in place of earlier progress."""

    def note(self, text: str) -> None:
        """Show a message of the running step that later progress doesn't replace."""

    def end(self, state: State) -> None:
        """Show that the running step has ended."""


class Live:
    """A line for each step, redrawn in place."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._task: TaskID | None = None

    def begin(self, step: str) -> None:
        """Add a line, with a clock."""
        self._task = self._progress.add_task(step, total=1, mark="[yellow]▸", said="")

    def say(self, text: str) -> None:
        """Put the progress beside the step."""
        if self._task is not None:
            self._progress.update(self._task, said=text)

    def note(self, text: str) -> None:
        """Print a line above."""
        if self._task is not None:
            self._progress.console.print(text, style="yellow", markup=False, highlight=False)

    def end(self, state: State) -> None:
        """Stop the clock; the last progress stays."""
        if self._task is not None:
            self._progress.update(self._task, completed=1, mark=_MARKS[state])
            if _STATE_TEXTS[state]:
                self._progress.update(self._task, said=_STATE_TEXTS[state])
            self._task = None


class Lines:
    """A line for each start and end, and at most one in `MIN_INTERVAL_S` seconds for progress.

    The line of the end repeats the last progress that had no line.

    Args:
        out: stream to write to.
        clock: returns seconds.
    """

    def __init__(self, out: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        self._out, self._clock = out, clock
        self._step, self._began_at, self._printed_at, self._pending = "", 0.0, -math.inf, ""

    def begin(self, step: str) -> None:
        """Print `[Trainer] ...`."""
        self._step, self._began_at, self._printed_at, self._pending = step, self._clock(), -math.inf, ""
        self._write("...")

    def say(self, text: str) -> None:
        """Print `[Trainer] epoch 1 of 5`."""
        if not self._step:
            return
        if self._clock() - self._printed_at < MIN_INTERVAL_S:
            self._pending = text
            return
        self._printed_at, self._pending = self._clock(), ""
        self._write(text)

    def note(self, text: str) -> None:
        """Print a line, however recent the last one is."""
        if self._step:
            self._write(text)

    def end(self, state: State) -> None:
        """Print `[Trainer] done, 12.3 s (epoch 5 of 5)`."""
        last = f" ({self._pending})" if self._pending else ""
        self._write(f"{_STATE_TEXTS[state] or state}, {self._clock() - self._began_at:.1f} s{last}")
        self._step = ""

    def _write(self, text: str) -> None:
        print(f"[{self._step}] {text}", file=self._out, flush=True)


@contextmanager
def display(out: TextIO, clock: Callable[[], float] = time.monotonic) -> Iterator[Display]:
    """Yield the display that suits the output, fed by the logger `PROGRESS`; the clock is that of `Lines`."""
    console = Console(file=out)
    columns = (
        TextColumn("{task.fields[mark]}"),
        TextColumn("{task.description:16}"),
        TimeElapsedColumn(),
        TextColumn("{task.fields[said]}", markup=False),
    )
    if not console.is_terminal:
        with _attached_to_logger(Lines(out, clock)) as target:
            yield target
        return
    with (
        Progress(*columns, console=console, redirect_stdout=False, redirect_stderr=False) as progress,
        _attached_to_logger(Live(progress)) as target,
    ):
        yield target


class _DisplayHandler(logging.Handler):
    def __init__(self, target: Display) -> None:
        super().__init__()
        self._display = target

    def emit(self, record: logging.LogRecord) -> None:
        show = self._display.note if record.levelno >= logging.WARNING else self._display.say
        show(record.getMessage())


@contextmanager
def _attached_to_logger(target: Display) -> Iterator[Display]:
    logger, handler = logging.getLogger(PROGRESS), _DisplayHandler(target)
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield target
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
