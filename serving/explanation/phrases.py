"""Put numbers, durations and places in a list into words."""

import math

import numpy as np
from numpy.typing import NDArray

LEAST_OTHERS = 2  # of which there are "most"
_NUMBERS = ("none", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
_UNITS = ((86400, "day"), (3600, "hour"), (60, "minute"), (1, "second"))
_LONGEST = 60  # characters of a text that is quoted


def number_word(count: int) -> str:
    """Return a count as a word up to twelve, beyond as a figure."""
    return _NUMBERS[count] if count < len(_NUMBERS) else f"{count:,}"


def figure(value: float) -> str:
    """Return a number with four digits, a whole one as it is."""
    return f"{value:,.0f}" if value == round(value) and abs(value) < 1e15 else f"{value:.4g}"


def duration(seconds: float) -> str:
    """Return a duration in its largest unit, rounded down: `3 hours`."""
    size, unit = next((each for each in _UNITS if seconds >= each[0]), (1, "second"))
    count = int(seconds // size)
    return f"{count:,} {unit}{'' if count == 1 else 's'}"


def quoted(text: str) -> str:
    """Return a text in quotation marks, shortened."""
    return f'"{text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"}"'


def rank_in_list(values: NDArray[np.float64], candidate: int) -> int:
    """Compare a candidate's number with the others that have one.

    Returns:
        2 above all others, 1 above most (more than half), -1 below most, -2 below all, 0 neither, or too few others.
    """
    own = values[candidate]
    others = np.delete(values, candidate)
    others = others[~np.isnan(others)]
    if math.isnan(own) or len(others) < LEAST_OTHERS:
        return 0
    above, below = int((own > others).sum()), int((own < others).sum())
    if len(others) in (above, below):
        return 2 if above else -2
    return 1 if above > len(others) / 2 else -1 if below > len(others) / 2 else 0
