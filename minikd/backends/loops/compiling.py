"""Numba compiles a loop at its first call for a dtype, and stores the machine code for later runs.

`kernel` marks a function that is compiled. The loop is plain Python: `adam.py_func(...)` runs it uncompiled. It
releases the interpreter's lock, so that shards run at the same time.

The compiler may do two things with floats: `contract` joins a product and a sum into one operation, and `nsz` ignores
the sign of a zero. Neither loses a NaN or changes the order of a sum. In a `kernel_of_sums`, the order of a sum may
change (`reassoc`), so that several registers can hold parts of it.

The code is in the user's cache folder, in a separate folder for each version of these files, of Numba and of NumPy. A
lock protects it, because two processes that write at the same time would mix up their files.
"""

import hashlib
import os
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import TypeVar, cast

import numba
import numpy as np
import pooch
from filelock import FileLock
from numba.core import types
from numba.core.caching import FunctionCache, NullCache
from numba.extending import intrinsic

from minikd.backends.loops.compile_bar import CompileBar, compile_bar

FunctionT = TypeVar("FunctionT", bound=Callable[..., object])


def kernel(function: FunctionT) -> FunctionT:
    """Return the function, compiled at its first call."""
    return compiled_with({"contract", "nsz"}, function)


def kernel_of_sums(function: FunctionT) -> FunctionT:
    """Return the same for a function whose sums may be computed in any order."""
    return compiled_with({"contract", "nsz", "reassoc"}, function)


def compiled_with(licences: set[str], function: FunctionT) -> FunctionT:
    """Return the function, compiled at its first call, with these permissions for floats."""
    compiled = numba.njit(nogil=True, fastmath=licences, error_model="numpy")(function)
    compiled._cache = CodeCache(compiled.py_func) if folder() else NoCodeCache()
    return cast(FunctionT, compiled)


@cache
def folder() -> Path | None:
    """Return where the code is stored, or None if nothing can be written there. Then every process compiles again."""
    sources = b"".join(path.read_bytes() for path in sorted(Path(__file__).parent.glob("*.py")))
    versions = f"{numba.__version__} {np.__version__}".encode()
    found = Path(pooch.os_cache("minikd")) / "loops" / hashlib.sha256(sources + versions).hexdigest()[:16]
    try:
        found.mkdir(parents=True, exist_ok=True)
    except OSError:
        return None
    return found if os.access(found, os.W_OK) else None


class CodeCache(FunctionCache):  # type: ignore[misc]
    """Numba's cache of a function's code in `folder`."""

    def __init__(self, function: Callable[..., object]) -> None:
        before, numba.config.CACHE_DIR = numba.config.CACHE_DIR, str(folder())  # only the constructor reads this
        try:
            super().__init__(function)
        finally:
            numba.config.CACHE_DIR = before

    def load_overload(self, signature: object, context: object) -> object:
        """Return the code for these types, or None. Then the function is compiled next, and the user is told."""
        found = super().load_overload(signature, context)
        if found is None:
            bar().begin()
        return found

    def save_overload(self, signature: object, code: object) -> None:
        """Store the code."""
        with FileLock(f"{folder()}/lock"):
            super().save_overload(signature, code)
        bar().end()


class NoCodeCache(NullCache):  # type: ignore[misc]
    """Replaces the cache if no code can be stored."""

    def load_overload(self, signature: object, context: object) -> None:
        """Tell the user that the function is compiled next."""
        bar().begin()

    def save_overload(self, signature: object, code: object) -> None:
        """Tell the user that the function is compiled."""
        bar().end()


def bar() -> CompileBar:
    """Return the bar of the loops that this process compiles."""
    return compile_bar("once" if folder() else "in every process, as its cache folder is not writable")


@intrinsic  # type: ignore[untyped-decorator]
def wide(context: object) -> tuple[object, object]:
    """Let the compiler use registers of 512 bits in the kernel that calls this, if the processor has them.

    LLVM's default on some processors is 256. If LLVM does not know the attribute, nothing changes.
    """

    def generate(context: object, builder: object, signature: object, arguments: object) -> object:
        prefer_wide(builder)
        return context.get_dummy_value()  # type: ignore[attr-defined]

    return types.void(), generate


def prefer_wide(builder: object) -> None:
    """Ask LLVM for registers of 512 bits in the function that is being built.

    llvmlite does not know this attribute and would refuse it, so this code avoids llvmlite's check. If another version
    of llvmlite stores its attributes differently, the kernel is compiled without it: the same results, a little slower.
    """
    attributes = getattr(getattr(builder, "function", None), "attributes", None)
    if isinstance(attributes, set):
        set.add(attributes, '"prefer-vector-width"="512"')
