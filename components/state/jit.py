"""numba's `njit` with its settings in one place, and typed."""

from collections.abc import Callable
from types import FunctionType
from typing import Any, TypeVar, cast

import numba

F = TypeVar("F", bound=Callable[..., object])


def compiled(function: F) -> F:
    """Compile a function at its first call, without the interpreter lock, and cache the machine code.

    `fastmath` stays off: the order of float operations is part of the definition of state, and must not depend on who compiles it.
    Compiled functions change arrays that they are given and make none, so numba's reference counting is off (`_nrt`) and calls between
    them are inlined: a row of a replay takes 50 ns so, and 600 ns otherwise.

    The cache lies beside the source, else in numba's folder of the user (`NUMBA_CACHE_DIR` moves it). Where neither can be
    written, as in a container with a read-only root, numba refuses to cache at all; the function is then compiled in each process.
    A cached function isn't compiled again when one that it calls changes in *another* file, nor when the settings here change: callers
    and callees live in one module, and after a change here the cache is to be removed.
    """
    dispatcher = numba.njit(nogil=True, fastmath=False, error_model="numpy", forceinline=True, _nrt=False)(function)  # type: ignore[call-overload]
    try:
        dispatcher.enable_caching()
    except RuntimeError as refusal:
        if "cannot cache" not in str(refusal):
            raise
    return cast("F", dispatcher)


def compiled_beside(function: F, scope: dict[str, Any]) -> F:
    """Compile a function that finds what it calls in `scope`, where its own machine code is put; the function itself stays as it is."""
    assert isinstance(function, FunctionType)
    made = compiled(cast("F", FunctionType(function.__code__, scope, function.__name__)))
    scope[function.__name__] = made
    return made
