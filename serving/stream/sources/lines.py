"""Cut a stream of bytes into lines, each with the offset at which it begins."""

from itertools import accumulate
from typing import final

import numpy as np
from numpy.typing import NDArray

LONGEST_LINE = 16 << 20  # bytes; a longer line comes in pieces, so that one without end can't fill the memory


@final
class LineCutter:
    """Lines of one stream, from a byte offset on."""

    def __init__(self, offset: int) -> None:
        self.offset = offset  # of the first byte that is no part of a line yet
        self._rest = b""

    def lines(self, chunk: bytes, *, final: bool) -> tuple[NDArray[np.int64], list[bytes]]:
        """Return the lines that a chunk completes, without their ends, and their offsets; blank lines are left out.

        `final`: what follows the last line end is a line, too.
        """
        text = self._rest + chunk if self._rest else chunk
        parts = text.split(b"\n")
        self._rest = parts.pop()
        if (final and self._rest) or len(self._rest) >= LONGEST_LINE:
            parts.append(self._rest)
            ends = len(text)
            self._rest = b""
        else:
            ends = len(text) - len(self._rest)
        starts = np.fromiter(accumulate((len(part) + 1 for part in parts), initial=self.offset), np.int64, len(parts) + 1)[:-1]
        self.offset += ends
        if b"\r" in text:
            parts = [part.removesuffix(b"\r") for part in parts]
        if b"" in parts:
            kept = [at for at, part in enumerate(parts) if part]
            return starts[kept], [parts[at] for at in kept]
        return starts, parts
