"""The machine of a run: the versions, the processor, the BLAS. Every number in a report depends on them."""

import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TypedDict

PACKAGES = ("minikd", "numpy", "scipy", "matplotlib", "safetensors", "numba", "cupy-cuda12x", "cupy-cuda13x", "torch")


class Machine(TypedDict):
    """The hardware a run was timed on."""

    cpu: str
    cores: int
    threads: int
    blas: str


def versions() -> dict[str, str]:
    """Return Python's version and that of each package that is installed."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def own_version() -> str:
    """Return minikd's version, or "unknown" in a checkout that is not installed."""
    try:
        return version("minikd")
    except PackageNotFoundError:
        return "unknown"


def machine() -> Machine:
    """Return the processor's name, the numbers of cores and threads, and NumPy's BLAS."""
    from minikd.training.parallel import cores

    return Machine(cpu=cpu(), cores=cores(), threads=cores(), blas=blas())


def cpu() -> str:
    """Return the processor's name from the system."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def blas() -> str:
    """Return the name, version and kernel of the matrix-product library that NumPy loaded."""
    from threadpoolctl import threadpool_info

    found = [one for one in threadpool_info() if one["user_api"] == "blas"]
    if not found:
        return "unknown"
    one = found[0]
    return f"{one['internal_api']} {one.get('version') or ''} {one.get('architecture') or ''}".strip()
