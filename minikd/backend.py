"""Which array library an array belongs to, and how to move one. Nothing else in the package knows that CuPy exists.

The engine's functions find their library from the array they receive (`module_of`), never from a global switch: the
flag `--backend` only decides where arrays are *put* (`Backend.put`). So `import minikd` never imports CuPy, and NumPy
and CuPy models can live in one process.
"""

import sys
from dataclasses import dataclass
from importlib import import_module
from types import ModuleType

import numpy as np

from minikd.errors import BackendError, ConfigError
from minikd.typing import ArrayT

CHOICES = ("auto", "numpy", "cupy")


def module_of(x: object) -> ModuleType:
    """Return `numpy` or `cupy`, whichever made `x`. A CuPy array can exist only if CuPy was imported already."""
    cupy = sys.modules.get("cupy")
    return cupy if cupy is not None and isinstance(x, cupy.ndarray) else np


def special_of(x: object) -> ModuleType:
    """Return the special functions (erf) that take `x`: scipy.special, or its twin for CuPy's arrays."""
    return import_module("scipy.special" if module_of(x) is np else "cupyx.scipy.special")


def kernels_of(x: object) -> ModuleType | None:
    """Return the engine's own kernels for `x`, `minikd.kernels`, or None where `x` lies on the host."""
    return None if module_of(x) is np else import_module("minikd.kernels")


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
        on_device: ArrayT = import_module("cupy").asarray(x)
        return on_device


def choose(flag: str = "auto") -> Backend:
    """Return the backend for `--backend auto|numpy|cupy`.

    "auto" takes CuPy only where a device answers, and never fails; "cupy" raises `BackendError` with the fix where
    CuPy is missing, or is there without a device that answers.
    """
    if flag not in CHOICES:
        raise ConfigError(f"backend is {flag!r}, but must be one of {', '.join(CHOICES)}")
    if flag == "numpy":
        return Backend("numpy", "asked for by --backend numpy")
    problem = cupy_problem()
    if problem is None:
        return Backend("cupy", "a CUDA device answers" if flag == "auto" else "asked for by --backend cupy")
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
        count = cupy.cuda.runtime.getDeviceCount()
    except RuntimeError as error:
        return f"CuPy found no CUDA device: install NVIDIA's driver, or use --backend numpy ({error})"
    if count == 0:
        return "CuPy found no CUDA device: none is visible (see CUDA_VISIBLE_DEVICES), or use --backend numpy"
    try:
        (cupy.arange(3) + 1).sum().item()
    except Exception as error:  # a failed compilation and a full device share no nearer base class
        return (
            "CuPy could not run a kernel on the device: its build and the driver's CUDA version may differ; "
            f"install cupy-cuda12x[ctk] or cupy-cuda13x[ctk] to match nvidia-smi ({error})"
        )
    return None
