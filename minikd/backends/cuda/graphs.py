"""CUDA graphs: the work of a stream is recorded once, and then launched as a whole."""

from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from threading import Lock, get_ident
from typing import Generic, NamedTuple, TypeVar

import cupy

from minikd.errors import BackendError

ResultT = TypeVar("ResultT")


class Captured(NamedTuple, Generic[ResultT]):
    """Captured work. `launch` repeats it and writes into the arrays of `result`; `pool` holds their memory."""

    launch: Callable[[], None]
    result: ResultT
    pool: object


def captured(work: Callable[[], ResultT]) -> Captured[ResultT]:
    """Record the kernels that `work` launches, with a separate memory pool. Nothing is computed yet.

    Raises every error of the work. It is an error to wait for the device, and to copy to or from it.
    """
    stream, pool = cupy.cuda.get_current_stream(), cupy.cuda.MemoryPool()
    with cupy.cuda.using_allocator(pool.malloc), nothing_copied():
        stream.begin_capture()
        try:
            result = work()
        except BaseException:
            with suppress(Exception):  # the error that broke the capture is the one to raise
                stream.end_capture()
            raise
        graph = stream.end_capture()
    graph.upload(stream)
    return Captured(partial(graph.launch, stream), result, pool)


_one_captures = Lock()


@contextmanager
def nothing_copied() -> Iterator[None]:
    """Refuse copies from the host in this thread. At each launch, a graph would copy the values of that moment.

    Each such copy first allocates pinned memory. CuPy has one allocator of pinned memory for all threads, so only one
    thread may capture at a time.
    """
    usual, here = cupy.get_default_pinned_memory_pool().malloc, get_ident()

    def refuse(size: int) -> object:
        if get_ident() == here:
            raise BackendError("something is copied from the host to the device")
        return usual(size)

    with _one_captures:
        cupy.cuda.set_pinned_memory_allocator(refuse)
        try:
            yield
        finally:
            cupy.cuda.set_pinned_memory_allocator(usual)


_idle: defaultdict[int, list[cupy.cuda.Stream]] = defaultdict(list)
"""For each device, the streams that are not in use. They are used again: each has a cuBLAS handle and memory."""


@contextmanager
def own_stream() -> Iterator[None]:
    """Use a separate stream inside the `with` block, because the default stream cannot be captured."""
    cupy.cuda.get_current_stream().synchronize()
    idle = _idle[cupy.cuda.runtime.getDevice()]
    stream = idle.pop() if idle else cupy.cuda.Stream(non_blocking=True)
    try:
        with stream:
            yield
    finally:
        stream.synchronize()
        idle.append(stream)


def free_bytes() -> int:
    """Return the bytes of the device's memory that are free."""
    free: int = cupy.cuda.runtime.memGetInfo()[0]
    return free
