"""Hold the results of the scan that later steps share."""

from dataclasses import dataclass

from components.ingest.counts import Counts
from components.ingest.requests.claims import Written
from components.ingest.requests.splits import Bounds


@dataclass(frozen=True)
class Index:
    """The result of scanning all blocks.

    `files`: the logs' files by their number; `paths`: the events by user; `first_us`, `last_us`: the time they span;
    `written`: what the blocks of requests read.
    """

    files: dict[int, str]
    paths: tuple[str, ...]
    window: Bounds
    first_us: int
    last_us: int
    counts: Counts
    written: Written
