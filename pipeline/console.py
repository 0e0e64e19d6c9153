"""The console that tables are printed on."""

from rich.console import Console

_WIDTH = 120


def console() -> Console:
    """Standard output; where that is a file or a pipe, wide enough for the table of metrics."""
    terminal = Console()
    return terminal if terminal.is_terminal else Console(width=_WIDTH)
