"""Work on all cores: threads for the shards of a batch, with BLAS limited to one thread in each.

NumPy releases the interpreter's lock inside its loops and matrix products, so threads run at the same time. By default,
BLAS would start threads for each product. They would make the products faster, but not the copying, pooling and
activations between them, which take as long.
"""

import os
import sys
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import Protocol, TypeVar

from minikd.backends.host import host_loops
from minikd.memory import keep_freed_memory

ItemT = TypeVar("ItemT")
ResultT = TypeVar("ResultT")


class Map(Protocol):
    """Like the built-in map: results come in the order of the items."""

    def __call__(self, function: Callable[[ItemT], ResultT], items: Iterable[ItemT], /) -> Iterable[ResultT]: ...


def cores() -> int:
    """Return how many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def can_start_threads() -> bool:
    """Return whether this Python can start threads. Python in a browser cannot."""
    return sys.platform != "emscripten"


@contextmanager
def workers(threads: int | None = None) -> Iterator[Map]:
    """Yield a `map` on this many threads (default: all cores). Inside the `with` block, BLAS has one thread in each.

    From now on, freed memory is kept for reuse. The results do not depend on the number of threads.
    """
    from threadpoolctl import threadpool_limits

    count = (threads or cores()) if can_start_threads() else 1
    keep_freed_memory()
    host_loops()  # loads the BLAS that compiled loops call, because a limit applies only to loaded libraries
    with threadpool_limits(1, user_api="blas"):
        if count == 1:
            yield map
        else:
            with ThreadPoolExecutor(count - 1, thread_name_prefix="minikd") as helpers:
                yield partial(side_by_side, helpers, count - 1)


def side_by_side(
    helpers: ThreadPoolExecutor, most: int, function: Callable[[ItemT], ResultT], items: Iterable[ItemT]
) -> list[ResultT]:
    """Return the function's results in the order of the items, computed by the caller and up to `most` helpers.

    The caller computes a part too: its results are then in its core's cache, and a single item wakes no thread.
    """
    todo = list(enumerate(items))
    results: dict[int, ResultT] = {}

    def work() -> None:
        while todo:
            try:
                i, item = todo.pop(0)
            except IndexError:  # another thread was faster
                return
            results[i] = function(item)

    futures = [helpers.submit(work) for _ in range(min(most, len(todo) - 1))]
    try:
        work()
    finally:
        for future in futures:
            future.result()
    return [results[i] for i in range(len(results))]
