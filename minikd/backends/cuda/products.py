"""Matrix products on a device: calls of cuBLAS through ctypes.

CuPy's own `@` refuses to run while a stream is captured as a CUDA graph. cuBLAS itself can run, if it got its workspace
before. So each stream has its own handle here, with its own workspace.

cuBLAS reads matrices column by column, so it sees a row-major array as its transpose. So out = a b is computed as
outᵀ = bᵀ aᵀ, and no operand is copied.
"""

import ctypes
import os
from functools import cache
from typing import NamedTuple

import cupy
from cupy.cuda import cublas, runtime

from minikd.backends import address_of
from minikd.typing import Floats, Shape

WORKSPACE = 32 << 20
"""Bytes. NVIDIA recommends this size for Hopper. With a smaller workspace, cuBLAS may choose slower algorithms."""

TF32 = 3
"""CUBLAS_TF32_TENSOR_OP_MATH: operands are rounded to 10 bits. CUPY_TF32=1 sets it, for CuPy's own products too."""


class Operand(NamedTuple):
    """An operand for cuBLAS: the array, whether it is a transposed view, and the elements from one line to the next."""

    x: Floats
    transposed: bool
    line: int


@cache
def library() -> ctypes.CDLL | None:
    """Return cuBLAS, of the CUDA version that CuPy is built for, or None if it is not installed."""
    cublas.getVersion(cupy.cuda.device.get_cublas_handle())  # CuPy loads its cuBLAS, and the name below then finds it
    try:
        return ctypes.CDLL(f"libcublas.so.{runtime.runtimeGetVersion() // 1000}")
    except OSError:
        return None


def capturable() -> bool:
    """Return whether products can be part of a CUDA graph."""
    return library() is not None


class Handle:
    """cuBLAS's state for one stream. It is made at the stream's first product, which must not be during a capture."""

    def __init__(self, blas: ctypes.CDLL, stream: int) -> None:
        self.blas, self.pointer, self.workspace = blas, ctypes.c_void_p(), cupy.empty(WORKSPACE, "u1")
        self.call("cublasCreate_v2", pointer=ctypes.byref(self.pointer))
        self.call("cublasSetStream_v2", ctypes.c_void_p(stream))
        self.call(
            "cublasSetWorkspace_v2", ctypes.c_void_p(self.workspace.data.ptr), ctypes.c_size_t(self.workspace.nbytes)
        )
        if os.environ.get("CUPY_TF32") == "1":
            self.call("cublasSetMathMode", TF32)

    def call(self, name: str, *arguments: object, pointer: object = None) -> None:
        """Call a function of cuBLAS. Raises CuPy's class of error, which `backends.device_errors` explains."""
        status = getattr(self.blas, name)(self.pointer if pointer is None else pointer, *arguments)
        if status:
            raise cublas.CUBLASError(status)


@cache
def handle_of(device: int, stream: int) -> Handle | None:
    """Return the handle of a device's stream, or None without cuBLAS."""
    return Handle(blas, stream) if (blas := library()) else None


def product(a: Floats, b: Floats, out: Floats | None = None) -> Floats:
    """Return a @ b, written to `out` if given. a and b are vectors, matrices, or two stacks of equally many matrices.

    Operands that are neither row-major nor column-major are copied. Other dtypes than float32 or float64, or two
    different ones, go to CuPy.
    """
    stream = cupy.cuda.get_current_stream().ptr
    handle = handle_of(runtime.getDevice(), stream)
    if handle is None or a.dtype != b.dtype or a.dtype.char not in "fd" or a.ndim > 3:
        whole: Floats = cupy.matmul(a, b, out=out)
        return whole
    left, right = (a[None] if a.ndim == 1 else a), (b[:, None] if b.ndim == 1 else b)
    check_shapes(a, b, left.shape, right.shape)
    shape = (*a.shape[:-1], *b.shape[max(1, b.ndim - 1) :])
    target: Floats = cupy.empty(shape, a.dtype) if out is None or not out.flags.c_contiguous else out
    if target.shape != shape:
        raise ValueError(f"a product of shapes {a.shape} and {b.shape} does not fit out of shape {target.shape}")
    if not left.shape[-1]:
        target.fill(0)
    elif target.size:
        multiply(handle, as_operand(left), as_operand(right), target)
    if out is None or target is out:
        return target
    out[...] = target
    return out


def check_shapes(a: Floats, b: Floats, left: Shape, right: Shape) -> None:
    """Raise the error of `@` for operands that do not fit."""
    if len(left) != len(right) or left[:-2] != right[:-2] or left[-1] != right[-2]:
        raise ValueError(f"a product of shapes {a.shape} and {b.shape}: the inner lengths, or the stacks, differ")


def multiply(handle: Handle, left: Operand, right: Operand, target: Floats) -> None:
    """Write left @ right into target (..., M, N)."""
    kind = "D" if target.dtype.char == "d" else "S"
    number = ctypes.c_double if kind == "D" else ctypes.c_float
    one, zero = number(1), number(0)
    (M, K), N = left.x.shape[-2:], right.x.shape[-1]
    head = (int(right.transposed), int(left.transposed), N, M, K, ctypes.byref(one))
    b, a, c = (ctypes.c_void_p(address_of(x)) for x in (right.x, left.x, target))
    if left.x.ndim == 2:
        handle.call(f"cublas{kind}gemm_v2", *head, b, right.line, a, left.line, ctypes.byref(zero), c, N)
    else:
        next_b, next_a, next_c = (ctypes.c_longlong(size) for size in (K * N, M * K, M * N))
        tail = (b, right.line, next_b, a, left.line, next_a, ctypes.byref(zero), c, N, next_c, len(left.x))
        handle.call(f"cublas{kind}gemmStridedBatched", *head, *tail)


def as_operand(x: Floats) -> Operand:
    """Return x (..., rows, columns) as an operand. It is copied if it is neither row-major nor column-major."""
    if not x.flags.c_contiguous and x.swapaxes(-1, -2).flags.c_contiguous:
        return Operand(x, True, x.shape[-2])
    return Operand(cupy.ascontiguousarray(x), False, x.shape[-1])
