"""numba's `njit`, typed, with this project's settings."""

from collections.abc import Callable
from typing import TypeVar, cast

import numba

F = TypeVar("F", bound=Callable[..., object])


def compiled(function: F) -> F:
    """Compile a function at its first call, without the interpreter lock, and cache the machine code.

    `fastmath` stays off: the order of float operations is part of the definition of state, and must not depend on the
    compiler. Compiled functions change the arrays they are passed and allocate none, so numba's reference counting is
    off (`_nrt`) and calls between them are inlined: a row of a replay then takes 50 ns instead of 600 ns.

    The cache lies beside the source, else in numba's folder of the user (`NUMBA_CACHE_DIR` moves it). Where neither can
    be written, as in a container with a read-only root, numba refuses to cache at all; the function is then compiled in
    each process. A cached function isn't compiled again when one that it calls changes in *another* file, nor when the
    settings here change: keep callers and callees in one module, and remove the cache after a change here.
    """
    dispatcher = numba.njit(nogil=True, fastmath=False, error_model="numpy", forceinline=True, _nrt=False)(function)  # type: ignore[call-overload]
    try:
        dispatcher.enable_caching()
    except RuntimeError as refusal:
        if "cannot cache" not in str(refusal):
            raise
    return cast("F", dispatcher)
