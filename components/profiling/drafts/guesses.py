"""Guesses with their certainty, as a table."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from rich.table import Table
from rich.text import Text

_SURE, _LIKELY = 0.75, 0.5


@dataclass(frozen=True)
class Guess:
    """A row of the table: the file, the subject, the guess, its certainty (0 to 1), and the reason."""

    file: str
    what: str
    value: str
    score: float
    why: str

    @property
    def certainty(self) -> str:
        """Word a score."""
        return "sure" if self.score >= _SURE else "likely" if self.score >= _LIKELY else "unsure"


def render_guesses(guesses: Sequence[Guess]) -> Table:
    """Render the table for a terminal."""
    table = Table("file", "what", "taken for", "how sure", "why", box=None, pad_edge=False)
    styles = {"sure": "green", "likely": "yellow", "unsure": "bold red"}
    before = ""
    for guess in guesses:
        certainty = Text(f"{guess.certainty} {guess.score:.0%}", style=styles[guess.certainty])
        table.add_row(Text(guess.file if guess.file != before else ""), Text(guess.what), Text(guess.value), certainty, Text(guess.why))
        before = guess.file
    return table


def guesses_as_json(guesses: Sequence[Guess]) -> list[dict[str, Any]]:
    """Convert the guesses to JSON values."""
    return [{**asdict(guess), "certainty": guess.certainty} for guess in guesses]
