"""The backend: which one is taken, why, and what is said where none answers. CuPy is played by a small stand-in."""

import configparser
import subprocess
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

import minikd.backends as backend
from minikd.backends import Backend, choose, device_errors, extra_for, module_of, special_of, to_host
from minikd.errors import BackendError, ConfigError


class DeviceArray:
    """An array that is not NumPy's: what the stand-in for CuPy makes."""

    def __init__(self, values):
        self.values = np.array(values)

    def __add__(self, other):
        return DeviceArray(self.values + other)

    def __matmul__(self, other):
        return DeviceArray(self.values @ other.values)

    def sum(self):
        return DeviceArray(self.values.sum())

    def item(self):
        return self.values.item()


class CompileException(Exception):
    """As CuPy's: not a RuntimeError."""


def ones(shape, dtype):
    return DeviceArray(np.ones(shape, dtype))


class NoProduct(DeviceArray):
    """On a device where cuBLAS cannot be loaded."""

    def __matmul__(self, other):
        raise RuntimeError("libcublas.so.12: cannot open shared object file")


def stand_in(devices=lambda: 1, ones=ones, built=12090, driver=12090):
    """A module that does what the package asks of CuPy."""
    cupy = ModuleType("cupy")
    cupy.ndarray = DeviceArray
    cupy.cuda = SimpleNamespace(
        runtime=SimpleNamespace(
            getDeviceCount=devices,
            runtimeGetVersion=lambda: built,
            driverGetVersion=lambda: driver,
            getDevice=lambda: 0,
            getDeviceProperties=lambda device: {"name": b"a card"},
        )
    )
    cupy.ones = ones
    cupy.asarray = lambda x: x if isinstance(x, DeviceArray) else DeviceArray(x)
    cupy.asnumpy = lambda x: x.values if isinstance(x, DeviceArray) else np.asarray(x)
    return cupy


def failing(error):
    """A function of any arguments that raises `error`."""

    def fail(*arguments):
        raise error

    return fail


@pytest.fixture
def cupy(monkeypatch):
    module = stand_in()
    monkeypatch.setitem(sys.modules, "cupy", module)
    return module


