"""What results are printed on: tables on a console, and JSON."""

import json
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console

_WIDTH = 120


def console() -> "Console":
    """Standard output; where that is a file or a pipe, wide enough for the table of metrics."""
    from rich.console import Console  # a tenth of a second, which what prints JSON needn't wait for

    terminal = Console()
    return terminal if terminal.is_terminal else Console(width=_WIDTH)


def print_json(value: Any) -> None:
    """A result for a program, on standard output."""
    json.dump(value, sys.stdout, indent=2, ensure_ascii=False)
    print()
