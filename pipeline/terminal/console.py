"""Print results: tables on a console, and JSON."""

import json
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console


def console(width: int = 120) -> "Console":
    """Return a console on standard output, `width` columns wide where that is a file or a pipe."""
    from rich.console import Console  # its import takes a tenth of a second, which printing JSON doesn't need

    terminal = Console()
    return terminal if terminal.is_terminal else Console(width=width)


def print_json(value: Any) -> None:
    """Print a result as JSON on standard output."""
    json.dump(value, sys.stdout, indent=2, ensure_ascii=False)
    print()
