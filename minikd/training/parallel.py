"""Work on all cores: threads over shards of a batch, with BLAS held to one thread inside.

NumPy lets go of the interpreter's lock inside its loops and matrix products, so threads run side by side. Left alone,
BLAS would start its own threads for each product: they help the products, but not the copying, pooling and activations
between them, which cost as much.
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
    """Return whether this Python can start threads: the one in a browser cannot."""
    return sys.platform != "emscripten"


@contextmanager
def workers(threads: int | None = None) -> Iterator[Map]:
    """Yield a `map` on so many threads (default: all cores), BLAS on one thread each until the end.

    Memory that is freed is kept for reuse from here on. How many threads there are decides when a shard is computed,
    never what: results do not depend on it.
    """
    from threadpoolctl import threadpool_limits

    count = (threads or cores()) if can_start_threads() else 1
    keep_freed_memory()
    host_loops()  # loads the BLAS that products inside loops call: a limit reaches only what is loaded
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

    The caller takes its share: what it computes it has in its core's cache afterwards, and one item wakes nobody.
    """
    todo = list(enumerate(items))
    results: dict[int, ResultT] = {}

    def work() -> None:
        while todo:
            try:
                i, item = todo.pop(0)
            except IndexError:  # another was faster
                return
            results[i] = function(item)

    futures = [helpers.submit(work) for _ in range(min(most, len(todo) - 1))]
    try:
        work()
    finally:
        for future in futures:
            future.result()
    return [results[i] for i in range(len(results))]
