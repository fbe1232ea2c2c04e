"""Memory: freed blocks stay with the process, and what is too large is refused before it is asked for.

A step frees what it allocates: windows, activations, gradients. Left alone, the C library hands large blocks back to
the system at once, and gets them again in the next step, zeroed and page by page. Told to keep them, it gives the next
step the same blocks again, of which the last are still in the cache. So memory is reused, and the layers stay pure
functions that return new arrays.
"""

import ctypes
import sys
from contextlib import suppress
from pathlib import Path

from minikd.errors import SizeError

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
"""Names from malloc.h of the GNU C library."""

CONTAINER_LIMIT = Path("/sys/fs/cgroup/memory.max")
"""Where Linux keeps the memory limit of a container."""

IN_A_PAGE = 2**30
"""Bytes that are taken to be free in a browser, which does not tell: a page's Python has 2 GiB in all."""

ASKED_FROM = 2**26
"""Bytes from which `require` asks the system how much memory is free."""


def keep_freed_memory() -> None:
    """Tell the C library to keep freed memory for the next allocation; where it is not GNU's, nothing changes."""
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # another C library, or Windows
        return
    mallopt(M_MMAP_THRESHOLD, 2**25)  # take blocks of up to 32 MiB, its limit, from the heap
    mallopt(M_TRIM_THRESHOLD, 2**30)  # and give the heap's end back only beyond 1 GiB


def available() -> int:
    """Return how many bytes this process may still take: the machine's free memory, or a limit that is lower."""
    if sys.platform == "emscripten":
        return IN_A_PAGE
    import psutil

    bounds = [int(psutil.virtual_memory().available)]
    with suppress(OSError, ValueError):  # a container's limit; "max" where there is none
        bounds.append(int(CONTAINER_LIMIT.read_text()))
    with suppress(ImportError, OSError, ValueError):  # Windows has no such limits
        import resource

        limit = resource.getrlimit(resource.RLIMIT_AS)[0]
        if limit != resource.RLIM_INFINITY:
            bounds.append(limit - int(psutil.Process().memory_info().vms))
    return max(0, min(bounds))


def require(size: int, what: str, fix: str) -> None:
    """Refuse to ask for memory that is not there: `what` would take `size` bytes, and `fix` says what to do instead.

    Raises `SizeError`. Small sizes are not looked at: the question itself takes time.
    """
    if size > ASKED_FROM and size > (free := available()):
        raise SizeError(f"{what} would take {in_words(size)} of memory, but {in_words(free)} are free; {fix}")


def in_words(size: int) -> str:
    """Return a number of bytes as "512 MB" or "3.2 GB"."""
    for unit, name in ((10**12, "TB"), (10**9, "GB"), (10**6, "MB")):
        if size >= unit:
            return f"{size / unit:,.1f} {name}" if size < 100 * unit else f"{size / unit:,.0f} {name}"
    return f"{size:,} bytes"
