"""A report of invented numbers, to draw and to print."""

from minikd.evidence.bench.rows import EMPTY
from minikd.evidence.bench.run import BenchReport

STEP = {
    **EMPTY,
    "work": "teacher",
    "title": "training step, teacher",
    "minikd_ms": 20.0,
    "torch_default_ms": 38.0,
    "torch_best_ms": 16.0,
    "best": "PyTorch, channels-last, fused Adam",
    "roofline_ms": 8.0,
    "ratio_default": 1.9,
    "ratio_best": 0.8,
    "ratio_roofline": 2.5,
    "target_default": 1.7,
    "target_best": 1.0,
    "target_roofline": 2.0,
    "engines_ms": {"tinynn": 1300.0},
    "lacking": {"sklearn": "no convolution"},
    "all_ms": {"minikd": 20.0, "PyTorch": 38.0, "PyTorch, channels-last, fused Adam": 16.0, "tinynn": 1300.0},
    "spread_ms": {"minikd": (19.0, 21.0), "PyTorch": (37.0, 38.0), "PyTorch, channels-last, fused Adam": (16.0, 16.0)},
    "repeats": 15,
}
ONE_IMAGE = {**STEP, "work": "inference-student", "title": "inference, student, one image", "minikd_ms": 0.0173}
MEMORY = {
    **EMPTY,
    "work": "memory",
    "title": "peak memory of that job",
    "minikd_mb": 157.0,
    "torch_default_mb": 470.0,
    "ratio_default": 2.99,
    "target_default": 2.5,
}
MACHINE = {
    "cpu": "A processor",
    "cores": 2,
    "threads": 2,
    "blas": [{"library": "openblas", "version": "0.3", "kernels": "Haswell", "threads": 1, "loaded_by": "numpy"}],
    "torch": "AVX2 kernels, 2 threads",
    "versions": {"minikd": "0.1.0", "numpy": "2.4"},
    "environment": {},
}


def report() -> BenchReport:
    """Return a report with a step, an inference and a memory row."""
    return BenchReport(machine=dict(MACHINE), rows=[dict(STEP), dict(ONE_IMAGE), dict(MEMORY)])


def without_torch() -> BenchReport:
    """Return what a machine without PyTorch would report."""
    empty = ("torch_default_ms", "torch_best_ms", "torch_default_mb", "best", "ratio_default", "ratio_best")
    made = report()
    made["rows"] = [{**row, **dict.fromkeys(empty)} for row in made["rows"]]
    made["machine"]["torch"] = None
    return made
