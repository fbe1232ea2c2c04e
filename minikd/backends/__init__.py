"""Which array library an array belongs to, and how to move one. Nothing else in the package knows that CuPy exists.

The engine's functions find their library from the array they receive (`module_of`), never from a global switch: the
flag `--backend` only decides where arrays are *put* (`Backend.put`). So `import minikd` never imports CuPy, and NumPy
and CuPy models can live in one process.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from types import ModuleType

import numpy as np

from minikd.backends.host import host_loops, which_loops
from minikd.errors import BackendError, ConfigError
from minikd.typing import FLOATS, Array, ArrayT

__all__ = [
    "CHOICES",
    "Backend",
    "address_of",
    "choose",
    "cupy_problem",
    "device_errors",
    "device_kernels",
    "device_name",
    "extra_for",
    "kernels_of",
    "module_of",
    "of_cupy",
    "special_of",
    "to_host",
    "which_loops",
]

CHOICES = ("auto", "numpy", "cupy")


def module_of(x: object) -> ModuleType:
    """Return `numpy` or `cupy`, whichever made `x`. A CuPy array can exist only if CuPy was imported already."""
    cupy = sys.modules.get("cupy")
    return cupy if cupy is not None and isinstance(x, cupy.ndarray) else np


def address_of(x: Array) -> int:
    """Return where in the host's memory, or the device's, the first element of `x` lies."""
    address: int = x.ctypes.data if module_of(x) is np else x.data.ptr  # type: ignore[attr-defined]
    return address


def special_of(x: object) -> ModuleType:
    """Return the special functions (erf) that take `x`: scipy.special, or its twin for CuPy's arrays."""
    return import_module("scipy.special" if module_of(x) is np else "cupyx.scipy.special")


def kernels_of(x: object) -> ModuleType | None:
    """Return the engine's own kernels for `x`: `minikd.backends.cuda` for a device's array, compiled loops for NumPy's.

    None where NumPy's lines do the work: Numba, the extra `fast`, is not there, or `x` is of another dtype than the
    engine computes in.
    """
    if module_of(x) is not np:
        return device_kernels()
    return host_loops() if getattr(x, "dtype", None) in FLOATS else None


def device_kernels() -> ModuleType:
    """Return the engine's kernels for CuPy's arrays, `minikd.backends.cuda`; only where CuPy is in use."""
    return import_module("minikd.backends.cuda")


def to_host(x: ArrayT) -> ArrayT:
    """Return `x` as a NumPy array: `x` itself, or a copy off the device (which waits for the device to finish)."""
    cupy = sys.modules.get("cupy")
    if cupy is None:
        return x
    host: ArrayT = cupy.asnumpy(x)
    return host


@dataclass(frozen=True)
class Backend:
    """Where arrays are put: `name` is "numpy" or "cupy", `reason` says in a sentence why this one was taken."""

    name: str
    reason: str

    def put(self, x: ArrayT) -> ArrayT:
        """Return `x` on this backend's device: `x` itself where it is there already."""
        if self.name == "numpy":
            return to_host(x)
        with device_errors():
            on_device: ArrayT = import_module("cupy").asarray(x)
        return on_device


def choose(flag: str = "auto") -> Backend:
    """Return the backend for `--backend auto|numpy|cupy`.

    "auto" takes CuPy only where a device answers, and never fails; "cupy" raises `BackendError` with the fix where
    CuPy is missing, finds no device, is built for another CUDA than the driver's, or the device's memory is full.
    """
    if flag not in CHOICES:
        raise ConfigError(f"backend is {flag!r}, but must be one of {', '.join(CHOICES)}")
    if flag == "numpy":
        return Backend("numpy", "asked for by --backend numpy")
    problem = cupy_problem()
    if problem is None:
        why = "a CUDA device answers" if flag == "auto" else "asked for by --backend cupy"
        return Backend("cupy", f"{why}: {device_name()}")
    if flag == "cupy":
        raise BackendError(problem)
    return Backend("numpy", problem.split(":")[0])


def cupy_problem() -> str | None:
    """Say why CuPy cannot be used here, with the fix; None where a kernel ran on a device.

    "It imports" is not "a GPU answers": only a computed value proves the second.
    """
    try:
        cupy = import_module("cupy")
    except ImportError as error:
        return f"CuPy is not installed: install the extra with pip install 'minikd[gpu]' ({error})"
    try:
        runtime = cupy.cuda.runtime
        built, driver = runtime.runtimeGetVersion() // 1000, runtime.driverGetVersion() // 1000
        if driver and driver < built:
            return (
                f"CuPy is built for CUDA {built}, but the driver knows CUDA {driver}: replace CuPy with "
                f"pip uninstall cupy-cuda{built}x, then pip install {extra_for(driver)}; or update the driver"
            )
        if not runtime.getDeviceCount():
            raise RuntimeError("none is visible")
    except RuntimeError as error:
        return (
            "CuPy found no CUDA device: install NVIDIA's driver, see that nvidia-smi lists a GPU and that "
            f"CUDA_VISIBLE_DEVICES does not hide it, or use --backend numpy ({error})"
        )
    try:
        with device_errors():
            ones = cupy.ones((2, 2), "float32")
            (ones @ ones + 1).sum().item()  # (2, 2) = (2, 2) @ (2, 2): cuBLAS is loaded at the first product
    except BackendError as error:
        return str(error)
    except Exception as error:  # a failed compilation and a missing library share no nearer base class
        return (
            f"CuPy could not run a kernel and a matrix product on the device: its CUDA {built} libraries are missing "
            f"or do not fit; install them with pip install {extra_for(built)} ({error})"
        )
    return None


def device_name() -> str:
    """Return the name of the device that answers."""
    runtime = import_module("cupy").cuda.runtime
    name: bytes = runtime.getDeviceProperties(runtime.getDevice())["name"]
    return name.decode()


def extra_for(cuda: int) -> str:
    """Return the extra that installs CuPy, with CUDA's libraries, for a major version of CUDA."""
    return "'minikd[gpu]'" if cuda <= 12 else f"'minikd[gpu-cuda{cuda}]'"


@contextmanager
def device_errors() -> Iterator[None]:
    """Turn CuPy's errors of the device, wherever they happen inside, into a `BackendError` with the fix.

    A device works on while the host goes on, so a kernel's error shows at a later call than the one that made it.
    """
    try:
        yield
    except MemoryError as error:
        if not of_cupy(error):
            raise
        raise BackendError(
            "the device is out of memory: use smaller batches (--teacher-batch-size, --student-batch-size), close what "
            f"else uses the GPU (nvidia-smi shows it), or use --backend numpy ({error})"
        ) from error
    except RuntimeError as error:
        if not of_cupy(error):
            raise
        raise BackendError(
            f"the device reports {type(error).__name__}: {error}; the cause may be an earlier line: run the command "
            "with "
            "the environment variable CUDA_LAUNCH_BLOCKING=1 to find that line, or use --backend numpy"
        ) from error


def of_cupy(error: Exception) -> bool:
    """Return True for an error of CuPy's own, or of CUDA through it."""
    return type(error).__module__.startswith("cupy")
