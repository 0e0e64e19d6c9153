"""Return freed memory to the operating system."""

import ctypes
from contextlib import suppress


def trim() -> None:
    """Call glibc's `malloc_trim`, after a load (parsing takes more memory than the model keeps) or an unload.

    The C library keeps freed memory for reuse, in an arena for each thread; with versions that come and go that grows
    beyond a quarter of the process. Where the library isn't glibc nothing happens.
    """
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
