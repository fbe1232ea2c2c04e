"""What only CuPy knows: the device, its driver, the time when work is finished, and the copies that the engine
makes."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple, TypedDict

from minikd.backends import module_of
from minikd.typing import Array


class Device(TypedDict):
    """The device, its driver, and the versions of the libraries that use it."""

    name: str
    compute_capability: str
    memory_gib: float
    driver: str
    driver_cuda: str
    cupy_cuda: str
    cupy: str


class Copies(TypedDict):
    """The number of copies between host and device that the engine makes explicitly, in each direction."""

    to_device: int
    to_host: int


def described_device() -> Device:
    """Return the device and its libraries."""
    import cupy

    runtime = cupy.cuda.runtime
    properties = runtime.getDeviceProperties(runtime.getDevice())
    return Device(
        name=properties["name"].decode(),
        compute_capability=f"{properties['major']}.{properties['minor']}",
        memory_gib=round(properties["totalGlobalMem"] / 2**30, 1),
        driver=driver(),
        driver_cuda=cuda_version(runtime.driverGetVersion()),
        cupy_cuda=cuda_version(runtime.runtimeGetVersion()),
        cupy=cupy.__version__,
    )


def driver() -> str:
    """Return the driver's version, from Linux."""
    try:
        line = Path("/proc/driver/nvidia/version").read_text(errors="replace").splitlines()[0]
    except (OSError, IndexError):
        return "unknown"
    return line.removeprefix("NVRM version:").strip()


def cuda_version(number: int) -> str:
    """Return "12.9" for 12090."""
    return f"{number // 1000}.{number % 1000 // 10}"


class DeviceTime(NamedTuple):
    """Seconds of one piece of work: on the host until all is launched, on the device until all is finished."""

    host: float
    device: float


def marks() -> tuple[Callable[[], object], Callable[[object, object], float]]:
    """Return two functions: one marks the stream's queue, one waits for two marks and returns milliseconds."""
    import cupy

    def mark() -> cupy.cuda.Event:
        event = cupy.cuda.Event()
        event.record()
        return event

    def milliseconds(first: cupy.cuda.Event, second: cupy.cuda.Event) -> float:
        second.synchronize()
        return float(cupy.cuda.get_elapsed_time(first, second))

    return mark, milliseconds


def held_memory() -> float:
    """Return the MiB that CuPy holds on the device, and free what is not used."""
    import cupy

    pool = cupy.get_default_memory_pool()
    held = pool.total_bytes() / 2**20
    pool.free_all_blocks()
    return float(held)


def seconds(work: Callable[[], object]) -> float:
    """Return the seconds that some work takes, from an idle device to an idle device."""
    import cupy

    cupy.cuda.Device().synchronize()
    start = time.perf_counter()
    work()
    cupy.cuda.Device().synchronize()
    return time.perf_counter() - start


def spent(work: Callable[[int], object], count: int) -> DeviceTime:
    """Return the mean seconds of `work(0)` to `work(count - 1)`, launched one after the other without waiting."""
    import cupy

    begin, end = cupy.cuda.Event(), cupy.cuda.Event()
    cupy.cuda.Device().synchronize()
    start = time.perf_counter()
    begin.record()
    for i in range(count):
        work(i)
    end.record()
    host = time.perf_counter() - start
    end.synchronize()
    return DeviceTime(host / count, cupy.cuda.get_elapsed_time(begin, end) / 1000 / count)


@contextmanager
def counting_copies() -> Iterator[Copies]:
    """Count the calls of `cupy.asarray` with an array on the host, and of `cupy.asnumpy` with one on the device."""
    import cupy

    copies, real = Copies(to_device=0, to_host=0), {name: getattr(cupy, name) for name in ("asarray", "asnumpy")}

    def asarray(a: object, *others: object, **named: object) -> Array:
        copies["to_device"] += module_of(a) is not cupy
        array: Array = real["asarray"](a, *others, **named)
        return array

    def asnumpy(a: object, *others: object, **named: object) -> Array:
        copies["to_host"] += module_of(a) is cupy
        array: Array = real["asnumpy"](a, *others, **named)
        return array

    try:
        for counting in (asarray, asnumpy):
            setattr(cupy, counting.__name__, counting)
        yield copies
    finally:
        for name, function in real.items():
            setattr(cupy, name, function)
