"""Define the blocks that files are read in, and the columns that locate a raw row."""

from dataclasses import dataclass

FILE, ROW = "__file__", "__row__"  # columns of raw frames: the row's file, and its index in that file from 0
BLOCK_ROWS = 500_000  # of a Parquet file: enough to be quick, and small for a worker's memory


@dataclass(frozen=True)
class Block:
    """A part of a file: some row groups of a Parquet file, or a whole text file."""

    order: int  # index among all blocks of the data set
    source: int  # index in `events`
    path: str
    file_order: int  # index among all files
    first_row: int  # index in the file
    row_groups: tuple[int, ...] = ()
    first_unnested: int = 0  # where arrays are unnested: a number above that of all elements before
