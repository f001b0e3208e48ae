"""Compiling the few loops that must be fast, with their result kept on disk where there is a place for it."""

from collections.abc import Callable
from typing import Any, TypeVar, cast

from firsthand.capture.errors import FirsthandError

F = TypeVar("F", bound=Callable[..., Any])


def compiled(function: F) -> F:
    """Compile a function of numbers and arrays with numba; the machine code is cached between runs.

    Where neither the package, the user's cache nor ``NUMBA_CACHE_DIR`` can be written to, it is compiled anew in each process.
    Everything a compiled function calls must be in the same file: numba notices a change only there. Arithmetic stays IEEE, since
    fast-math would drop checks for NaN.
    """
    try:
        from numba import njit
    except ImportError as error:
        raise FirsthandError("robot hands need numba; install it with: pip install 'firsthand[retarget]'") from error
    try:
        return cast(F, njit(cache=True, error_model="numpy")(function))
    except RuntimeError:  # no place for the cache
        return cast(F, njit(error_model="numpy")(function))
