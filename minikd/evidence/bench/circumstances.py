"""What a benchmark's numbers depend on besides the code: the machine, the libraries and their numbers of threads."""

import os
from importlib.metadata import PackageNotFoundError, version
from typing import TypedDict

from minikd.machine import cpu
from minikd.training.parallel import cores

OPENBLAS = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")
"""Some machines set these variables, which switch OpenBLAS's fast kernels off."""

VARIABLES = (*OPENBLAS, "OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")

PACKAGES = ("minikd", "numpy", "scipy", "torch", "scikit-learn", "thinc", "autograd", "tinynn")


class Blas(TypedDict):
    """A loaded library of matrix products: its kernels, and its default number of threads."""

    library: str
    version: str
    kernels: str
    threads: int
    loaded_by: str


class BenchConditions(TypedDict):
    """`threads` is the limit for every side. `torch` describes PyTorch's kernels, if it took part."""

    cpu: str
    cores: int
    threads: int
    blas: list[Blas]
    torch: str | None
    versions: dict[str, str]
    environment: dict[str, str]


def circumstances(threads: int, with_torch: bool) -> BenchConditions:
    """Return the machine and the libraries of this process."""
    versions = {}
    for name in PACKAGES:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            continue
    return BenchConditions(
        cpu=cpu(),
        cores=cores(),
        threads=threads,
        blas=libraries(),
        torch=torch_kernels() if with_torch else None,
        versions=versions,
        environment={name: os.environ[name] for name in VARIABLES if name in os.environ},
    )


def libraries() -> list[Blas]:
    """Return every BLAS in this process. NumPy's and SciPy's wheels contain one each."""
    from threadpoolctl import threadpool_info

    return [
        Blas(
            library=one["internal_api"],
            version=one.get("version") or "unknown",
            kernels=one.get("architecture") or "unknown",
            threads=one["num_threads"],
            loaded_by=next((part for part in ("numpy", "scipy") if f"{part}.libs" in one["filepath"]), "the system"),
        )
        for one in threadpool_info()
        if one["user_api"] == "blas"
    ]


def torch_kernels() -> str:
    """Return PyTorch's description of its kernels and threads."""
    import torch

    return f"{torch.backends.cpu.get_cpu_capability()} kernels, {torch.get_num_threads()} threads"
