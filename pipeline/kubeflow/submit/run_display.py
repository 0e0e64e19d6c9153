"""Display the steps of a run on a cluster: live on a terminal, as plain lines elsewhere."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol, TextIO

from rich.console import Console, Group
from rich.live import Live as Redrawn
from rich.table import Table
from rich.text import Text

from pipeline.kubeflow.submit.steps import State, Step

_MARKS: dict[State, str] = {
    "waiting": "[dim]·",
    "starting": "[yellow]▹",
    "running": "[yellow]▸",
    "done": "[green]✓",
    "skipped": "[dim]-",
    "failed": "[red]✗",
    "cancelled": "[red]✗",
}


class RunDisplay(Protocol):
    """Receives the states of all steps at each poll."""

    def show(self, steps: Sequence[Step]) -> None:
        """Show the current state of the steps."""

    def say(self, text: str) -> None:
        """Show a message about the run as a whole."""


class Live:
    """A line for each step, redrawn in place."""

    def __init__(self, redrawn: Redrawn) -> None:
        self._redrawn = redrawn
        self._steps: Sequence[Step] = ()
        self._message = ""

    def show(self, steps: Sequence[Step]) -> None:
        """Redraw each step with its mark, state and time."""
        if [step.state for step in steps] != [step.state for step in self._steps]:
            self._message = ""
        self._steps = steps
        self._draw()

    def say(self, text: str) -> None:
        """Show the message below the steps, until a step changes."""
        self._message = text
        self._draw()

    def _draw(self) -> None:
        table = Table.grid(padding=(0, 1))
        for step in self._steps:
            state_text = "" if step.state in ("done", "waiting") else step.state
            table.add_row(_MARKS[step.state], f"{step.name:18}", duration(step.seconds), state_text)
        self._redrawn.update(Group(table, Text(self._message)) if self._message else table, refresh=True)


class Lines:
    """A line for each change."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._states: dict[str, State] = {}
        self._message = ""

    def show(self, steps: Sequence[Step]) -> None:
        """Print lines such as `[Trainer] running` and `[Trainer] done, 12 min 3 s`."""
        for step in steps:
            if step.state != self._states.get(step.name, "waiting"):
                time_text = f", {duration(step.seconds)}" if step.seconds is not None and step.state not in ("starting", "running") else ""
                print(f"[{step.name}] {step.state}{time_text}", file=self._out, flush=True)
                self._states[step.name] = step.state

    def say(self, text: str) -> None:
        """Print the message, unless it repeats the last one."""
        if text != self._message:
            print(text, file=self._out, flush=True)
        self._message = text


@contextmanager
def run_display(out: TextIO) -> Iterator[RunDisplay]:
    """Yield the display that suits the output."""
    console = Console(file=out)
    if not console.is_terminal:
        yield Lines(out)
        return
    with Redrawn(console=console, auto_refresh=False, redirect_stdout=False, redirect_stderr=False) as redrawn:
        yield Live(redrawn)


def duration(seconds: float | None) -> str:
    """Format as `7 s`, `12 min 3 s` or `2 h 5 min`."""
    if seconds is None:
        return ""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
