"""CUDA graphs: work that a stream is given is recorded, and launched as a whole from then on."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache, partial
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


@contextmanager
def nothing_copied() -> Iterator[None]:
    """Refuse copies from the host: a graph would copy again what lies there by then."""

    def refuse(size: int) -> None:
        raise BackendError("something is copied from the host to the device")

    cupy.cuda.set_pinned_memory_allocator(refuse)
    try:
        yield
    finally:
        cupy.cuda.set_pinned_memory_allocator(cupy.get_default_pinned_memory_pool().malloc)


@cache
def _stream(device: int) -> cupy.cuda.Stream:
    """Return the one stream beside the default on a device: handles and memory that belong to it stay in use."""
    return cupy.cuda.Stream(non_blocking=True)


@contextmanager
def own_stream() -> Iterator[None]:
    """Work on another stream than the default from here to the end: the default stream cannot be captured."""
    cupy.cuda.get_current_stream().synchronize()
    with _stream(cupy.cuda.runtime.getDevice()) as stream:
        try:
            yield
        finally:
            stream.synchronize()


def free_bytes() -> int:
    """Return how much of the device's memory nobody holds."""
    free: int = cupy.cuda.runtime.memGetInfo()[0]
    return free
