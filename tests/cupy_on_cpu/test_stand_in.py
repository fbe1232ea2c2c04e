"""The stand-in device itself: does it count, refuse and compile what the rest of the suite relies on?"""

import os
import pkgutil
import re
from dataclasses import replace
from importlib import import_module

import numpy as np
import pytest

from minikd import losses, models, optim
from minikd.backends import Backend
from minikd.data import Augmentation, Views
from minikd.losses.weighted import weighted_sum
from minikd.methods import Labels
from minikd.nn import Conv2d, Dropout, Flatten, Linear, MaxPool2d, ReLU, Sequential
from minikd.training import Plan, fit
from tests import border
from tests.cupy_on_cpu import compiler

DEVICE = Backend("cupy", "")


@pytest.fixture
def spent(counters):
    """A function that returns what some work costs."""

    def of(work):
        before = counters()
        work()
        return {name: count - before[name] for name, count in counters().items() if count != before[name]}

    return of


def test_each_copy_launch_and_product_is_counted(spent):
    host = np.ones((3, 3), np.float32)
    there = DEVICE.put(host)
    for work in (lambda: there + there, lambda: there @ there):
        work()  # the first time compiles, and makes handles
    assert spent(lambda: DEVICE.put(host)).items() >= {"h2d": 1, "bytes_h2d": 36}.items()
    assert spent(lambda: there.get()).items() >= {"d2h": 1, "bytes_d2h": 36}.items()
    assert spent(lambda: there + there) == {"launches": 1}
    assert spent(lambda: there @ there) == {"products": 1}
    assert spent(lambda: there[np.array([0, 2])])["h2d"] == 1, "the hidden copy of a host index"


def test_fresh_memory_is_poisoned(counters):
    import cupy

    fresh = cupy.ndarray(4, np.uint8, cupy.cuda.MemoryPointer(cupy.cuda.Memory(512), 0))  # not from CuPy's pool
    assert fresh.get().tolist() == [0xA5] * 4


def test_kernels_round_as_asked(counters):
    """1 + 2ε + ε² less 1 and 2ε: nothing is left where the product is rounded before the sum, ε² where it is fused."""
    import cupy

    with border.closed():
        fused = cupy.ElementwiseKernel("float32 x, float32 z", "float32 y", "y = x * x - z", "fused_or_not")
        eps = np.float32(2.0**-12)
        found = float(fused(cupy.full(1, 1 + eps), cupy.full(1, 1 + 2 * eps))[0])
        subnormal = float((cupy.full(1, 1e-38, cupy.float32) * np.float32(0.1))[0])
    assert found == (float(eps) ** 2 if compiler.gpu_rounding() else 0.0)
    assert (subnormal == 0.0) == compiler.gpu_rounding()


def test_what_is_captured_is_done_when_its_graph_is_launched_and_not_before(counters):
    import cupy

    with border.closed():
        x, y = cupy.ones(4, cupy.float32), cupy.zeros(4, cupy.float32)
        cupy.add(x, 1.0, out=y)  # the first time compiles
        y.fill(0)
        stream = cupy.cuda.Stream(non_blocking=True)
        with stream:
            stream.begin_capture()
            cupy.add(x, 1.0, out=y)
            cupy.multiply(y, 3.0, out=y)
            graph = stream.end_capture()
        assert y.get().tolist() == [0.0] * 4
        x.fill(2.0)
        graph.launch(stream)
        assert y.get().tolist() == [9.0] * 4
        x.fill(4.0)
        graph.launch(stream)
        assert y.get().tolist() == [15.0] * 4


def test_waiting_for_a_stream_under_capture_is_refused_as_cuda_does(counters):
    import cupy

    with border.closed():
        stream = cupy.cuda.Stream(non_blocking=True)
        with stream:
            stream.begin_capture()
            with pytest.raises(cupy.cuda.runtime.CUDARuntimeError, match="Capture"):
                stream.synchronize()
            stream.end_capture()


@pytest.fixture
def nvrtc(counters):
    if not os.environ.get("CPUCUDA_NVRTC"):
        pytest.skip("NVIDIA's compiler is asked for by CPUCUDA_NVRTC=90")


def test_nvidias_compiler_refuses_what_is_no_cuda(nvrtc):
    """g++ would take it: a call of a host function."""
    import cupy

    source = 'extern "C" __global__ void wrong(float* x) { x[0] = std::strtof("1", nullptr); }'
    with pytest.raises(cupy.cuda.compiler.CompileException, match="strtof"):
        cupy.RawKernel(source, "wrong").compile()


def test_nvidias_compiler_accepts_every_kernel_of_the_engine_in_both_dtypes(nvrtc):
    from minikd.backends import cuda as kernels

    with border.closed():
        for dtype in ("float32", "float64"):
            use_every_kernel(dtype)
    found = {}
    for name, digest in compiler.checked:
        found.setdefault(name, set()).add(digest)
    modules = [import_module(f"{kernels.__name__}.{one.name}") for one in pkgutil.iter_modules(kernels.__path__)]
    values = [value for module in modules for value in vars(module).values()]
    own = {value.name for value in values if type(value).__name__ == "ElementwiseKernel"}
    for source in (value for value in values if isinstance(value, str)):
        own |= set(re.findall(r"__global__ void (?:__launch_bounds__\(\d+\) )?(\w+)\(", source))
    assert len(own) >= 15
    few = {name: len(found.get(name, ())) for name in own if len(found.get(name, ())) < 2}
    assert few.keys() <= {"minikd_draw", "minikd_smooth_along_rows"}, few  # float32 whatever the model's dtype is
    assert 0 not in few.values(), few


def use_every_kernel(dtype):
    model = models.teacher("cnn", (1, 8, 8), 3, np.random.default_rng(0), 0.0).astype(dtype).to(DEVICE)
    logits, cache = model.forward(DEVICE.put(np.random.default_rng(1).standard_normal((2, 1, 8, 8)).astype(dtype)))
    _, dlogits = losses.distillation_loss(logits, 2 * logits, np.array([0, 2]))
    gradient = model.flat_gradient(model.backward(dlogits, cache)[1])
    for optimizer in (optim.SGD(), optim.SGD(momentum=0.9), optim.Adam()):
        optimizer.step(model.vector, gradient, optimizer.init(model.vector), 0.1)
    rng, x = np.random.default_rng(2), DEVICE.put(np.ones((2, 2, 9, 9), dtype))
    others = Sequential(Conv2d(2, 2, 3, rng, stride=2, groups=2), ReLU(), MaxPool2d(3, 1)).astype(dtype).to(DEVICE)
    y, cache = others.forward(x)
    others.backward(y, cache)
    y, cache = others.layers[0].forward(x)  # layer by layer, a convolution gathers windows
    others.layers[0].backward(y, cache)
    losses.log_softmax(logits)
    weighted_sum([(0.5, logits), (0.5, logits)])
    images = rng.integers(0, 255, (7, 1, 4, 4), np.uint8)
    views = Views(images, np.arange(7) % 3, (0.5,), (0.5,), dtype=np.dtype(dtype).type)
    varied = replace(views, augmentation=Augmentation(shift=1.0, elastic=1.0))
    for optimizer, momentum, seen in (("adam", 0.9, views), ("sgd", 0.9, views), ("sgd", 0.0, varied)):
        layers = Flatten(), Linear(16, 4, rng), ReLU(), Dropout(0.2), Linear(4, 3, rng)
        fit(
            Sequential(*layers).astype(dtype).to(DEVICE),
            seen,
            Labels(),
            Plan(epochs=2, batch_size=2, optimizer=optimizer, momentum=momentum),
        )
