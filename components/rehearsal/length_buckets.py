"""To which lengths a request's candidates are filled up, so that a server sees few shapes."""

from collections.abc import Sequence


def bucket(length: int, lengths: Sequence[int]) -> int:
    """The next of ascending `lengths`; beyond the last, a multiple of it, as the ranking service does."""
    return next((each for each in lengths if each >= length), -(-length // lengths[-1]) * lengths[-1])


def shown(longest: int, lengths: Sequence[int]) -> tuple[int, ...]:
    """Those of `lengths` that lists of up to `longest` candidates are filled up to."""
    greatest = bucket(max(longest, 1), lengths)
    return tuple(each for each in lengths if each <= greatest)
