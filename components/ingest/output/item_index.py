"""What the steps after the scan share."""

from dataclasses import dataclass

from components.ingest.counts import Counts
from components.ingest.requests.claims import Written
from components.ingest.requests.splits import Bounds


@dataclass(frozen=True)
class Index:
    """What the scan of all blocks gave.

    `files`: the logs' files by their place; `paths`: the events by shopper; `first_us`, `last_us`: the time they span;
    `written`: what the blocks of requests read.
    """

    files: dict[int, str]
    paths: tuple[str, ...]
    window: Bounds
    first_us: int
    last_us: int
    counts: Counts
    written: Written
