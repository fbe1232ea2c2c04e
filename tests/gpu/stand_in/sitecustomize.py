"""On the path of a process, this lets `import cupy` find the stand-in device: how the script is tried without a GPU."""

from tests import cupy_on_cpu

cupy_on_cpu.install()