@pytest.fixture
def no_cupy(monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy", None)  # what makes `import cupy` raise ImportError


def test_numpy_is_taken_when_asked_for_and_cupy_is_not_even_imported(monkeypatch):
    monkeypatch.setattr(backend, "import_module", failing(AssertionError("imported")))
    assert choose("numpy") == Backend("numpy", "asked for by --backend numpy")


def test_auto_takes_a_device_that_answers(cupy):
    assert choose() == Backend("cupy", "a CUDA device answers: a card")


def test_cupy_is_taken_when_asked_for(cupy):
    assert choose("cupy") == Backend("cupy", "asked for by --backend cupy: a card")


def test_without_cupy(no_cupy):
    assert choose("auto") == Backend("numpy", "CuPy is not installed")
    with pytest.raises(BackendError, match=r"CuPy is not installed: .*pip install '.\[gpu\]'"):
        choose("cupy")


class OutOfMemoryError(MemoryError):
    """As CuPy's."""


OutOfMemoryError.__module__ = "cupy.cuda.memory"


@pytest.mark.parametrize(
    ("parts", "reason", "fix"),
    [
        (
            {"devices": failing(RuntimeError("cudaErrorInsufficientDriver")), "driver": 0},
            "CuPy found no CUDA device",
            r"install NVIDIA's driver.*--backend numpy \(cudaErrorInsufficientDriver\)",
        ),
        ({"devices": failing(RuntimeError("cudaErrorNoDevice"))}, "CuPy found no CUDA device", "CUDA_VISIBLE_DEVICES"),
        ({"devices": lambda: 0}, "CuPy found no CUDA device", "CUDA_VISIBLE_DEVICES.*--backend numpy"),
        (
            {"built": 13020, "driver": 12040},
            "CuPy is built for CUDA 13, but the driver knows CUDA 12",
            r"pip uninstall cupy-cuda13x, then pip install '.\[gpu\]' in minikd's repository; or update the driver",
        ),
        (
            {"ones": failing(RuntimeError("no libnvrtc"))},
            "CuPy could not run a kernel and a matrix product on the device",
            r"pip install '.\[gpu\]' in minikd's repository \(no libnvrtc\)",
        ),
        (
            {"ones": lambda shape, dtype: NoProduct(np.ones(shape, dtype))},
            "CuPy could not run a kernel and a matrix product on the device",
            r"pip install '.\[gpu\]' in minikd's repository \(libcublas.so.12: cannot open",
        ),
        (
            {"ones": failing(CompileException("nvrtc")), "built": 13020, "driver": 13020},
            "CuPy could not run a kernel and a matrix product on the device",
            r"pip install '.\[gpu-cuda13\]' in minikd's repository \(nvrtc\)",
        ),
        (
            {"ones": failing(OutOfMemoryError("allocating 512 bytes"))},
            "the device is out of memory",
            r"smaller batches .*nvidia-smi.*--backend numpy \(allocating 512 bytes\)",
        ),
    ],
)
def test_a_device_that_does_not_answer(monkeypatch, parts, reason, fix):
    monkeypatch.setitem(sys.modules, "cupy", stand_in(**parts))
    assert choose("auto") == Backend("numpy", reason)
    with pytest.raises(BackendError, match=f"{reason}.*{fix}"):
        choose("cupy")


def test_each_of_four_troubles_has_a_message_of_its_own(monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy", None)
    reasons = [choose().reason]
    for parts in (
        {"devices": lambda: 0},
        {"built": 13020},
        {"ones": failing(OutOfMemoryError("full"))},
    ):
        monkeypatch.setitem(sys.modules, "cupy", stand_in(**parts))
        reasons.append(choose().reason)
    assert len(set(reasons)) == 4


def test_the_extras_in_the_messages_exist():
    setup = configparser.ConfigParser()
    setup.read(Path(__file__).parents[2] / "setup.cfg")
    for cuda in (12, 13):
        assert setup["options.extras_require"][extra_for(cuda)].startswith(f"cupy-cuda{cuda}x[ctk]")


def test_a_device_that_fills_up_later_is_our_error_too():
    with pytest.raises(BackendError, match=r"the device is out of memory.*--student-batch-size"), device_errors():
        raise OutOfMemoryError("allocating 512 bytes")


class CUDARuntimeError(RuntimeError):
    """As CuPy's."""


CUDARuntimeError.__module__ = "cupy_backends.cuda.api.runtime"


def test_an_error_of_the_device_is_ours_with_the_way_to_find_its_line():
    error = CUDARuntimeError("cudaErrorIllegalAddress: an illegal memory access was encountered")
    message = r"CUDARuntimeError: cudaErrorIllegalAddress.*CUDA_LAUNCH_BLOCKING=1"
    with pytest.raises(BackendError, match=message), device_errors():
        raise error


def test_an_error_of_the_host_is_another_matter():
    with pytest.raises(RuntimeError, match="of the host"), device_errors():
        raise RuntimeError("of the host")


def test_a_host_that_is_out_of_memory_is_another_matter():
    with pytest.raises(MemoryError), device_errors():
        raise MemoryError("host")


def test_an_unknown_flag_is_refused():
    with pytest.raises(ConfigError, match="backend is 'cuda', but must be one of auto, numpy, cupy"):
        choose("cuda")


def test_the_module_comes_from_the_array(cupy):
    assert module_of(np.ones(2)) is np
    assert module_of(1.0) is np
    assert module_of(DeviceArray([1.0])) is cupy


def test_the_module_is_numpy_where_cupy_was_never_imported(monkeypatch):
    monkeypatch.delitem(sys.modules, "cupy", raising=False)
    assert module_of(np.ones(2)) is np
    assert "cupy" not in sys.modules


def test_the_special_functions_match_the_array(cupy, monkeypatch):
    twin = ModuleType("cupyx.scipy.special")
    for name in ("cupyx", "cupyx.scipy"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    monkeypatch.setitem(sys.modules, twin.__name__, twin)
    assert special_of(DeviceArray([1.0])) is twin
    assert special_of(np.ones(1)).__name__ == "scipy.special"


def test_arrays_move_to_the_device_and_back(cupy):
    x = np.arange(3.0)
    there = Backend("cupy", "").put(x)
    assert type(there) is DeviceArray
    assert Backend("cupy", "").put(there) is there
    np.testing.assert_array_equal(to_host(there), x)
    np.testing.assert_array_equal(Backend("numpy", "").put(there), x)


def test_on_the_host_nothing_is_copied(no_cupy):
    x = np.arange(3.0)
    assert to_host(x) is x
    assert Backend("numpy", "").put(x) is x


def test_importing_the_package_imports_no_heavy_library():
    code = (
        "import sys, minikd, minikd.backends, minikd.optim, minikd.schedules\n"
        "heavy = {'cupy', 'torch', 'scipy', 'matplotlib', 'PIL', 'jinja2', 'pooch', 'tqdm'} & set(sys.modules)\n"
        "sys.exit(f'imported {heavy}' if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
