"""Memory: freed blocks stay with the process, and too large allocations are refused in advance.

A step allocates windows, activations and gradients, and frees them. By default, the C library returns large blocks to
the system at once. The next step gets them again, page by page and filled with zeros. With the settings below, the C
library keeps them. So the next step gets the same blocks, some of which are still in the cache. So memory is reused,
although the layers are pure functions that return new arrays.
"""

import ctypes
import sys
from contextlib import suppress
from pathlib import Path

from minikd.errors import SizeError

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
"""Names from malloc.h of the GNU C library."""

CONTAINER_LIMIT = Path("/sys/fs/cgroup/memory.max")
"""The files in which Linux has the memory limit of a container."""

IN_A_PAGE = 2**30
"""The bytes that are assumed to be free in a browser, where Python has 2 GiB in total."""

ASKED_FROM = 2**26
"""For at least this many bytes, `require` asks the system how much memory is free."""


def keep_freed_memory() -> None:
    """Tell the C library to keep freed memory for the next allocation. This works only for the GNU C library."""
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # another C library, or Windows
        return
    mallopt(M_MMAP_THRESHOLD, 2**25)  # take blocks of up to 32 MiB (the limit) from the heap
    mallopt(M_TRIM_THRESHOLD, 2**30)  # and return the end of the heap only if it is more than 1 GiB


def available() -> int:
    """Return how many bytes this process may still allocate: the machine's free memory, or a lower limit."""
    if sys.platform == "emscripten":
        return IN_A_PAGE
    import psutil

    bounds = [int(psutil.virtual_memory().available)]
    with suppress(OSError, ValueError):  # a container's limit, or "max" without one
        bounds.append(int(CONTAINER_LIMIT.read_text()))
    with suppress(ImportError, OSError, ValueError):  # Windows has no such limits
        import resource

        limit = resource.getrlimit(resource.RLIMIT_AS)[0]
        if limit != resource.RLIM_INFINITY:
            bounds.append(limit - int(psutil.Process().memory_info().vms))
    return max(0, min(bounds))


def require(size: int, what: str, fix: str) -> None:
    """Refuse to allocate memory that is not free: `what` would take `size` bytes, and `fix` says what to do instead.

    Raises `SizeError`. Small sizes are not checked, because the check takes time.
    """
    if size > ASKED_FROM and size > (free := available()):
        raise SizeError(f"{what} would take {in_words(size)} of memory, but {in_words(free)} are free; {fix}")


def in_words(size: int) -> str:
    """Return a number of bytes as "512 MB" or "3.2 GB"."""
    for unit, name in ((10**12, "TB"), (10**9, "GB"), (10**6, "MB")):
        if size >= unit:
            return f"{size / unit:,.1f} {name}" if size < 100 * unit else f"{size / unit:,.0f} {name}"
    return f"{size:,} bytes"
