"""CUDA graphs: work that a stream is given is recorded, and launched as a whole from then on."""

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
    """Captured work: `launch` does it again, into the arrays of `result`; `pool` holds their memory."""

    launch: Callable[[], None]
    result: ResultT
    pool: object


def captured(work: Callable[[], ResultT]) -> Captured[ResultT]:
    """Record what `work` asks of the device, in memory of its own; nothing is computed yet.

    Raises whatever the work raises, for one where it waits for the device or copies something there or back.
    """
    stream, pool = cupy.cuda.get_current_stream(), cupy.cuda.MemoryPool()
    with cupy.cuda.using_allocator(pool.malloc), nothing_copied():
        stream.begin_capture()
        try:
            result = work()
        except BaseException:
            with suppress(Exception):  # what broke the capture is being said
                stream.end_capture()
            raise
        graph = stream.end_capture()
    graph.upload(stream)
    return Captured(partial(graph.launch, stream), result, pool)


_one_captures = Lock()


@contextmanager
def nothing_copied() -> Iterator[None]:
    """Refuse this thread's copies from the host: a graph would copy again what lies there by then.

    Every such copy asks for pinned memory first. CuPy has one allocator of it for all threads, so one captures a time.
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
"""By device, the streams that nobody works on: the next one takes them, with cuBLAS's handles and memory for them."""


@contextmanager
def own_stream() -> Iterator[None]:
    """Work on a stream of one's own from here to the end: the default stream cannot be captured."""
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
    """Return how much of the device's memory nobody holds."""
    free: int = cupy.cuda.runtime.memGetInfo()[0]
    return free
