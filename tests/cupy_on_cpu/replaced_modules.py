"""Python in place of two of CuPy's modules of prebuilt device code: Thrust's sorting, and the random Generator."""

import ctypes
import types

import numpy as np


def on_host(pointer, dtype, shape):
    """Return a NumPy view of the stand-in device's memory."""
    dtype, count = np.dtype(dtype), int(np.prod(shape, dtype=np.int64))
    if not count:
        return np.empty(shape, dtype)
    memory = (ctypes.c_char * (count * dtype.itemsize)).from_address(pointer)
    return np.frombuffer(memory, dtype).reshape(shape)


def thrust():
    """Return cupy.cuda.thrust."""

    def sort(dtype, data, keys, shape):
        on_host(data, dtype, tuple(shape)).sort(axis=-1)

    def argsort(dtype, index, data, keys, shape):
        values = on_host(data, dtype, tuple(shape))
        order = np.argsort(values, axis=-1, kind="stable")
        on_host(index, np.int64, tuple(shape))[...] = order
        values[...] = np.take_along_axis(values, order, -1)

    def lexsort(dtype, index, keys, k, n):
        on_host(index, np.int64, (n,))[...] = np.lexsort(on_host(keys, dtype, (k, n)))

    module = types.ModuleType("cupy.cuda.thrust")
    module.available = True
    module.get_build_version = lambda: 300102
    module.sort, module.argsort, module.lexsort = sort, argsort, lexsort
    return module


def generator_api():
    """Return cupy.random._generator_api, of a generator that draws nothing: the engine draws on the host."""

    class Generator:
        def __init__(self, bit_generator):
            raise NotImplementedError("the stand-in device draws no random numbers; draw them on the host, with NumPy")

    def refuse(*arguments):
        raise NotImplementedError("the stand-in device draws no random numbers")

    module = types.ModuleType("cupy.random._generator_api")
    module.Generator, module.init_curand, module.random_raw = Generator, lambda *arguments: None, refuse
    module.FeistelBijection = type("FeistelBijection", (), {})
    return module
