"""Choose the lengths that lists of candidates are padded to, so that a server sees few shapes."""

from collections.abc import Sequence


def bucket(length: int, lengths: Sequence[int]) -> int:
    """Return the next of ascending `lengths`; beyond the last, a multiple of it, as in the ranking service."""
    return next((each for each in lengths if each >= length), -(-length // lengths[-1]) * lengths[-1])


def shown(longest: int, lengths: Sequence[int]) -> tuple[int, ...]:
    """Return those of `lengths` that lists of up to `longest` candidates are padded to."""
    greatest = bucket(max(longest, 1), lengths)
    return tuple(each for each in lengths if each <= greatest)
