"""Matrix products: on every backend, and with a thin matrix, cut into pieces that BLAS takes as they lie.

A matrix product first packs its operands into blocks for the inner loop. That pays where each number is used often;
with 32 columns or fewer the packing costs as much as the product. OpenBLAS packs nothing for products of up to 10⁶
multiply-adds, so a tall product with a thin matrix is cut into pieces of that size, which one call of `matmul` takes
as a stack. The sums are those of the whole product, only their order differs. With 64 columns nothing is gained
(benchmarks/README.md has the measurements).
"""

from importlib import import_module

import numpy as np

from minikd.backends import module_of
from minikd.typing import Floats

UNPACKED = 10**6
"""Multiply-adds of the largest product for which OpenBLAS packs nothing."""

THIN = 32
"""Columns up to which that pays."""


def product(a: Floats, b: Floats, out: Floats | None = None) -> Floats:
    """Return a @ b, written into `out` if it is given: of vectors, matrices, or two stacks of matrices.

    On a device cuBLAS is called in a way that can be captured as a part of a CUDA graph, which CuPy's `@` cannot.
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
        matrix = np.ascontiguousarray(matrix)  # half as fast where it is a transposed view
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
    """Return how many of M rows make a piece; all of them where pieces do not pay."""
    if module_of(like) is not np or N > THIN:
        return M
    return min(M, max(1, UNPACKED // (K * N)))
