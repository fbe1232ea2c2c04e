"""Matrix products on every backend. Products with a thin matrix are divided into pieces that BLAS does not pack.

BLAS first copies ("packs") the operands of a product into blocks for its inner loop. This helps if each number is used
often. With 32 columns or fewer, packing takes as long as the product. OpenBLAS packs nothing for products of up to 10⁶
multiply-adds. So a tall product with a thin matrix is divided into pieces of that size, and one call of `matmul`
computes them as a stack. The sums are the same, but may be added in another order. With 64 columns, nothing is gained
(benchmarks/README.md has the measurements).
"""

from importlib import import_module

import numpy as np

from minikd.backends import module_of
from minikd.typing import Floats

UNPACKED = 10**6
"""Multiply-adds of the largest product for which OpenBLAS packs nothing."""

THIN = 32
"""The largest number of columns for which this is faster."""


def product(a: Floats, b: Floats, out: Floats | None = None) -> Floats:
    """Return a @ b for vectors, matrices, or two stacks of matrices. It is written into `out`, if given.

    On a device, it calls cuBLAS in a way that can be a part of a CUDA graph. CuPy's `@` cannot.
    """
    if module_of(a) is np:
        found: Floats = np.matmul(a, b, out=out)
        return found
    there: Floats = import_module("minikd.backends.cuda").product(a, b, out)
    return there


def column_sums(g: Floats) -> Floats:
    """Return the sum of each column of g (M, O). BLAS sums them several times faster than g.sum(0)."""
    if module_of(g) is np:
        return product(np.ones(len(g), g.dtype), g)  # (O,) = (M,) @ (M, O)
    sums: Floats = import_module("minikd.backends.cuda").column_sums(g)
    return sums


def tall_product(tall: Floats, matrix: Floats, out: Floats) -> None:
    """Write tall @ matrix into out: (M, N) = (M, K) @ (K, N)."""
    rows = _rows_a_piece(len(tall), len(matrix), matrix.shape[1], out)
    cut = len(tall) // rows * rows if rows < len(tall) else 0
    if cut:
        matrix = np.ascontiguousarray(matrix)  # a transposed view would be half as fast
        pieces, results = tall[:cut].reshape(-1, rows, tall.shape[1]), out[:cut].reshape(-1, rows, out.shape[1])
        np.matmul(pieces, matrix, out=results)  # (M, N) = (M, K) @ (K, N), a stack of them
    if cut < len(tall):
        product(tall[cut:], matrix, out[cut:])  # (M, N) = (M, K) @ (K, N)


def inner_product(tall: Floats, other: Floats) -> Floats:
    """Return tallᵀ @ other: (K, N) = (K, M) @ (M, N)."""
    M, K = tall.shape
    rows = _rows_a_piece(M, K, other.shape[1], other)
    cut = M // rows * rows if rows < M else 0
    total = product(tall[cut:].T, other[cut:])  # (K, N) = (K, M) @ (M, N)
    if cut:
        left, right = tall[:cut].reshape(-1, rows, K), other[:cut].reshape(-1, rows, other.shape[1])
        total += (left.transpose(0, 2, 1) @ right).sum(0)  # (K, N) = (K, M) @ (M, N), summed over a stack
    return total


def _rows_a_piece(M: int, K: int, N: int, like: Floats) -> int:
    """Return how many of M rows are in a piece: all of them if pieces are not faster."""
    if module_of(like) is not np or N > THIN:
        return M
    return min(M, max(1, UNPACKED // (K * N)))
