"""Count what is read, kept and dropped, and why: nothing is lost silently.

Names follow one scheme, so that sums can be checked: `rows read` and `rows added: ...` together are `rows kept`, `left
out: ...` and `rejected: ...`; the same holds with the prefixes `items: ` and `users: ` for the tables; `requests
formed` are the splits' requests and `requests left out: ...`. What is kept with a flaw is counted as `kept ...`.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import polars as pl

SAMPLES = 10  # kept of each reason
LINE = "__line__"  # a row's line in a text file or row in a Parquet file, from 0, where ROW isn't that
NO_LABEL = "in state and history, not as a label: "  # before the cause why a labelled action belongs to no list


@dataclass
class Counts:
    """Numbers by name, and samples of rejected rows. Merging is associative and commutative except for which samples
    are kept."""

    numbers: dict[str, int] = field(default_factory=dict)
    samples: dict[str, list[dict[str, str]]] = field(default_factory=dict)

    def add(self, name: str, number: int) -> None:
        """Count `number` under a name; zero leaves no trace."""
        if number:
            self.numbers[name] = self.numbers.get(name, 0) + int(number)

    def reject(self, reason: str, rows: pl.DataFrame, *, number: int | None = None) -> None:
        """Count rows, or the `number` of which these are the first, as `rejected: <reason>`, and keep the first as
        samples."""
        self.add(f"rejected: {reason}", len(rows) if number is None else number)
        self._sample(reason, rows)

    def flaw(self, name: str, rows: pl.DataFrame, *, number: int | None = None) -> None:
        """Count rows, or the `number` of what they hold, that are kept with a flaw as `kept <name>`, and keep the
        first as samples."""
        self.add(f"kept {name}", len(rows) if number is None else number)
        self._sample(name, rows)

    def summary(self) -> str:
        """Return all numbers and the first sample of each reason in one line, for an error."""
        numbers = [f"{name}: {number:,}" for name, number in sorted(self.numbers.items())]
        return "; ".join([*numbers, *(f"{reason}: {rows[0]}" for reason, rows in sorted(self.samples.items()))])

    def _sample(self, reason: str, rows: pl.DataFrame) -> None:
        if len(rows):
            kept = self.samples.setdefault(reason, [])
            for row in rows.head(SAMPLES - len(kept)).iter_rows(named=True):
                if LINE in row:
                    row["__row__"] = row.pop(LINE)
                kept.append({name.removeprefix("c:").strip("_"): _short(value) for name, value in row.items() if value is not None})


def merged(parts: Iterable[Counts], *, prefix: str = "") -> Counts:
    """Return the sum, with `prefix` before every name; samples come in the order of the parts."""
    total = Counts()
    for part in parts:
        for name, number in part.numbers.items():
            total.add(prefix + name, number)
        for reason, rows in part.samples.items():
            kept = total.samples.setdefault(prefix + reason, [])
            kept.extend(rows[: SAMPLES - len(kept)])
    return total


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 100 else f"{text[:100]}… ({len(text):,} characters)"
