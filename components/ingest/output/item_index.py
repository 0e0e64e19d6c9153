"""Hold the results of the scan that later steps share."""

from dataclasses import dataclass

from components.ingest.counts import Counts
from components.ingest.exchange.interface import Written
from components.ingest.requests.splits import Bounds


@dataclass(frozen=True)
class Index:
    """The result of scanning all blocks."""

    files: dict[int, str]  # the logs' files by number
    window: Bounds
    first_us: int  # of all events
    last_us: int  # of all events
    counts: Counts
    written: tuple[Written, ...]  # by the scan
