"""The dense layer, with or without a ReLU after it: one product and one launch forward, two and one backward.

    y = relu(x wᵀ + b),   dz = dy where y > 0, 0 elsewhere,   dx = dz w,   dw = dzᵀ x,   db = Σ_n dz

One kernel adds the bias to the product and sets negative values to 0, in place. Another kernel computes dz and the sums
of its columns.
"""

from collections.abc import Mapping
from functools import cache
from typing import NamedTuple

import cupy

from minikd.backends.cuda.products import product
from minikd.typing import Floats

ROWS = 1024
"""Rows that a block sums. With more rows, each column has several sums, and a second launch adds them."""

_add_bias = cupy.ElementwiseKernel(
    "T b, bool relu",
    "T y",
    """
    y += b;
    if (relu && y < 0) y = 0;  // NaN stays
    """,
    "minikd_add_bias",
)

# A block sums 32 columns with 32 lines of 32 threads. Each thread of a line has its own column, so the line reads
# neighbours in memory. The lines share the rows. Their sums are added in order, so the result is the same in every run.
_SUM_COLUMNS = """
extern "C" __global__ void minikd_sum_columns(
    const T* dy, const T* y, T* dz, T* sums, long long N, long long O, long long rows, bool relu
) {
    __shared__ T parts[32][33];  // 33: the threads of a column use different banks
    long long o = blockIdx.x * 32 + threadIdx.x, begin = blockIdx.y * rows, end = min(N, begin + rows);
    T sum = 0;
    for (long long n = begin + threadIdx.y; n < end && o < O; n += 32) {
        T value = dy[n * O + o];
        if (relu) dz[n * O + o] = value = y[n * O + o] > 0 ? value : T(0);
        sum += value;
    }
    parts[threadIdx.y][threadIdx.x] = sum;
    __syncthreads();
    if (threadIdx.y || o >= O) return;
    for (int line = 1; line < 32; ++line) sum += parts[line][threadIdx.x];
    sums[blockIdx.y * O + o] = sum;
}
"""


@cache
def _sum_columns(char: str) -> cupy.RawKernel:
    """Return the kernel for a dtype."""
    return cupy.RawKernel(f"typedef {'float' if char == 'f' else 'double'} T;{_SUM_COLUMNS}", "minikd_sum_columns")


class DenseArrays(NamedTuple):
    """The input x (N, C), the weight (O, C), and the output y (N, O) if a ReLU follows."""

    x: Floats
    w: Floats
    y: Floats | None


def dense(x: Floats, w: Floats, b: Floats | None, relu: bool) -> tuple[Floats, DenseArrays]:
    """Return y (N, O) and the cache. Shapes: x (N, C), w (O, C), b (O,) or None for no bias."""
    y = product(x, w.T)  # (N, O) = (N, C) @ (C, O)
    if b is not None or relu:
        _add_bias(0 if b is None else b, relu, y)
    return y, DenseArrays(x, w, y if relu else None)


def dense_backward(
    dy: Floats, cache: DenseArrays, into: Mapping[str, Floats] | None = None
) -> tuple[Floats, Floats, Floats]:
    """Return dx (N, C), dw (O, C) and db (O,) from dy (N, O). dw and db are written to `into`, if given."""
    dz, dw, db = _gradients(dy, cache, into)
    return product(dz, cache.w), dw, db  # (N, C) = (N, O) @ (O, C)


def dense_backward_parameters(
    dy: Floats, cache: DenseArrays, into: Mapping[str, Floats] | None = None
) -> tuple[Floats, Floats]:
    """Return only dw and db."""
    _, dw, db = _gradients(dy, cache, into)
    return dw, db


def _gradients(dy: Floats, cache: DenseArrays, into: Mapping[str, Floats] | None) -> tuple[Floats, Floats, Floats]:
    """Return dz, dw and db."""
    weight, bias = (into["weight"], into["bias"]) if into else (None, None)
    dz, db = masked(dy, cache.y, bias)
    return dz, product(dz.T, cache.x, weight), db  # (O, C) = (O, N) @ (N, C)


def column_sums(g: Floats) -> Floats:
    """Return the sum of each column of g (M, O)."""
    return masked(g, None, None)[1]


def masked(dy: Floats, y: Floats | None, db: Floats | None) -> tuple[Floats, Floats]:
    """Return dz and its column sums. dz is dy where y > 0, and 0 elsewhere; without y, it is dy."""
    dy, (N, O) = cupy.ascontiguousarray(dy), dy.shape
    dz, db = dy if y is None else cupy.empty_like(dy), cupy.empty(O, dy.dtype) if db is None else db
    parts = max(1, -(-N // ROWS))
    sums = db if parts == 1 else cupy.empty((parts, O), dy.dtype)
    arguments = (dy, dz if y is None else y, dz, sums, N, O, ROWS, y is not None)
    _sum_columns(dy.dtype.char)((-(-O // 32), parts), (32, 32), arguments)
    return dz, db if parts == 1 else masked(sums, None, db)[1]
