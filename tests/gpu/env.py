"""The machine: what is installed, whether each library of CUDA answers, and the card's two ceilings."""

import json
import os
import sys
import time
from importlib.metadata import PackageNotFoundError, version

import cupy
import numpy as np

from minikd.evidence.gpu_check.device import described_device

PACKAGES = ("numpy", "scipy", "cupy-cuda12x", "cupy-cuda13x", "torch", "pytest", "pytest-xdist", "safetensors")


def versions():
    """Return the version of each package, None where it is not installed."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = None
    return found


def microseconds(work, repeats=10):
    """Return the median device time of some work."""
    from cupyx.profiler import benchmark

    return 1e6 * float(np.median(benchmark(work, n_repeat=repeats, n_warmup=3).gpu_times))


def ceilings():
    """Return what the card can do at most: bytes copied, and products of float32."""
    size, side = (2**20, 64) if os.environ.get("DRY") else (2**29, 8192)
    source = cupy.empty(size, "u1")
    target = cupy.empty_like(source)
    x, y = cupy.ones((side, side), "f4"), cupy.ones((side, side), "f4")
    return {
        "copy, TB/s": 2 * size / microseconds(lambda: cupy.copyto(target, source)) / 1e6,
        "float32 product, TFLOP/s": 2 * side**3 / microseconds(lambda: x @ y) / 1e6,  # (S, S) = (S, S) @ (S, S)
    }


def launches():
    """Return what a launch of a small kernel costs: the host to ask for it, the device in a graph of twenty."""
    from minikd.backends.cuda import captured, own_stream

    with own_stream():
        x = cupy.zeros(1, "f4")

        def twenty():
            for _ in range(20):
                cupy.add(x, 1, out=x)

        twenty()
        start = time.perf_counter()
        twenty()
        host = time.perf_counter() - start
        graph = captured(twenty)
        return {
            "eager, µs of the host": 1e6 * host / 20,
            "in a graph, µs of the device": microseconds(lambda: graph.launch()) / 20,
        }


QUESTIONS = {
    "NVRTC, a kernel": lambda: (cupy.arange(3) + 1).sum().item(),
    "cuBLAS, a product": lambda: float((cupy.ones((8, 8), "f4") @ cupy.ones((8, 8), "f4")).sum()),
    "CUB, a sum of rows": lambda: float(cupy.ones((64, 1000), "f4").sum(1).max()),
    "ceilings": ceilings,
    "a launch": launches,
}


def main(path):
    found, failed = {"device": described_device(), "versions": versions()}, []
    for name, ask in QUESTIONS.items():
        try:
            found[name] = ask()
        except Exception as error:  # whatever it is, the other questions must still be asked
            found[name] = f"{type(error).__name__}: {error}"
            failed.append(name)
        print(f"{name}: {found[name]}")
    with open(path, "a", encoding="utf-8") as file:
        file.write(json.dumps({"env": found}) + "\n")
    return f"no answer: {', '.join(failed)}" if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
