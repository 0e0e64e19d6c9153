"""Shows a run as it goes: live on a terminal, as plain lines elsewhere."""

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
"""Logger whose messages are shown beside the step that is running: ingestion's share, the trainer's epochs; warnings are notes."""

EVERY_S = 10.0
"""Between two lines of one step where the output isn't a terminal: a log that is read afterwards."""

_MARKS = {"done": "[green]✓", "cached": "[cyan]✓", "failed": "[red]✗"}
_SAID = {"done": "", "cached": "from the cache", "failed": "failed"}


class Display(Protocol):
    """Told of the steps, one after the other."""

    def begin(self, step: str) -> None:
        """A step starts."""

    def say(self, text: str) -> None:
        """The step that runs has news."""

    def note(self, text: str) -> None:
        """The step that runs has something to say that no later news may take the place of."""

    def end(self, state: State) -> None:
        """The step that runs has ended."""


class Live:
    """A line for each step, redrawn in place."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._task: TaskID | None = None

    def begin(self, step: str) -> None:
        """A new line, with a clock."""
        self._task = self._progress.add_task(step, total=1, mark="[yellow]▸", said="")

    def say(self, text: str) -> None:
        """The news stands beside the step until there is newer."""
        if self._task is not None:
            self._progress.update(self._task, said=text)

    def note(self, text: str) -> None:
        """A line of its own, above."""
        if self._task is not None:
            self._progress.console.print(text, style="yellow", markup=False, highlight=False)

    def end(self, state: State) -> None:
        """The clock stops; the last news stays."""
        if self._task is not None:
            self._progress.update(self._task, completed=1, mark=_MARKS[state])
            if _SAID[state]:
                self._progress.update(self._task, said=_SAID[state])
            self._task = None


class Lines:
    """A line for each start and end, and for news at most one in `EVERY_S` seconds; the end has the last news that had no line.

    Args:
        out: that is written to.
        clock: gives seconds.
    """

    def __init__(self, out: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        self._out, self._clock = out, clock
        self._step, self._since, self._said_at, self._unsaid = "", 0.0, -math.inf, ""

    def begin(self, step: str) -> None:
        """`[Trainer] ...`."""
        self._step, self._since, self._said_at, self._unsaid = step, self._clock(), -math.inf, ""
        self._write("...")

    def say(self, text: str) -> None:
        """`[Trainer] epoch 1 of 5`."""
        if not self._step:
            return
        if self._clock() - self._said_at < EVERY_S:
            self._unsaid = text
            return
        self._said_at, self._unsaid = self._clock(), ""
        self._write(text)

    def note(self, text: str) -> None:
        """A line, whenever the last one was."""
        if self._step:
            self._write(text)

    def end(self, state: State) -> None:
        """`[Trainer] done, 12.3 s (epoch 5 of 5)`."""
        last = f" ({self._unsaid})" if self._unsaid else ""
        self._write(f"{_SAID[state] or state}, {self._clock() - self._since:.1f} s{last}")
        self._step = ""

    def _write(self, text: str) -> None:
        print(f"[{self._step}] {text}", file=self._out, flush=True)


@contextmanager
def display(out: TextIO, clock: Callable[[], float] = time.monotonic) -> Iterator[Display]:
    """What suits the output, hearing the logger `PROGRESS`; the clock is that of `Lines`."""
    console = Console(file=out)
    columns = (
        TextColumn("{task.fields[mark]}"),
        TextColumn("{task.description:16}"),
        TimeElapsedColumn(),
        TextColumn("{task.fields[said]}", markup=False),
    )
    if not console.is_terminal:
        with _hearing(Lines(out, clock)) as shown:
            yield shown
        return
    with Progress(*columns, console=console, redirect_stdout=False, redirect_stderr=False) as progress, _hearing(Live(progress)) as shown:
        yield shown


class _Ear(logging.Handler):
    def __init__(self, shown: Display) -> None:
        super().__init__()
        self._shown = shown

    def emit(self, record: logging.LogRecord) -> None:
        show = self._shown.note if record.levelno >= logging.WARNING else self._shown.say
        show(record.getMessage())


@contextmanager
def _hearing(shown: Display) -> Iterator[Display]:
    logger, ear = logging.getLogger(PROGRESS), _Ear(shown)
    level = logger.level
    logger.addHandler(ear)
    logger.setLevel(logging.INFO)
    try:
        yield shown
    finally:
        logger.removeHandler(ear)
        logger.setLevel(level)
