"""Finds the library of an array, and moves arrays. No other file of the package names CuPy.

A function of the engine asks for the library of the array that it gets (`module_of`). There is no global switch: the
flag `--backend` only decides where arrays are *put* (`Backend.put`). So `import minikd` does not import CuPy, and one
process can have NumPy models and CuPy models.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from types import ModuleType

import numpy as np

from minikd.backends.host import host_loops, which_loops
from minikd.errors import BackendError, ConfigError, how_to_install
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
    """Return the library that made `x`, `numpy` or `cupy`. CuPy arrays exist only if CuPy has been imported."""
    cupy = sys.modules.get("cupy")
    return cupy if cupy is not None and isinstance(x, cupy.ndarray) else np


def address_of(x: Array) -> int:
    """Return the address of the first element of `x`, in the memory of the host or of the device."""
    address: int = x.ctypes.data if module_of(x) is np else x.data.ptr  # type: ignore[attr-defined]
    return address


def special_of(x: object) -> ModuleType:
    """Return the special functions (erf) for `x`: scipy.special, or CuPy's version of it."""
    return import_module("scipy.special" if module_of(x) is np else "cupyx.scipy.special")


def kernels_of(x: object) -> ModuleType | None:
    """Return the engine's kernels for `x`: `minikd.backends.cuda` for CuPy's arrays, compiled loops for NumPy's.

    Return None if the NumPy code must do the work: if Numba (the extra `fast`) is not installed, or if the engine does
    not compute in the dtype of `x`.
    """
    if module_of(x) is not np:
        return device_kernels()
    return host_loops() if getattr(x, "dtype", None) in FLOATS else None


def device_kernels() -> ModuleType:
    """Return the engine's kernels for CuPy's arrays, `minikd.backends.cuda`. This needs CuPy."""
    return import_module("minikd.backends.cuda")


def to_host(x: ArrayT) -> ArrayT:
    """Return `x` as a NumPy array: `x` itself, or a copy from the device, for which the host waits."""
    cupy = sys.modules.get("cupy")
    if cupy is None:
        return x
    host: ArrayT = cupy.asnumpy(x)
    return host


@dataclass(frozen=True)
class Backend:
    """Where arrays are put: `name` is "numpy" or "cupy", and `reason` says why it was chosen."""

    name: str
    reason: str

    def put(self, x: ArrayT) -> ArrayT:
        """Return `x` on this backend's device: `x` itself if it is already there."""
        if self.name == "numpy":
            return to_host(x)
        with device_errors():
            on_device: ArrayT = import_module("cupy").asarray(x)
        return on_device


def choose(flag: str = "auto") -> Backend:
    """Return the backend for `--backend auto|numpy|cupy`.

    "auto" chooses CuPy if a device works, and otherwise NumPy. "cupy" raises `BackendError` with the fix if CuPy is
    missing, finds no device, or was built for another CUDA version than the driver's, or if the device's memory is
    full.
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
    """Return why CuPy cannot be used here, with the fix, or None if a kernel ran on a device.

    CuPy can be imported without a GPU. Only a value that the device computed shows that it works.
    """
    try:
        cupy = import_module("cupy")
    except ImportError as error:
        return f"CuPy is not installed: install the extra with {how_to_install('gpu')} ({error})"
    try:
        runtime = cupy.cuda.runtime
        built, driver = runtime.runtimeGetVersion() // 1000, runtime.driverGetVersion() // 1000
        if driver and driver < built:
            return (
                f"CuPy is built for CUDA {built}, but the driver knows CUDA {driver}: replace CuPy with "
                f"pip uninstall cupy-cuda{built}x, then {how_to_install(extra_for(driver))}; or update the driver"
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
    except Exception as error:  # a failed compilation and a missing library have no other common base class
        return (
            f"CuPy could not run a kernel and a matrix product on the device: its CUDA {built} libraries are missing "
            f"or do not fit; install them with {how_to_install(extra_for(built))} ({error})"
        )
    return None


def device_name() -> str:
    """Return the name of the device."""
    runtime = import_module("cupy").cuda.runtime
    name: bytes = runtime.getDeviceProperties(runtime.getDevice())["name"]
    return name.decode()


def extra_for(cuda: int) -> str:
    """Return the name of the extra that installs CuPy and CUDA's libraries for a major version of CUDA."""
    return "gpu" if cuda <= 12 else f"gpu-cuda{cuda}"


@contextmanager
def device_errors() -> Iterator[None]:
    """Turn CuPy's errors of the device inside the `with` block into a `BackendError` with the fix.

    The host does not wait for the device. So the error of a kernel appears at a later call than the one that launched
    it.
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
    """Return True for an error of CuPy, or of CUDA that CuPy reports."""
    return type(error).__module__.startswith("cupy")
