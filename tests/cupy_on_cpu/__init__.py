"""The real CuPy wheel on a stand-in device, with no GPU; see README.md.

Real: CuPy's Python and Cython code, its kernel sources, its dtype rules, its checks and error texts. Stand-ins: device
memory (host memory), the kernel compiler (g++ in place of NVRTC), cuBLAS (plain loops).
"""

import ctypes
import importlib.machinery
import importlib.util
import os
import sys

from tests.cupy_on_cpu import build, compiler, replaced_modules

NAMES = ("mallocs", "h2d", "d2h", "d2d", "launches", "syncs", "bytes_h2d", "bytes_d2h", "memsets")

_device = _cublas = None


def install():
    """Make `import cupy` find the stand-in device, and return CuPy. Call it before anything imports CuPy."""
    global _device, _cublas
    home = build.home()
    libs = home / "libs"
    os.environ["CUPY_ACCELERATORS"] = ""  # no CUB: its kernels are prebuilt device code
    sys.path.append(str(home / "site"))
    _device = ctypes.CDLL(str(libs / "libcuda.so.1"), mode=ctypes.RTLD_GLOBAL)
    _device.cpucuda_counters.restype = ctypes.POINTER(ctypes.c_longlong)
    for name in ("libcublasLt.so.12", "libcurand.so.10", "libcublas.so.12"):  # found again by name when CuPy asks
        _cublas = ctypes.CDLL(str(libs / name), mode=ctypes.RTLD_GLOBAL)
    _cublas.cpucuda_products.restype = ctypes.c_longlong
    sys.meta_path.insert(0, Finder(libs / build.runtime_name()))
    import cupy

    if os.environ.get("CPUCUDA_NVRTC"):
        compiler.load_nvrtc(home / "site")
    compiler.take_over(home / "kernels")
    return cupy


def installed():
    """True where CuPy runs on the stand-in."""
    return _device is not None


def counters():
    """Return how often each thing has happened so far: copies by direction, kernels launched, cuBLAS called ..."""
    found = dict(zip(NAMES, _device.cpucuda_counters()[: len(NAMES)], strict=True))
    return {**found, "products": _cublas.cpucuda_products()}


class Finder:
    """Finds the rebuilt runtime module and the Python stand-ins in place of the wheel's own."""

    def __init__(self, runtime):
        self.runtime = runtime
        self.made = {
            "cupy.cuda.thrust": replaced_modules.thrust,
            "cupy.random._generator_api": replaced_modules.generator_api,
        }

    def find_spec(self, name, path=None, target=None):
        if name == "cupy_backends.cuda.api.runtime":
            return importlib.util.spec_from_file_location(name, self.runtime)
        return importlib.machinery.ModuleSpec(name, self) if name in self.made else None

    def create_module(self, spec):
        return self.made[spec.name]()

    def exec_module(self, module):
        pass
