"""What was taken for what, and how sure that is."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from rich.table import Table
from rich.text import Text

_SURE, _LIKELY = 0.75, 0.5


@dataclass(frozen=True)
class Guess:
    """A line of the table: in which file, what, taken for what, how sure (0 to 1), and why."""

    file: str
    what: str
    value: str
    score: float
    why: str

    @property
    def certainty(self) -> str:
        """The score in a word."""
        return "sure" if self.score >= _SURE else "likely" if self.score >= _LIKELY else "unsure"


def render_guesses(guesses: Sequence[Guess]) -> Table:
    """The table for a terminal."""
    table = Table("file", "what", "taken for", "how sure", "why", box=None, pad_edge=False)
    styles = {"sure": "green", "likely": "yellow", "unsure": "bold red"}
    before = ""
    for guess in guesses:
        certainty = Text(f"{guess.certainty} {guess.score:.0%}", style=styles[guess.certainty])
        table.add_row(Text(guess.file if guess.file != before else ""), Text(guess.what), Text(guess.value), certainty, Text(guess.why))
        before = guess.file
    return table


def guesses_as_json(guesses: Sequence[Guess]) -> list[dict[str, Any]]:
    """The same for a program."""
    return [{**asdict(guess), "certainty": guess.certainty} for guess in guesses]
