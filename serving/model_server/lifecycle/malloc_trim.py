"""Memory that was freed, given back to the system."""

import ctypes
from contextlib import suppress


def give_back() -> None:
    """To be called when much was freed, as by a model that has been loaded (its parsing takes more than it keeps) or has gone.

    The C library keeps freed memory for what comes next, a part of it for each thread; with versions that come and go that is a quarter of
    the process, and grows. Where the library isn't glibc nothing happens.
    """
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
